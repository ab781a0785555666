// The emulator's exact products against Eigen's fp32 product of the same operands.
#pragma once

#include <cstdint>
#include <string>

#include "bench/benchmark.h"
#include "common/thread_pool.h"

namespace aneval::bench {

/// What the left operand holds. The right one always holds weights, N(0, 1/K).
enum class ProductData {
  activations,  // N(0, 1)
  gradients,    // N(0, 1e-3²): most steps of k drop some products
  operands,     // N(0, 2000²): products beyond what a chain holds
  overflow,     // N(0, 20000²): many sums overflow
};

enum class ExactProduct { fixed_point, four_lane };

struct ProductRate {
  ExactProduct product = ExactProduct::fixed_point;
  ProductData data = ProductData::activations;
  std::int64_t batches = 1, m = 256, k = 1024, n = 2048;
  bool right_transposed = false;  // as attention's keys are
};

/// Times the exact product against another: with one thread (no pool) Eigen's fp32 product, else our own on one thread.
/// Errors: check_failed when a sample of the results differs from the scalar model.
Benchmark product_rate(const ProductRate& rate, ThreadPool* pool);

}  // namespace aneval::bench
