// Batched matrix products of strided views through Eigen, on the threads of a pool. Work is cut by shape alone, so the
// order of summation, and with it every bit, is independent of the number of threads.
#pragma once

#include "ane/emulator/tensor_view.h"
#include "common/thread_pool.h"

namespace aneval::emulator {

/// out = x·y: [batch…, M, K]·[batch…, K, N] -> [batch…, M, N]; the last axis of `out` has stride 1.
void matrix_product(const TensorView<const float>& x, const TensorView<const float>& y, const TensorView<float>& out,
                    ThreadPool* pool);
void matrix_product(const TensorView<const double>& x, const TensorView<const double>& y, const TensorView<double>& out,
                    ThreadPool* pool);

}  // namespace aneval::emulator
