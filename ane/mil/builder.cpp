#include "ane/mil/builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ane/half.h"
#include "ane/mil/lexer.h"
#include "ane/mil/ops.h"
#include "ane/mil/text.h"
#include "common/error.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

/// The tools a program claims to come from: the keys that Core ML's own compiler writes.
std::map<std::string, std::string> build_info() {
  return {{"coremlc-component-MIL", "3510.2.1"},
          {"coremlc-version", "3505.4.1"},
          {"coremltools-component-milinternal", ""},
          {"coremltools-version", "9.0"}};
}

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

/// The values that an operation takes, and no others: a scope of all that came before it, for every operation, would
/// make programs of ten thousand operations (tiles of a long sequence) take minutes.
Scope scope_of(const Function& function, const Operation& operation) {
  Scope scope;
  for (const Argument& argument : operation.arguments) {
    for (const std::string& identifier : argument.values) {
      for (const Parameter& parameter : function.parameters)
        if (parameter.name == identifier) scope.add(parameter);
      const auto made = std::find_if(function.operations.rbegin(), function.operations.rend(),
                                     [&](const Operation& earlier) { return earlier.result == identifier; });
      if (made != function.operations.rend()) scope.add(*made);
    }
  }
  return scope;
}

}  // namespace

/// Where the first blob of a weight file lies.
constexpr std::uint64_t kFirstBlob = 64;

std::string weight_path(const std::string& identifier) { return "@model_path/weights/" + identifier + ".bin"; }

Builder::Builder() = default;

std::string Builder::unique(std::string_view name) {
  std::string result(name);
  if (!is_identifier(name))
    throw input_error("value '" + result + "'", "the name is no identifier", "use letters, digits and underscores");
  if (const auto taken = used_.find(result); taken != used_.end()) {
    do {
      result = fmt::format("{}_{}", name, taken->second++);
    } while (used_.contains(result));
  }
  used_.emplace(result, 1);
  return result;
}

Value Builder::append(Operation operation) {
  const std::string subject = operation.op + " '" + operation.result + "'";
  const OpDefinition* definition = find_op(operation.op);
  if (definition == nullptr) throw input_error(subject, "the operation is unknown", "use one of the table in ops.h");
  for (const Argument& argument : operation.arguments) {
    bool known = false;
    for (const auto& keys : {definition->required, definition->optional})
      for (const std::string_view key : keys) known |= key == argument.key;
    if (!known)
      throw input_error(subject, "there is no argument '" + argument.key + "'", "use the keys of the table in ops.h");
  }
  try {
    operation.type = definition->infer(resolve_arguments(scope_of(function_, operation), operation));
  } catch (const InferenceError& failure) {
    throw input_error(subject, failure.what(), "correct the arguments");
  }
  Literal name{{DType::string, {}}, operation.result};
  operation.attributes.insert(operation.attributes.begin(), {"name", std::move(name), {}});
  const Value value{operation.result, operation.type};
  function_.operations.push_back(std::move(operation));
  return value;
}

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

Value Builder::op(std::string_view op, std::vector<std::pair<std::string, Value>> arguments, std::string_view name) {
  const OpDefinition* definition = find_op(op);
  Operation operation;
  operation.op = op;
  operation.result = unique(name);
  for (auto& [key, value] : arguments) {
    auto argument = std::find_if(operation.arguments.begin(), operation.arguments.end(),
                                 [&](const Argument& earlier) { return earlier.key == key; });
    if (argument == operation.arguments.end()) {
      const bool tuple = definition != nullptr && definition->tuple_key == key;
      argument = operation.arguments.insert(argument, {std::move(key), {}, tuple, {}});
    }
    argument->values.push_back(std::move(value.id));
  }
  return append(std::move(operation));
}

Value Builder::slice(const Value& x, const Shape& begin, const Shape& size, std::string_view name) {
  const std::string base(name);
  return op("slice_by_size", {{"x", x}, {"begin", ints(begin, base + "_begin")}, {"size", ints(size, base + "_size")}},
            name);
}

