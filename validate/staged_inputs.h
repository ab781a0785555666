// What a kernel computes from, read back from its input surface and its program, and whether it is what the layer's
// natural weights say.
#pragma once

#include <string>

#include "ane/compiled_kernel.h"
#include "reference/kernels.h"
#include "validate/case_data.h"

namespace aneval::validate {

/// Every operand of a kernel in fp32, [channels, width]: the slots as they lie on the surface, the weights that the
/// program holds.
reference::Matrices<float> staged_inputs(const ane::CompiledKernel& kernel, ane::Surface& input);

/// What a weight's operand must hold, worked out from its name and the natural tensor alone, not from the layout's own
/// idea of it: `wq_t` is the transpose of `wq`. Finds swapped slots, transposed weights and wrong offsets, on the
/// surface or in the program. Weights of 8 bits must lie within half a step of the natural ones. Errors: what differs
/// first, as a failed check with slot, channel and column.
void check_staged_weights(const ane::PackedLayout& layout, const CaseData& data,
                          const reference::Matrices<float>& inputs);

/// In place of 8-bit weights the natural ones: the reference computes with these, so that what quantizing costs is part
/// of the error that is bounded.
void take_natural_weights(const ane::PackedLayout& layout, const CaseData& data, reference::Matrices<float>& inputs);

/// Which slot holds what fp16 cannot; the exact reference of an infinite input means nothing. Empty: none.
std::string beyond_fp16(const ane::PackedLayout& layout, const reference::Matrices<float>& inputs);

/// Which weight cannot be compiled in, because fp16 cannot hold it. Empty: all can.
std::string compiled_beyond_fp16(const ane::PackedLayout& layout, const CaseData& data);

/// Of the weights that a program is to hold, and of the activations that it is calibrated on; empty when it holds none.
std::string compiled_weights_hash(const ane::PackedLayout& layout, const CaseData& data, const ane::Variant& variant);

}  // namespace aneval::validate
