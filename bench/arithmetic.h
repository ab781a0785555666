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

/// Times the exact product. Its row `ratio` is the median of kRatioPairs pairs of runs in alternation, the other
/// product's time divided by ours: with one thread (no pool) Eigen's, else our own on one thread. The pairs follow the
/// first series of timed runs, which leaves the caches and clocks of this very product. Errors: check_failed when a
/// sample of the results differs from the scalar model.
Benchmark product_rate(const ProductRate& rate, ThreadPool* pool);

inline constexpr int kRatioPairs = 21;

}  // namespace aneval::bench
