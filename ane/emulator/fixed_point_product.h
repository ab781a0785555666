// The matmul of the M4 to M6 engines at the speed of an fp32 product: the bits of fixed_point.h, always, whatever the
// number of threads and the processor.
//
// Four ideas, each with its proof beside the code:
//   * one fp32 fused multiply-add rounds a product to the accumulator's grid and adds it (fixed_point_kernels-inl.h);
//   * operands of y are packed one fp32 step away from zero, which breaks ties as the engine does
//     (fixed_point_panels-inl.h);
//   * which products are dropped is settled for whole steps of k where the exponents allow, else under a mask
//     (fixed_point_kernels-inl.h);
//   * norms of rows and columns prove that no partial sum overflows, so that the order of additions does not matter;
//     where they do not, the sum is taken in the order of k (fixed_point_simd.cpp).
#pragma once

#include <cstdint>

#include "ane/emulator/tensor_view.h"
#include "common/thread_pool.h"

namespace aneval::emulator {

/// Multiply-accumulates by the path that computed them. Their sum is that of the product's shape.
struct FixedPointWork {
  std::int64_t chained = 0;   // products rounded while they are added, many to a register
  std::int64_t single = 0;    // the same, one product at a time, for larger operands
  std::int64_t wide = 0;      // products of any size, for tiles that provably do not overflow
  std::int64_t in_order = 0;  // sums that may overflow, step by step

  std::int64_t total() const { return chained + single + wide + in_order; }
  FixedPointWork& operator+=(const FixedPointWork& other) {
    chained += other.chained;
    single += other.single;
    wide += other.wide;
    in_order += other.in_order;
    return *this;
  }
};

/// out = bias + x·y in Q15.16: [batch…, M, K]·[batch…, K, N] -> [batch…, M, N], bias [M] or null, added first.
/// Operands are fp16 numbers as floats (magnitudes to 131008, no NaN, no infinity), with any strides; so are results,
/// where ±65536 stands for an overflow. The last axis of `out` has stride 1. Counts are added to `work`.
void fixed_point_product(const TensorView<const float>& x, const TensorView<const float>& y,
                         const TensorView<const float>* bias, const TensorView<float>& out, ThreadPool* pool,
                         FixedPointWork* work = nullptr);

}  // namespace aneval::emulator
