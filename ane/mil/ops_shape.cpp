// Result types of the operations that only move elements: reshape, transpose, slices, concat and their kin.
#include <fmt/format.h>

#include <algorithm>

#include "ane/mil/ops_infer.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

/// Operations that only move elements take any dtype that a tensor has.
const TensorType& movable(const Arguments& arguments, std::string_view key) {
  require_dtype(arguments, key, {DType::fp16, DType::fp32, DType::int32, DType::int8, DType::uint8, DType::boolean});
  return arguments.one(key).type;
}

/// One entry per dimension of x.
std::vector<std::int64_t> per_dimension(const Arguments& arguments, std::string_view key, const Shape& x) {
  std::vector<std::int64_t> values = arguments.ints(key);
  if (values.size() != x.size())
    throw InferenceError(std::string(key),
                         fmt::format("{} has {} entries for x of shape {}", key, values.size(), shape_text(x)));
  return values;
}

std::vector<bool> mask(const Arguments& arguments, std::string_view key, const Shape& x) {
  if (!arguments.has(key)) return std::vector<bool>(x.size(), false);
  std::vector<bool> values = arguments.booleans(key);
  if (values.size() != x.size())
    throw InferenceError(std::string(key),
                         fmt::format("{} has {} entries for x of shape {}", key, values.size(), shape_text(x)));
  return values;
}

}  // namespace

std::size_t normal_axis(std::int64_t axis, std::size_t rank, std::string_view key) {
  const auto limit = static_cast<std::int64_t>(rank);
  if (axis < -limit || axis >= limit)
    throw InferenceError(std::string(key), fmt::format("{} {} is outside rank {}", key, axis, rank));
  return static_cast<std::size_t>(axis < 0 ? axis + limit : axis);
}

std::vector<bool> axis_flags(const std::vector<std::int64_t>& axes, std::size_t rank, std::string_view key) {
  std::vector<bool> flags(rank, false);
  for (const std::int64_t axis : axes) {
    const std::size_t index = normal_axis(axis, rank, key);
    if (flags[index]) throw InferenceError(std::string(key), fmt::format("{} names axis {} twice", key, index));
    flags[index] = true;
  }
  return flags;
}

TensorType infer_slice_by_size(const Arguments& arguments) {
  TensorType result = movable(arguments, "x");
  const Shape& x = arguments.one("x").type.shape;
  const std::vector<std::int64_t> begin = per_dimension(arguments, "begin", x);
  const std::vector<std::int64_t> size = per_dimension(arguments, "size", x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t first = begin[i] < 0 ? begin[i] + x[i] : begin[i];
    if (first < 0 || first >= x[i])
      throw InferenceError("begin", fmt::format("begin {} is outside x of shape {}", shape_text(begin), shape_text(x)));
    const std::int64_t count = size[i] == -1 ? x[i] - first : size[i];
    if (count < 1 || count > x[i] - first)
      throw InferenceError("size", fmt::format("size {} from begin {} is outside x of shape {}", shape_text(size),
                                               shape_text(begin), shape_text(x)));
    result.shape[i] = count;
  }
  return result;
}

TensorType infer_slice_by_index(const Arguments& arguments) {
  const TensorType& type = movable(arguments, "x");
  const Shape& x = type.shape;
  const std::vector<std::int64_t> begin = per_dimension(arguments, "begin", x);
  const std::vector<std::int64_t> end = per_dimension(arguments, "end", x);
  const std::vector<std::int64_t> stride =
      arguments.has("stride") ? per_dimension(arguments, "stride", x) : std::vector<std::int64_t>(x.size(), 1);
  const std::vector<bool> begin_mask = mask(arguments, "begin_mask", x), end_mask = mask(arguments, "end_mask", x),
                          squeeze_mask = mask(arguments, "squeeze_mask", x);
  TensorType result{type.dtype, {}};
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (squeeze_mask[i]) {
      normal_axis(begin[i], static_cast<std::size_t>(x[i]), "begin");
      continue;
    }
    if (stride[i] == 0) throw InferenceError("stride", "stride " + shape_text(stride) + " has a zero");
    // As Python's slices: positions beyond an end are moved to it, and a negative stride runs from the last element
    // to before the first.
    const bool forward = stride[i] > 0;
    const std::int64_t low = forward ? 0 : -1, high = forward ? x[i] : x[i] - 1;
    const auto position = [&](std::int64_t index) { return std::clamp(index < 0 ? index + x[i] : index, low, high); };
    const std::int64_t first = begin_mask[i] ? (forward ? low : high) : position(begin[i]);
    const std::int64_t last = end_mask[i] ? (forward ? high : low) : position(end[i]);
    const std::int64_t span = forward ? last - first : first - last, step = forward ? stride[i] : -stride[i];
    if (span < 1)
      throw InferenceError("end", fmt::format("begin {}, end {}, stride {} take nothing from x of shape {}",
                                              shape_text(begin), shape_text(end), shape_text(stride), shape_text(x)));
    result.shape.push_back((span + step - 1) / step);
  }
  return result;
}

