#include "ane/mil/ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ane/mil/ops_infer.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

using Keys = std::vector<std::string_view>;
using Infer = TensorType (*)(const Arguments&);

OpDefinition row(std::string_view name, Keys required, Keys optional, Infer infer) {
  OpDefinition definition;
  definition.name = name;
  definition.required = std::move(required);
  definition.optional = std::move(optional);
  definition.infer = [infer](const Arguments& arguments) {
    TensorType type = infer(arguments);
    if (!element_count(type.shape))
      throw InferenceError("", "the result of shape " + shape_text(type.shape) + " has more than 2^40 elements");
    return type;
  };
  return definition;
}

OpDefinition data_row(std::string_view name, Keys required, Infer infer) {
  OpDefinition definition = row(name, std::move(required), {}, infer);
  definition.from_attributes = true;
  return definition;
}

OpDefinition tuple_row(std::string_view name, Keys required, Keys optional, Infer infer) {
  OpDefinition definition = row(name, std::move(required), std::move(optional), infer);
  definition.tuple_key = definition.required.front();
  return definition;
}

std::vector<OpDefinition> make_table() {
  return {
      data_row("const", {"val"}, infer_const),
      row("slice_by_size", {"x", "begin", "size"}, {}, infer_slice_by_size),
      row("slice_by_index", {"x", "begin", "end"}, {"stride", "begin_mask", "end_mask", "squeeze_mask"},
          infer_slice_by_index),
      row("reshape", {"x", "shape"}, {}, infer_reshape),
      row("transpose", {"x", "perm"}, {}, infer_transpose),
      row("expand_dims", {"x", "axes"}, {}, infer_expand_dims),
      row("squeeze", {"x"}, {"axes"}, infer_squeeze),
      tuple_row("concat", {"values", "axis"}, {"interleave"}, infer_concat),
      row("matmul", {"x", "y"}, {"transpose_x", "transpose_y"}, infer_matmul),
      row("conv", {"x", "weight"}, {"bias", "strides", "pad_type", "pad", "dilations", "groups"}, infer_conv),
      row("add", {"x", "y"}, {}, infer_binary),
      row("sub", {"x", "y"}, {}, infer_binary),
      row("mul", {"x", "y"}, {}, infer_binary),
      row("real_div", {"x", "y"}, {}, infer_binary),
      row("maximum", {"x", "y"}, {}, infer_binary),
      row("minimum", {"x", "y"}, {}, infer_binary),
      row("pow", {"x", "y"}, {}, infer_binary),
      row("softmax", {"x"}, {"axis"}, infer_softmax),
      row("sigmoid", {"x"}, {}, infer_float_unary),
      row("tanh", {"x"}, {}, infer_float_unary),
      row("exp", {"x"}, {}, infer_float_unary),
      row("sqrt", {"x"}, {}, infer_float_unary),
      row("rsqrt", {"x"}, {"epsilon"}, infer_rsqrt),
      row("square", {"x"}, {}, infer_number_unary),
      row("silu", {"x"}, {}, infer_float_unary),
      row("relu", {"x"}, {}, infer_number_unary),
      row("reduce_sum", {"x"}, {"axes", "keep_dims"}, infer_reduce),
      row("reduce_mean", {"x"}, {"axes", "keep_dims"}, infer_reduce),
      row("reduce_max", {"x"}, {"axes", "keep_dims"}, infer_reduce),
      row("cast", {"x", "dtype"}, {}, infer_cast),
      row("quantize", {"input", "scale", "output_dtype"}, {"zero_point", "axis"}, infer_quantize),
      row("dequantize", {"input", "scale"}, {"zero_point", "axis"}, infer_dequantize),
      data_row("constexpr_affine_dequantize", {"quantized_data", "zero_point", "scale", "axis"},
               infer_constexpr_affine_dequantize),
  };
}

/// The numbers of a constant argument: exactly as many as its type says, none of them in a weight file.
const std::vector<double>& numbers(const ArgumentInfo& info, std::string_view key) {
  const std::string name(key);
  if (info.literal == nullptr) throw NonConstantArgument(name, name + " must be a constant");
  const auto* values = std::get_if<std::vector<double>>(&info.literal->value);
  if (std::holds_alternative<BlobFile>(info.literal->value))
    throw NonConstantArgument(name, name + " must be written in the text, not in a weight file");
  if (values == nullptr) throw InferenceError(name, name + " must be numbers, not a string");
  if (element_count(info.type.shape) != static_cast<std::int64_t>(values->size()))
    throw InferenceError(name, fmt::format("{} has {} values for {}", name, values->size(), type_text(info.type)));
  return *values;
}

}  // namespace

const std::vector<OpDefinition>& op_definitions() {
  static const std::vector<OpDefinition> table = make_table();
  return table;
}

const OpDefinition* find_op(std::string_view name) {
  for (const OpDefinition& definition : op_definitions())
    if (definition.name == name) return &definition;
  return nullptr;
}

