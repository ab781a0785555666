#include "ane/mil/family_view.h"

#include <algorithm>
#include <cmath>

namespace aneval::mil {

FunctionView::FunctionView(const Program& program, const Function& function) : program_(program), function_(function) {
  for (const Parameter& parameter : function.parameters)
    if (scope_.add(parameter)) parameters_.emplace(parameter.name, &parameter);
  for (const Operation& operation : function.operations)
    if (scope_.add(operation)) producers_.emplace(operation.result, &operation);
}

const Operation* FunctionView::producer(std::string_view identifier) const {
  const auto found = producers_.find(identifier);
  return found == producers_.end() ? nullptr : found->second;
}

bool FunctionView::is_parameter(std::string_view identifier) const { return parameters_.contains(identifier); }

const std::string* FunctionView::identifier(const Operation& operation, std::string_view key) const {
  const Argument* argument = operation.find(key);
  return argument == nullptr || argument->values.empty() ? nullptr : &argument->values.front();
}

const ArgumentInfo* FunctionView::argument(const Operation& operation, std::string_view key) const {
  const std::string* name = identifier(operation, key);
  return name == nullptr ? nullptr : value(*name);
}

std::optional<std::vector<std::int64_t>> FunctionView::integers(const Operation& operation,
                                                                std::string_view key) const {
  const ArgumentInfo* info = argument(operation, key);
  if (info == nullptr || info->literal == nullptr) return std::nullopt;
  const auto* numbers = std::get_if<std::vector<double>>(&info->literal->value);
  if (numbers == nullptr) return std::nullopt;
  std::vector<std::int64_t> result;
  for (const double number : *numbers) {
    if (!(std::abs(number) < 0x1p53) || number != std::trunc(number)) return std::nullopt;
    result.push_back(static_cast<std::int64_t>(number));
  }
  return result;
}

std::optional<std::int64_t> FunctionView::integer(const Operation& operation, std::string_view key) const {
  const auto numbers = integers(operation, key);
  if (!numbers || numbers->size() != 1) return std::nullopt;
  return numbers->front();
}

bool FunctionView::flag(const Operation& operation, std::string_view key) const {
  return integer(operation, key).value_or(0) != 0;
}

bool FunctionView::constant(std::string_view identifier) const {
  const Operation* operation = producer(identifier);
  return operation != nullptr && operation->op.starts_with("const");
}

std::string named(const Operation& operation) { return operation.op + " '" + operation.result + "'"; }
std::string named(const Parameter& parameter) { return "input '" + parameter.name + "'"; }

bool engine_data(const TensorType& type) {
  return type.dtype == DType::fp16 || type.dtype == DType::fp32 || type.dtype == DType::int8 ||
         type.dtype == DType::uint8;
}

std::int64_t packed_bytes(const TensorType& type) {
  return element_count(type.shape).value_or(0) * dtype_bytes(type.dtype);
}

std::optional<std::size_t> front_axis(std::int64_t axis, std::size_t rank) {
  const auto signed_rank = static_cast<std::int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) return std::nullopt;
  return static_cast<std::size_t>(axis < 0 ? axis + signed_rank : axis);
}

std::optional<std::int64_t> contraction(const FunctionView& view, const Operation& matmul) {
  const ArgumentInfo* x = view.argument(matmul, "x");
  if (x == nullptr || x->type.shape.empty()) return std::nullopt;
  const Shape& shape = x->type.shape;
  const bool turned = shape.size() > 1 && view.flag(matmul, "transpose_x");
  return turned ? shape[shape.size() - 2] : shape.back();
}

}  // namespace aneval::mil
