#include "ane/mil/builder.h"

#include <fmt/format.h>

#include <algorithm>

#include "ane/mil/lexer.h"
#include "ane/mil/ops.h"
#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::mil {

namespace {

/// The tools a program claims to come from: the keys that Core ML's own compiler writes.
std::map<std::string, std::string> build_info() {
  return {{"coremlc-component-MIL", "3510.2.1"},
          {"coremlc-version", "3505.4.1"},
          {"coremltools-component-milinternal", ""},
          {"coremltools-version", "9.0"}};
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