void Arguments::add(std::string key, std::vector<ArgumentInfo> infos) {
  entries_.emplace_back(std::move(key), std::move(infos));
}

bool Arguments::has(std::string_view key) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.first == key; });
}

const std::vector<ArgumentInfo>& Arguments::all(std::string_view key) const {
  for (const auto& [name, infos] : entries_)
    if (name == key) return infos;
  throw InferenceError(std::string(key), std::string(key) + " is missing");
}

const ArgumentInfo& Arguments::one(std::string_view key) const {
  const std::vector<ArgumentInfo>& infos = all(key);
  if (infos.size() != 1)
    throw InferenceError(std::string(key), fmt::format("{} takes one value, not {}", key, infos.size()));
  return infos.front();
}

std::vector<std::int64_t> Arguments::ints(std::string_view key) const {
  const ArgumentInfo& info = one(key);
  const std::vector<double>& values = numbers(info, key);
  if (info.type.dtype != DType::int32 || info.type.shape.size() > 1)
    throw InferenceError(std::string(key), fmt::format("{} must be int32 numbers, not {}", key, type_text(info.type)));
  std::vector<std::int64_t> result;
  result.reserve(values.size());
  for (const double value : values) {
    if (!(value >= -0x1p31 && value < 0x1p31 && value == std::trunc(value)))
      throw InferenceError(std::string(key), fmt::format("{} holds {}, which is no int32", key, value));
    result.push_back(static_cast<std::int64_t>(value));
  }
  return result;
}

std::int64_t Arguments::integer(std::string_view key, std::optional<std::int64_t> fallback) const {
  if (fallback && !has(key)) return *fallback;
  const std::vector<std::int64_t> values = ints(key);
  if (values.size() != 1)
    throw InferenceError(std::string(key), fmt::format("{} must be one number, not {}", key, values.size()));
  return values.front();
}

std::vector<bool> Arguments::booleans(std::string_view key) const {
  const ArgumentInfo& info = one(key);
  const std::vector<double>& values = numbers(info, key);
  if (info.type.dtype != DType::boolean)
    throw InferenceError(std::string(key), fmt::format("{} must be bool, not {}", key, type_text(info.type)));
  std::vector<bool> result;
  for (const double value : values) result.push_back(value != 0);
  return result;
}

bool Arguments::boolean(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  const std::vector<bool> values = booleans(key);
  if (values.size() != 1)
    throw InferenceError(std::string(key), fmt::format("{} must be one bool, not {}", key, values.size()));
  return values.front();
}

std::string Arguments::string(std::string_view key) const {
  const std::string name(key);
  const ArgumentInfo& info = one(key);
  if (info.literal == nullptr) throw NonConstantArgument(name, name + " must be a constant");
  const auto* text = std::get_if<std::string>(&info.literal->value);
  if (text == nullptr) throw InferenceError(name, name + " must be a string, not " + type_text(info.type));
  return *text;
}

Shape broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  const std::size_t offset = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    std::int64_t& dimension = result[offset + i];
    if (dimension == 1)
      dimension = shorter[i];
    else if (shorter[i] != 1 && shorter[i] != dimension)
      throw InferenceError("", "shapes " + shape_text(a) + " and " + shape_text(b) + " do not broadcast");
  }
  return result;
}

bool Scope::add(const Parameter& parameter) {
  return values_.try_emplace(parameter.name, ArgumentInfo{parameter.type, nullptr}).second;
}

bool Scope::add(const Operation& operation) {
  const Attribute* value = operation.op == "const" ? operation.attribute("val") : nullptr;
  return values_.try_emplace(operation.result, ArgumentInfo{operation.type, value ? &value->literal : nullptr}).second;
}

const ArgumentInfo* Scope::find(std::string_view identifier) const {
  const auto found = values_.find(identifier);
  return found == values_.end() ? nullptr : &found->second;
}

Arguments resolve_arguments(const Scope& scope, const Operation& operation) {
  Arguments arguments;
  const OpDefinition* definition = find_op(operation.op);
  if (definition != nullptr && definition->from_attributes) {
    for (const Attribute& attribute : operation.attributes)
      arguments.add(attribute.key, {{attribute.literal.type, &attribute.literal}});
    return arguments;
  }
  for (const Argument& argument : operation.arguments) {
    std::vector<ArgumentInfo> infos;
    for (const std::string& identifier : argument.values) {
      const ArgumentInfo* info = scope.find(identifier);
      if (info == nullptr) throw InferenceError(argument.key, "'" + identifier + "' is not defined");
      infos.push_back(*info);
    }
    arguments.add(argument.key, std::move(infos));
  }
  return arguments;
}

Arguments resolve_arguments(const Function& function, const Operation& operation) {
  Scope scope;
  for (const Parameter& parameter : function.parameters) scope.add(parameter);
  for (const Operation& earlier : function.operations) {
    if (&earlier == &operation) break;
    scope.add(earlier);
  }
  return resolve_arguments(scope, operation);
}

}  // namespace aneval::mil
