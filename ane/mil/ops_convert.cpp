// Result types of constants and of what changes a type: casts, and numbers of 8 bits.
#include <fmt/format.h>

#include "ane/mil/ops_infer.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

/// scale is a scalar, or a vector along `axis` of the data, which a vector demands.
void require_quantization(const Arguments& arguments, std::string_view data) {
  const Shape &shape = arguments.one(data).type.shape, &scale = arguments.one("scale").type.shape;
  require_rank(arguments, "scale", 0, 1);
  if (arguments.has("axis") || !scale.empty()) {
    const std::size_t axis = normal_axis(arguments.integer("axis"), shape.size(), "axis");
    if (!scale.empty() && scale.front() != shape[axis])
      throw InferenceError("scale", fmt::format("scale of shape {} along axis {} of {} of shape {}", shape_text(scale),
                                                axis, data, shape_text(shape)));
  }
}

/// zero_point is of the quantized type, and a scalar or of scale's shape.
void require_zero_point(const Arguments& arguments, DType quantized) {
  if (!arguments.has("zero_point")) return;
  const TensorType &zero = arguments.one("zero_point").type, &scale = arguments.one("scale").type;
  if (zero.dtype != quantized)
    throw InferenceError("zero_point", fmt::format("zero_point is {}, but the quantized type is {}", type_text(zero),
                                                   dtype_name(quantized)));
  if (!zero.shape.empty() && zero.shape != scale.shape)
    throw InferenceError("zero_point", fmt::format("zero_point of shape {} for scale of shape {}",
                                                   shape_text(zero.shape), shape_text(scale.shape)));
}

}  // namespace

TensorType infer_const(const Arguments& arguments) { return arguments.one("val").type; }

TensorType infer_cast(const Arguments& arguments) {
  require_dtype(arguments, "x", {DType::fp16, DType::fp32, DType::int32, DType::int8, DType::uint8, DType::boolean});
  const std::string name = arguments.string("dtype");
  const std::optional<DType> dtype = parse_dtype(name);
  if (!dtype || *dtype == DType::string || *dtype == DType::uint64)
    throw InferenceError("dtype", "dtype '" + name + "' is none of fp16, fp32, int32, int8, uint8, bool");
  return {*dtype, arguments.one("x").type.shape};
}

TensorType infer_quantize(const Arguments& arguments) {
  require_dtype(arguments, "input", {DType::fp16, DType::fp32});
  require_same_dtype(arguments, "scale", "input");
  require_quantization(arguments, "input");
  const std::string name = arguments.string("output_dtype");
  const std::optional<DType> dtype = parse_dtype(name);
  if (dtype != DType::int8 && dtype != DType::uint8)
    throw InferenceError("output_dtype", "output_dtype '" + name + "' is none of int8, uint8");
  require_zero_point(arguments, *dtype);
  return {*dtype, arguments.one("input").type.shape};
}

TensorType infer_dequantize(const Arguments& arguments) {
  require_dtype(arguments, "input", {DType::int8, DType::uint8});
  require_dtype(arguments, "scale", {DType::fp16, DType::fp32});
  require_quantization(arguments, "input");
  require_zero_point(arguments, arguments.one("input").type.dtype);
  return {arguments.one("scale").type.dtype, arguments.one("input").type.shape};
}

TensorType infer_constexpr_affine_dequantize(const Arguments& arguments) {
  require_dtype(arguments, "quantized_data", {DType::int8, DType::uint8});
  require_dtype(arguments, "scale", {DType::fp16, DType::fp32});
  require_quantization(arguments, "quantized_data");
  require_zero_point(arguments, arguments.one("quantized_data").type.dtype);
  return {arguments.one("scale").type.dtype, arguments.one("quantized_data").type.shape};
}

}  // namespace aneval::mil
