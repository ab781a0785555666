// The matmul of the M1 and M2 engines, vectorised over columns: the bits of four_lane.h, whatever the number of threads
// and the processor.
#pragma once

#include "ane/emulator/tensor_view.h"
#include "common/thread_pool.h"

namespace aneval::emulator {

/// out = x·y + bias through the adder of four_lane.h: [batch…, M, K]·[batch…, K, N] -> [batch…, M, N], bias [M] or
/// null. Operands are fp16 numbers as floats (magnitudes to 131008, no NaN, no infinity), with any strides; so are
/// results, where ±65536 stands for an infinity. The last axis of `out` has stride 1.
void four_lane_product(const TensorView<const float>& x, const TensorView<const float>& y,
                       const TensorView<const float>* bias, const TensorView<float>& out, ThreadPool* pool);

}  // namespace aneval::emulator
