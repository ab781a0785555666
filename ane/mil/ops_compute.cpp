// Result types of the operations that compute: products, elementwise functions, reductions, convolution.
#include <fmt/format.h>

#include <algorithm>

#include "ane/mil/ops_infer.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

/// The geometry of a conv along one spatial dimension.
struct Window {
  std::int64_t input = 0, kernel = 0, stride = 1, dilation = 1, padding = 0;  // padding of both ends together
};

/// Output positions of a window; 0 when the kernel does not fit.
std::int64_t window_positions(const Window& w, std::string_view pad_type) {
  if (pad_type == "same" || pad_type == "same_lower") return (w.input - 1) / w.stride + 1;
  if (w.kernel - 1 > kMaxElements / w.dilation) return 0;
  const std::int64_t span = w.input + w.padding - ((w.kernel - 1) * w.dilation + 1);
  return span < 0 ? 0 : span / w.stride + 1;
}

/// Strides, dilations or pads: `count` numbers of at least `least`.
std::vector<std::int64_t> conv_numbers(const Arguments& arguments, std::string_view key, std::size_t count,
                                       std::int64_t least) {
  if (!arguments.has(key)) return std::vector<std::int64_t>(count, least);
  std::vector<std::int64_t> values = arguments.ints(key);
  const bool small = std::any_of(values.begin(), values.end(), [&](std::int64_t value) { return value < least; });
  if (values.size() != count || small)
    throw InferenceError(std::string(key), fmt::format("{} is {}, expected {} numbers of at least {}", key,
                                                       shape_text(values), count, least));
  return values;
}

}  // namespace

void require_dtype(const Arguments& arguments, std::string_view key, std::initializer_list<DType> allowed) {
  const TensorType& type = arguments.one(key).type;
  if (std::find(allowed.begin(), allowed.end(), type.dtype) != allowed.end()) return;
  std::string names;
  for (const DType dtype : allowed) names += (names.empty() ? "" : ", ") + std::string(dtype_name(dtype));
  throw InferenceError(std::string(key), fmt::format("{} is {}, expected one of {}", key, type_text(type), names));
}

void require_same_dtype(const Arguments& arguments, std::string_view key, std::string_view other) {
  const TensorType &type = arguments.one(key).type, &wanted = arguments.one(other).type;
  if (type.dtype != wanted.dtype)
    throw InferenceError(std::string(key), fmt::format("{} is {} but {} is {}: the types of their elements differ", key,
                                                       type_text(type), other, type_text(wanted)));
}

void require_rank(const Arguments& arguments, std::string_view key, std::size_t least, std::size_t most) {
  const Shape& shape = arguments.one(key).type.shape;
  if (shape.size() < least || shape.size() > most)
    throw InferenceError(std::string(key),
                         fmt::format("{} of shape {} has rank {}, expected {}", key, shape_text(shape), shape.size(),
                                     least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most)));
}

TensorType infer_binary(const Arguments& arguments) {
  require_dtype(arguments, "x", {DType::fp16, DType::fp32, DType::int32});
  require_same_dtype(arguments, "y", "x");
  const TensorType& x = arguments.one("x").type;
  return {x.dtype, broadcast(x.shape, arguments.one("y").type.shape)};
}

TensorType infer_float_unary(const Arguments& arguments) {
  require_dtype(arguments, "x", {DType::fp16, DType::fp32});
  return arguments.one("x").type;
}

TensorType infer_rsqrt(const Arguments& arguments) {
  if (arguments.has("epsilon")) {
    require_dtype(arguments, "epsilon", {DType::fp16, DType::fp32});
    require_rank(arguments, "epsilon", 0, 0);
    if (arguments.one("epsilon").literal == nullptr) throw NonConstantArgument("epsilon", "epsilon must be a constant");
  }
  return infer_float_unary(arguments);
}

TensorType infer_number_unary(const Arguments& arguments) {
  require_dtype(arguments, "x", {DType::fp16, DType::fp32, DType::int32});
  return arguments.one("x").type;
}

TensorType infer_softmax(const Arguments& arguments) {
  const TensorType type = infer_float_unary(arguments);
  normal_axis(arguments.integer("axis", -1), type.shape.size(), "axis");
  return type;
}

TensorType infer_reduce(const Arguments& arguments) {
  const TensorType x = infer_number_unary(arguments);
  const bool keep_dims = arguments.boolean("keep_dims", false);
  const std::vector<bool> reduced = arguments.has("axes") ? axis_flags(arguments.ints("axes"), x.shape.size(), "axes")
                                                          : std::vector<bool>(x.shape.size(), true);
  TensorType result{x.dtype, {}};
  for (std::size_t i = 0; i < x.shape.size(); ++i) {
    if (!reduced[i])
      result.shape.push_back(x.shape[i]);
    else if (keep_dims)
      result.shape.push_back(1);
  }
  return result;
}

