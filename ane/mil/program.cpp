#include "ane/mil/program.h"

#include <algorithm>
#include <array>
#include <utility>

#include "ane/mil/ops.h"
#include "common/error.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  std::int64_t bytes;
};

constexpr std::array<DTypeRow, 8> kDTypes = {{{DType::fp16, "fp16", 2},
                                              {DType::fp32, "fp32", 4},
                                              {DType::int32, "int32", 4},
                                              {DType::int8, "int8", 1},
                                              {DType::uint8, "uint8", 1},
                                              {DType::uint64, "uint64", 8},
                                              {DType::boolean, "bool", 1},
                                              {DType::string, "string", 0}}};

const DTypeRow& row(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)]; }

template <class List>
auto find_key(const List& list, std::string_view key) -> decltype(list.data()) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto& entry) { return entry.key == key; });
  return found == list.end() ? nullptr : &*found;
}

/// Multiply-accumulates of one matmul: every element of the result sums over the contracted dimension.
double matmul_macs(const Operation& operation, const Arguments& arguments) {
  const Shape& x = arguments.one("x").type.shape;
  if (x.empty()) throw InferenceError("x", "x is a scalar");
  const bool transposed = x.size() > 1 && arguments.boolean("transpose_x", false);
  const std::int64_t contracted = transposed ? x[x.size() - 2] : x.back();
  return static_cast<double>(operation.type.elements()) * static_cast<double>(contracted);
}

/// One output element of a conv takes a filter: its Cin/groups channels times its spatial extent.
double conv_macs(const Operation& operation, const Arguments& arguments) {
  const TensorType& weight = arguments.one("weight").type;
  if (weight.shape.empty()) throw InferenceError("weight", "weight is a scalar");
  const std::int64_t filter = weight.elements() / weight.shape.front();
  return static_cast<double>(operation.type.elements()) * static_cast<double>(filter);
}

}  // namespace

std::string_view dtype_name(DType dtype) { return row(dtype).name; }

std::optional<DType> parse_dtype(std::string_view name) {
  for (const DTypeRow& candidate : kDTypes)
    if (candidate.name == name) return candidate.dtype;
  return std::nullopt;
}

std::int64_t dtype_bytes(DType dtype) { return row(dtype).bytes; }

std::optional<std::int64_t> element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dimension : shape) {
    if (dimension < 1 || dimension > kMaxElements / count) return std::nullopt;
    count *= dimension;
  }
  return count;
}

std::int64_t TensorType::elements() const {
  const std::optional<std::int64_t> count = element_count(shape);
  if (!count)
    throw input_error("type " + type_text(*this), "a dimension is not positive, or there are more than 2^40 elements",
                      "use a smaller shape");
  return *count;
}

std::string type_text(const TensorType& type) {
  const std::string dtype(dtype_name(type.dtype));
  return type.shape.empty() ? dtype : "tensor<" + dtype + ", " + shape_text(type.shape) + ">";
}

const Argument* Operation::find(std::string_view key) const { return find_key(arguments, key); }

const Attribute* Operation::attribute(std::string_view key) const { return find_key(attributes, key); }

const Operation* Function::find(std::string_view identifier) const {
  const auto found = std::find_if(operations.begin(), operations.end(),
                                  [&](const Operation& operation) { return operation.result == identifier; });
  return found == operations.end() ? nullptr : &*found;
}

const Function& Program::main() const {
  for (const Function& function : functions)
    if (function.name == "main") return function;
  if (functions.size() == 1) return functions.front();
  throw input_error(file, "no function is named main among " + std::to_string(functions.size()) + " functions",
                    "name the one that runs main");
}

double matmul_flops(const Function& function) {
  Scope scope;
  double macs = 0;
  for (const Parameter& parameter : function.parameters) scope.add(parameter);
  for (const Operation& operation : function.operations) {
    if (operation.op == "matmul") macs += matmul_macs(operation, resolve_arguments(scope, operation));
    if (operation.op == "conv") macs += conv_macs(operation, resolve_arguments(scope, operation));
    scope.add(operation);
  }
  return 2 * macs;
}

}  // namespace aneval::mil
