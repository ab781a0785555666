#include "validate/self_test/program_edit.h"

#include <algorithm>
#include <cstring>
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

/// A weight file of its own for scales that were changed: the numbers stay where they are.
std::string scale_path(std::string_view id) { return mil::weight_path(std::string(id) + "_scale"); }

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

void ProgramEdit::change_eight_bits(std::string_view id, const std::function<void(EightBits&)>& change) {
  mil::Operation& constant = operation(id);
  const mil::Shape& shape = constant.type.shape;
  auto& scale = literal(constant, "scale");
  auto& zero = std::get<std::vector<double>>(literal(constant, "zero_point").value).at(0);
  auto& axis = std::get<std::vector<double>>(literal(constant, "axis").value).at(0);
  const auto& blob = std::get<mil::BlobFile>(scale.value);
  const auto bytes = static_cast<std::uint64_t>(2 * scale.type.elements());
  const ane::Blob held = ane::read_blob(program_.weights.at(blob.path), blob.offset, bytes, blob.path);
  EightBits before;
  for (std::size_t i = 0; i < bytes; i += 2) {
    ane::half_t bits;
    std::memcpy(&bits, held.bytes.data() + i, 2);
    before.scales.push_back(static_cast<double>(ane::to_float(bits)));
  }
  before.zero_point = zero;
  before.axis = static_cast<std::int64_t>(axis);
  EightBits after = before;
  change(after);
  if (after.scales.size() != static_cast<std::size_t>(shape[static_cast<std::size_t>(after.axis)]))
    throw std::logic_error("an axis of '" + std::string(id) + "' has another number of scales");
  const auto scale_at = [&](const EightBits& of, std::size_t element) {
    std::size_t inner = 1;
    for (auto i = static_cast<std::size_t>(of.axis) + 1; i < shape.size(); ++i)
      inner *= static_cast<std::size_t>(shape[i]);
    return of.scales[element / inner % of.scales.size()];
  };
  std::vector<double>& exact = program_.exact_constants.at(std::string(id));
  for (std::size_t i = 0; i < exact.size(); ++i)
    exact[i] = (exact[i] / scale_at(before, i) + before.zero_point - after.zero_point) * scale_at(after, i);
  std::vector<ane::half_t> bits;
  for (const double value : after.scales) bits.push_back(ane::to_half(value));
  ane::BlobWriter writer;
  const std::string path = scale_path(id);
  scale.value = mil::BlobFile{path, writer.add(bits)};
  program_.weights[path] = writer.finish();
  zero = after.zero_point;
  axis = static_cast<double>(after.axis);
}

std::vector<std::string> ProgramEdit::eight_bit_constants() const {
  std::vector<std::string> ids;
  for (const mil::Operation& operation : program_.graph.functions.at(0).operations)
    if (operation.op == "constexpr_affine_dequantize") ids.push_back(operation.result);
  return ids;
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

double ProgramEdit::number(std::string_view result, std::string_view key) {
  mil::Operation& constant = operation(argument(result, key).values.at(0));
  return std::get<std::vector<double>>(literal(constant, "val").value).at(0);
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