TensorType infer_matmul(const Arguments& arguments) {
  require_dtype(arguments, "x", {DType::fp16, DType::fp32, DType::int32});
  require_same_dtype(arguments, "y", "x");
  Shape x = arguments.one("x").type.shape, y = arguments.one("y").type.shape;
  const bool transpose_x = arguments.boolean("transpose_x", false),
             transpose_y = arguments.boolean("transpose_y", false);
  if (x.empty() || y.empty()) throw InferenceError(x.empty() ? "x" : "y", "matmul takes no scalars");
  const bool row = x.size() == 1, column = y.size() == 1;
  if ((row && transpose_x) || (column && transpose_y))
    throw InferenceError(row && transpose_x ? "transpose_x" : "transpose_y", "a vector cannot be transposed");
  // A vector stands for one row on the left and one column on the right; the dimension it lacks is dropped again.
  if (row) x.insert(x.begin(), 1);
  if (column) y.push_back(1);
  if (transpose_x) std::swap(x[x.size() - 2], x.back());
  if (transpose_y) std::swap(y[y.size() - 2], y.back());
  const std::int64_t m = x[x.size() - 2], k = x.back(), n = y.back();
  const std::string operands = fmt::format("x of shape {}{} and y of shape {}{}",
                                           shape_text(arguments.one("x").type.shape), transpose_x ? " transposed" : "",
                                           shape_text(arguments.one("y").type.shape), transpose_y ? " transposed" : "");
  if (y[y.size() - 2] != k)
    throw InferenceError("y",
                         fmt::format("{}: the contracted dimensions {} and {} differ", operands, k, y[y.size() - 2]));
  TensorType result{arguments.one("x").type.dtype, {}};
  try {
    result.shape = broadcast({x.begin(), x.end() - 2}, {y.begin(), y.end() - 2});
  } catch (const InferenceError&) {
    throw InferenceError("y", operands + ": the batch dimensions do not broadcast");
  }
  if (!row) result.shape.push_back(m);
  if (!column) result.shape.push_back(n);
  return result;
}

TensorType infer_conv(const Arguments& arguments) {
  require_dtype(arguments, "x", {DType::fp16, DType::fp32});
  require_same_dtype(arguments, "weight", "x");
  require_rank(arguments, "x", 3, 5);
  const Shape &x = arguments.one("x").type.shape, &weight = arguments.one("weight").type.shape;
  require_rank(arguments, "weight", x.size(), x.size());
  const std::size_t spatial = x.size() - 2;
  const std::int64_t groups = arguments.integer("groups", 1), filters = weight[0];
  const std::string operands = fmt::format("x of shape {} and weight of shape {}", shape_text(x), shape_text(weight));
  if (groups < 1 || x[1] % groups != 0 || filters % groups != 0 || weight[1] != x[1] / groups)
    throw InferenceError(arguments.has("groups") ? "groups" : "weight",
                         fmt::format("{} do not fit in {} groups", operands, groups));
  if (arguments.has("bias")) {
    require_same_dtype(arguments, "bias", "x");
    if (arguments.one("bias").type.shape != Shape{filters})
      throw InferenceError("bias", fmt::format("bias of shape {}, expected {}",
                                               shape_text(arguments.one("bias").type.shape), shape_text({filters})));
  }
  const std::string pad_type = arguments.has("pad_type") ? arguments.string("pad_type") : "valid";
  if (pad_type != "valid" && pad_type != "same" && pad_type != "same_lower" && pad_type != "custom")
    throw InferenceError("pad_type", "pad_type '" + pad_type + "' is none of valid, same, same_lower, custom");
  const std::vector<std::int64_t> strides = conv_numbers(arguments, "strides", spatial, 1),
                                  dilations = conv_numbers(arguments, "dilations", spatial, 1),
                                  pad = conv_numbers(arguments, "pad", 2 * spatial, 0);
  TensorType result{arguments.one("x").type.dtype, {x[0], filters}};
  for (std::size_t i = 0; i < spatial; ++i) {
    // Other pad types take no notice of pad, which generators write all the same.
    const std::int64_t padding = pad_type == "custom" ? pad[2 * i] + pad[2 * i + 1] : 0;
    const std::int64_t size = window_positions({x[i + 2], weight[i + 2], strides[i], dilations[i], padding}, pad_type);
    if (size == 0)
      throw InferenceError("weight", fmt::format("{}: the kernel is larger than the padded input", operands));
    result.shape.push_back(size);
  }
  return result;
}

}  // namespace aneval::mil