Value Builder::reshape(const Value& x, const Shape& shape, std::string_view name) {
  return op("reshape", {{"x", x}, {"shape", ints(shape, std::string(name) + "_shape")}}, name);
}

Value Builder::transpose(const Value& x, const Shape& perm, std::string_view name) {
  return op("transpose", {{"x", x}, {"perm", ints(perm, std::string(name) + "_perm")}}, name);
}

Value Builder::matmul(const Value& x, const Value& y, bool transpose_x, bool transpose_y, std::string_view name) {
  return op("matmul",
            {{"transpose_x", boolean(transpose_x)}, {"transpose_y", boolean(transpose_y)}, {"x", x}, {"y", y}}, name);
}

Value Builder::add(const Value& x, const Value& y, std::string_view name) {
  return op("add", {{"x", x}, {"y", y}}, name);
}
Value Builder::sub(const Value& x, const Value& y, std::string_view name) {
  return op("sub", {{"x", x}, {"y", y}}, name);
}
Value Builder::mul(const Value& x, const Value& y, std::string_view name) {
  return op("mul", {{"x", x}, {"y", y}}, name);
}
Value Builder::sigmoid(const Value& x, std::string_view name) { return op("sigmoid", {{"x", x}}, name); }

Value Builder::quantize(const Value& x, double scale, std::string_view name) {
  return op("quantize",
            {{"input", x},
             {"output_dtype", text("int8", "int8_text")},
             {"scale", scalar(scale, std::string(name) + "_scale")},
             {"zero_point", eight_bit_integer(0, "zero_point")}},
            name);
}

Value Builder::dequantize(const Value& x, double scale, std::string_view name) {
  return op("dequantize",
            {{"input", x},
             {"scale", scalar(scale, std::string(name) + "_scale")},
             {"zero_point", eight_bit_integer(0, "zero_point")}},
            name);
}

Value Builder::softmax(const Value& x, std::int64_t axis, std::string_view name) {
  return op("softmax", {{"axis", integer(axis, "axis")}, {"x", x}}, name);
}

Value Builder::reduce_sum(const Value& x, const Shape& axes, bool keep_dims, std::string_view name) {
  return op("reduce_sum",
            {{"x", x}, {"axes", ints(axes, std::string(name) + "_axes")}, {"keep_dims", boolean(keep_dims)}}, name);
}

Value Builder::concat(const std::vector<Value>& values, std::int64_t axis, bool interleave, std::string_view name) {
  std::vector<std::pair<std::string, Value>> arguments = {{"axis", integer(axis, "axis")},
                                                          {"interleave", boolean(interleave)}};
  for (const Value& value : values) arguments.emplace_back("values", value);
  return op("concat", std::move(arguments), name);
}

void Builder::rename(std::string from, const std::string& to) {
  const auto replace = [&](std::string& identifier) {
    if (identifier == from) identifier = to;
  };
  for (Operation& operation : function_.operations) {
    if (operation.result == from) operation.attributes.front().literal.value = to;  // append() puts the name first
    replace(operation.result);
    for (Argument& argument : operation.arguments)
      for (std::string& identifier : argument.values) replace(identifier);
  }
  for (Parameter& parameter : function_.parameters) replace(parameter.name);
  if (auto node = exact_.extract(from)) {
    node.key() = to;
    exact_.insert(std::move(node));
  }
}

BuiltProgram Builder::finish(const Value& result, std::string_view result_name) {
  if (function_.find(result.id) == nullptr)
    throw input_error("result '" + result.id + "'", "it is not the result of an operation of this program",
                      "return what an operation made");
  const std::string name(result_name);
  if (result.id != name) {
    if (used_.contains(name))
      rename(name, unique(name));
    else
      unique(name);
    rename(result.id, name);
  }
  function_.results = {name};
  BuiltProgram built;
  built.graph.build_info = build_info();
  built.graph.functions.push_back(std::move(function_));
  built.text = print(built.graph);
  built.weights = std::move(weights_);
  built.exact_constants = std::move(exact_);
  return built;
}

}  // namespace aneval::mil
