// The inference functions behind the table of ops.cpp, and what they share. Semantics follow coremltools' MIL operation
// set (apple/coremltools, converters/mil/mil/ops/defs).
#pragma once

#include <initializer_list>
#include <string_view>

#include "ane/mil/ops.h"

namespace aneval::mil {

// Shared checks; each throws InferenceError.
void require_dtype(const Arguments& arguments, std::string_view key, std::initializer_list<DType> allowed);
void require_same_dtype(const Arguments& arguments, std::string_view key, std::string_view other);
void require_rank(const Arguments& arguments, std::string_view key, std::size_t least, std::size_t most);
/// An axis from -rank to rank-1 as one from 0 to rank-1.
std::size_t normal_axis(std::int64_t axis, std::size_t rank, std::string_view key);
/// Distinct axes as one flag per dimension.
std::vector<bool> axis_flags(const std::vector<std::int64_t>& axes, std::size_t rank, std::string_view key);

// ops_shape.cpp: operations that move elements.
TensorType infer_slice_by_size(const Arguments& arguments);
TensorType infer_slice_by_index(const Arguments& arguments);
TensorType infer_reshape(const Arguments& arguments);
TensorType infer_transpose(const Arguments& arguments);
TensorType infer_expand_dims(const Arguments& arguments);
TensorType infer_squeeze(const Arguments& arguments);
TensorType infer_concat(const Arguments& arguments);

// ops_compute.cpp: operations that calculate.
TensorType infer_binary(const Arguments& arguments);
TensorType infer_float_unary(const Arguments& arguments);
TensorType infer_rsqrt(const Arguments& arguments);
TensorType infer_number_unary(const Arguments& arguments);
TensorType infer_softmax(const Arguments& arguments);
TensorType infer_reduce(const Arguments& arguments);
TensorType infer_matmul(const Arguments& arguments);
TensorType infer_conv(const Arguments& arguments);

// ops_convert.cpp: constants and conversions between dtypes.
TensorType infer_const(const Arguments& arguments);
TensorType infer_cast(const Arguments& arguments);
TensorType infer_quantize(const Arguments& arguments);
TensorType infer_dequantize(const Arguments& arguments);
TensorType infer_constexpr_affine_dequantize(const Arguments& arguments);

}  // namespace aneval::mil
