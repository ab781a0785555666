// The builder's values that no operation makes: inputs, constants in the text, weights in files, of fp16 or of 8 bits.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "ane/half.h"
#include "ane/mil/builder.h"
#include "ane/mil/text.h"
#include "common/error.h"
#include "common/tensor.h"

namespace aneval::mil {
namespace {

/// Where the first blob of a weight file lies.
constexpr std::uint64_t kFirstBlob = 64;

ane::half_t rounded(double value, std::string_view name) {
  const ane::half_t bits = ane::to_half(value);
  if (!std::isfinite(ane::to_float(bits)))
    throw input_error("constant '" + std::string(name) + "'", fmt::format("{} does not fit into fp16", value),
                      "keep constants within 65504");
  return bits;
}

void require_shape(const Shape& shape, std::string_view name) {
  if (!element_count(shape) || shape.size() > kMaxRank)
    throw input_error("value '" + std::string(name) + "'", "the shape " + shape_text(shape) + " is impossible",
                      fmt::format("use positive dimensions, at most {} and 2^40 elements", kMaxRank));
}

void require_count(const TensorType& type, std::size_t values, std::string_view name) {
  if (type.elements() != static_cast<std::int64_t>(values))
    throw input_error("constant '" + std::string(name) + "'", fmt::format("{} values for {}", values, type_text(type)),
                      "give as many as the shape says");
}

}  // namespace

std::string weight_path(const std::string& identifier) { return "@model_path/weights/" + identifier + ".bin"; }

Value Builder::input(std::string_view name, Shape shape, DType dtype) {
  require_shape(shape, name);
  Parameter parameter{unique(name), {dtype, std::move(shape)}, {}};
  const Value value{parameter.name, parameter.type};
  function_.parameters.push_back(std::move(parameter));
  return value;
}

Value Builder::constant(Literal literal, std::string_view name, std::string_view sharing_key) {
  const std::string key = type_text(literal.type) + " " + std::string(sharing_key);
  if (const auto found = shared_.find(key); found != shared_.end()) return found->second;
  Operation operation;
  operation.op = "const";
  operation.result = unique(name);
  operation.attributes.push_back({"val", std::move(literal), {}});
  return shared_.emplace(key, append(std::move(operation))).first->second;
}

Value Builder::scalar(double value, std::string_view name) {
  const double held = ane::to_float(rounded(value, name));
  // Constants that differ before rounding are kept apart: their exact values differ.
  const Value result = constant({{DType::fp16, {}}, std::vector<double>{held}}, name, fmt::format("{:a}", value));
  exact_.try_emplace(result.id, std::vector<double>{value});
  return result;
}

Value Builder::integer(std::int64_t value, std::string_view name) {
  if (value < INT32_MIN || value > INT32_MAX)
    throw input_error("constant '" + std::string(name) + "'", fmt::format("{} does not fit into int32", value),
                      "use a smaller number");
  return constant({{DType::int32, {}}, std::vector<double>{static_cast<double>(value)}}, name,
                  fmt::format("{}", value));
}

Value Builder::ints(std::initializer_list<std::int64_t> values, std::string_view name) {
  return ints(Shape(values), name);
}

Value Builder::ints(const Shape& values, std::string_view name) {
  std::vector<double> numbers(values.begin(), values.end());
  for (const std::int64_t value : values)
    if (value < INT32_MIN || value > INT32_MAX)
      throw input_error("constant '" + std::string(name) + "'", fmt::format("{} does not fit into int32", value),
                        "use smaller dimensions");
  if (values.empty())
    throw input_error("constant '" + std::string(name) + "'", "it has no values", "give at least one");
  const TensorType type{DType::int32, {static_cast<std::int64_t>(values.size())}};
  return constant({type, std::move(numbers)}, name, shape_text(values));
}

Value Builder::boolean(bool value) {
  return constant({{DType::boolean, {}}, std::vector<double>{value ? 1.0 : 0.0}}, value ? "bT" : "bF",
                  value ? "true" : "false");
}

Value Builder::eight_bit_integer(std::int64_t value, std::string_view name) {
  if (value < INT8_MIN || value > INT8_MAX)
    throw input_error("constant '" + std::string(name) + "'", fmt::format("{} does not fit into int8", value),
                      "use a smaller number");
  return constant({{DType::int8, {}}, std::vector<double>{static_cast<double>(value)}}, name, fmt::format("{}", value));
}

Value Builder::text(std::string_view value, std::string_view name) {
  return constant({{DType::string, {}}, std::string(value)}, name, value);
}

Value Builder::weights(std::string_view name, Shape shape, std::span<const double> exact) {
  require_shape(shape, name);
  TensorType type{DType::fp16, std::move(shape)};
  require_count(type, exact.size(), name);
  std::vector<ane::half_t> halves;
  halves.reserve(exact.size());
  for (const double value : exact) halves.push_back(rounded(value, name));
  return file_constant(name, std::move(type), halves, std::vector<double>(exact.begin(), exact.end()));
}

Value Builder::weight_bits(std::string_view name, Shape shape, std::span<const ane::half_t> bits) {
  require_shape(shape, name);
  TensorType type{DType::fp16, std::move(shape)};
  require_count(type, bits.size(), name);
  std::vector<float> numbers(bits.size());
  ane::to_float(bits.data(), numbers.data(), static_cast<std::int64_t>(bits.size()));
  for (const float number : numbers)
    if (!std::isfinite(number))
      throw input_error("constant '" + std::string(name) + "'", fmt::format("{} does not fit into fp16", number),
                        "keep constants within 65504");
  return file_constant(name, std::move(type), bits, std::vector<double>(numbers.begin(), numbers.end()));
}

Value Builder::file_constant(std::string_view name, TensorType type, std::span<const ane::half_t> bits,
                             std::vector<double> exact) {
  ane::BlobWriter writer;
  const std::uint64_t offset = writer.add(bits);
  const Value result = file_constant(name, std::move(type), offset);
  weights_.emplace(weight_path(result.id), writer.finish());
  exact_.emplace(result.id, std::move(exact));
  return result;
}

Value Builder::eight_bit_weights(std::string_view name, Shape shape, std::int64_t axis,
                                 std::span<const std::int8_t> numbers, std::span<const float> scales,
                                 std::span<const float> exact) {
  require_shape(shape, name);
  require_count({DType::int8, shape}, numbers.size(), name);
  require_count({DType::int8, shape}, exact.size(), name);
  std::vector<ane::half_t> bits;
  bits.reserve(scales.size());
  for (const float scale : scales) bits.push_back(rounded(static_cast<double>(scale), name));
  ane::BlobWriter writer;
  const std::uint64_t data = writer.add(ane::BlobType::int8, std::as_bytes(numbers)), scale = writer.add(bits);
  const Value result = affine_dequantize(name, std::move(shape), axis, scales.size(), data, scale);
  weights_.emplace(weight_path(result.id), writer.finish());
  exact_.emplace(result.id, std::vector<double>(exact.begin(), exact.end()));
  return result;
}

Value Builder::affine_dequantize(std::string_view name, Shape shape, std::int64_t axis, std::size_t scales,
                                 std::uint64_t data_offset, std::uint64_t scale_offset) {
  Operation operation;
  operation.op = "constexpr_affine_dequantize";
  operation.result = unique(name);
  const std::string path = weight_path(operation.result);
  const TensorType scale_type{DType::fp16, {static_cast<std::int64_t>(scales)}};
  operation.attributes = {{"axis", {{DType::int32, {}}, std::vector<double>{static_cast<double>(axis)}}, {}},
                          {"quantized_data", {{DType::int8, std::move(shape)}, BlobFile{path, data_offset}}, {}},
                          {"scale", {scale_type, BlobFile{path, scale_offset}}, {}},
                          {"zero_point", {{DType::int8, {}}, std::vector<double>{0}}, {}}};
  return append(std::move(operation));
}

Value Builder::absent_eight_bit_weights(std::string_view name, Shape shape, std::int64_t axis) {
  require_shape(shape, name);
  const auto scales = static_cast<std::size_t>(shape[static_cast<std::size_t>(axis)]);
  return affine_dequantize(name, std::move(shape), axis, scales, kFirstBlob, kFirstBlob);
}

Value Builder::absent_weights(std::string_view name, Shape shape) {
  require_shape(shape, name);
  return file_constant(name, {DType::fp16, std::move(shape)}, kFirstBlob);
}

Value Builder::file_constant(std::string_view name, TensorType type, std::uint64_t offset) {
  Operation operation;
  operation.op = "const";
  operation.result = unique(name);
  operation.attributes.push_back({"val", {std::move(type), BlobFile{weight_path(operation.result), offset}}, {}});
  return append(std::move(operation));
}

}  // namespace aneval::mil
