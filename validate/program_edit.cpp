#include "validate/program_edit.h"

#include <algorithm>
#include <stdexcept>

#include "ane/half.h"
#include "ane/mil/text.h"

namespace aneval::validate {
namespace {

mil::Literal& literal(mil::Operation& operation, std::string_view key) {
  for (mil::Attribute& attribute : operation.attributes)
    if (attribute.key == key) return attribute.literal;
  throw std::logic_error("operation '" + operation.result + "' has no attribute '" + std::string(key) + "'");
}

}  // namespace

mil::Operation& ProgramEdit::operation(std::string_view result) {
  for (mil::Operation& operation : program_.graph.functions.at(0).operations)
    if (operation.result == result) return operation;
  throw std::logic_error("the program has no value '" + std::string(result) + "'");
}

mil::Argument& ProgramEdit::argument(std::string_view result, std::string_view key) {
  for (mil::Argument& argument : operation(result).arguments)
    if (argument.key == key) return argument;
  throw std::logic_error("operation '" + std::string(result) + "' has no argument '" + std::string(key) + "'");
}

void ProgramEdit::set_scalar(std::string_view id, double value) {
  const double held = static_cast<double>(ane::to_float(ane::to_half(value)));
  literal(operation(id), "val").value = std::vector<double>{held};
  program_.exact_constants.insert_or_assign(std::string(id), std::vector<double>{value});
}

void ProgramEdit::change_weights(std::string_view id, const std::function<void(std::span<double>)>& change) {
  std::vector<double>& exact = program_.exact_constants.at(std::string(id));
  change(exact);
  std::vector<ane::half_t> bits(exact.size());
  std::transform(exact.begin(), exact.end(), bits.begin(), [](double value) { return ane::to_half(value); });
  ane::BlobWriter writer;
  auto& blob = std::get<mil::BlobFile>(literal(operation(id), "val").value);
  blob.offset = writer.add(bits);
  program_.weights.at(blob.path) = writer.finish();
}

void ProgramEdit::set_argument(std::string_view result, std::string_view key, std::string_view value) {
  (void)operation(value);
  argument(result, key).values = {std::string(value)};
}

void ProgramEdit::set_constant_argument(std::string_view result, std::string_view key, std::vector<double> numbers) {
  // Equal constants are shared by many operations: this one gets its own.
  mil::Operation constant = operation(argument(result, key).values.at(0));
  constant.result = std::string(result) + "_" + std::string(key) + "_edited";
  literal(constant, "name").value = constant.result;
  literal(constant, "val").value = std::move(numbers);
  argument(result, key).values = {constant.result};
  auto& operations = program_.graph.functions.at(0).operations;
  operations.insert(operations.begin(), std::move(constant));
}

void ProgramEdit::replace_uses(std::string_view from, std::string_view to,
                               const std::function<bool(const mil::Operation&)>& chosen) {
  (void)operation(to);
  for (mil::Operation& operation : program_.graph.functions.at(0).operations)
    for (mil::Argument& argument : operation.arguments)
      for (std::string& value : argument.values)
        if (value == from && chosen(operation)) value = std::string(to);
}

void ProgramEdit::set_type(std::string_view result, mil::Shape shape) {
  operation(result).type.shape = std::move(shape);
}

mil::BuiltProgram ProgramEdit::finish() {
  program_.text = mil::print(program_.graph);
  return std::move(program_);
}

}  // namespace aneval::validate