TensorType infer_reshape(const Arguments& arguments) {
  const TensorType& x = movable(arguments, "x");
  TensorType result{x.dtype, arguments.ints("shape")};
  const auto refuse = [&](std::string_view why) {
    throw InferenceError("shape", fmt::format("x of shape {} cannot become {}: {}", shape_text(x.shape),
                                              shape_text(arguments.ints("shape")), why));
  };
  std::int64_t* inferred = nullptr;
  std::int64_t known = 1;
  for (std::size_t i = 0; i < result.shape.size(); ++i) {
    std::int64_t& dimension = result.shape[i];
    if (dimension == -1) {
      if (inferred != nullptr) refuse("-1 stands there twice");
      inferred = &dimension;
      continue;
    }
    if (dimension == 0) {
      if (result.shape.size() != x.shape.size()) refuse("0 copies a dimension of x, which needs equal ranks");
      dimension = x.shape[i];
    }
    if (dimension < 1) refuse("a dimension is negative");
    if (dimension > kMaxElements / known) refuse("there are more than 2^40 elements");
    known *= dimension;
  }
  const std::int64_t total = x.elements();
  if (inferred != nullptr) {
    if (total % known != 0) refuse("the element count is not divisible");
    *inferred = total / known;
  } else if (known != total) {
    refuse(fmt::format("{} elements, not {}", total, known));
  }
  return result;
}

TensorType infer_transpose(const Arguments& arguments) {
  const TensorType& x = movable(arguments, "x");
  const std::vector<std::int64_t> perm = per_dimension(arguments, "perm", x.shape);
  axis_flags(perm, x.shape.size(), "perm");
  TensorType result{x.dtype, {}};
  for (const std::int64_t axis : perm) result.shape.push_back(x.shape[normal_axis(axis, x.shape.size(), "perm")]);
  return result;
}

TensorType infer_expand_dims(const Arguments& arguments) {
  const TensorType& x = movable(arguments, "x");
  const std::vector<std::int64_t> axes = arguments.ints("axes");
  TensorType result{x.dtype, {}};
  std::size_t next = 0;
  for (const bool added : axis_flags(axes, x.shape.size() + axes.size(), "axes"))
    result.shape.push_back(added ? 1 : x.shape[next++]);
  return result;
}

TensorType infer_squeeze(const Arguments& arguments) {
  const TensorType& x = movable(arguments, "x");
  const bool given = arguments.has("axes");
  const std::vector<bool> flags =
      given ? axis_flags(arguments.ints("axes"), x.shape.size(), "axes") : std::vector<bool>(x.shape.size(), true);
  TensorType result{x.dtype, {}};
  for (std::size_t i = 0; i < x.shape.size(); ++i) {
    if (flags[i] && x.shape[i] == 1) continue;
    if (flags[i] && given)
      throw InferenceError("axes", fmt::format("axis {} of x of shape {} is not 1", i, shape_text(x.shape)));
    result.shape.push_back(x.shape[i]);
  }
  return result;
}

TensorType infer_concat(const Arguments& arguments) {
  const std::vector<ArgumentInfo>& values = arguments.all("values");
  if (values.empty()) throw InferenceError("values", "values is empty");
  TensorType result = values.front().type;
  const std::size_t axis = normal_axis(arguments.integer("axis"), result.shape.size(), "axis");
  const bool interleave = arguments.boolean("interleave", false);
  for (std::size_t i = 1; i < values.size(); ++i) {
    const TensorType& other = values[i].type;
    Shape expected = values.front().type.shape;
    if (!interleave && other.shape.size() == expected.size()) expected[axis] = other.shape[axis];
    if (other.dtype != result.dtype || other.shape != expected)
      throw InferenceError("values", fmt::format("{} and {} cannot be {} along axis {}", type_text(values.front().type),
                                                 type_text(other), interleave ? "interleaved" : "joined", axis));
    result.shape[axis] += other.shape[axis];
  }
  return result;
}

}  // namespace aneval::mil
