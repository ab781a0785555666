#include "ane/emulator/plan_eight_bits.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "ane/emulator/planner.h"
#include "ane/half.h"
#include "common/error.h"

namespace aneval::emulator {

std::vector<double> constant_values(const mil::Literal& literal, const ane::WeightFiles& weights) {
  if (const auto* numbers = std::get_if<std::vector<double>>(&literal.value)) {
    // A single number for a whole tensor is a fill.
    const auto n = static_cast<std::size_t>(literal.type.elements());
    return numbers->size() == 1 ? std::vector<double>(n, numbers->front()) : *numbers;
  }
  const auto& blob_file = std::get<mil::BlobFile>(literal.value);
  const auto file = weights.find(blob_file.path);
  if (file == weights.end())
    throw input_error("weight file '" + blob_file.path + "'", "is not among the program's weights",
                      "put it under weights/ beside the program");
  const auto n = static_cast<std::size_t>(literal.type.elements());
  const auto bytes = static_cast<std::uint64_t>(mil::dtype_bytes(literal.type.dtype)) * n;
  const ane::Blob blob = ane::read_blob(file->second, blob_file.offset, bytes, blob_file.path);
  std::vector<double> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    switch (literal.type.dtype) {
      case mil::DType::fp32: {
        float value;
        std::memcpy(&value, blob.bytes.data() + 4 * i, 4);
        values[i] = static_cast<double>(value);
        break;
      }
      case mil::DType::int8:
        values[i] = static_cast<double>(std::to_integer<std::int8_t>(blob.bytes[i]));
        break;
      case mil::DType::uint8:
        values[i] = static_cast<double>(std::to_integer<std::uint8_t>(blob.bytes[i]));
        break;
      default: {
        ane::half_t bits;
        std::memcpy(&bits, blob.bytes.data() + 2 * i, 2);
        values[i] = static_cast<double>(ane::to_float(bits));
      }
    }
  }
  return values;
}

Units units_of(const mil::Arguments& arguments, const mil::Shape& shape, const ane::WeightFiles& weights) {
  const auto numbers = [&](const std::string& key) {
    const mil::Literal* literal = arguments.one(key).literal;
    if (literal == nullptr) throw mil::InferenceError(key, key + " must be a constant for the emulator");
    return constant_values(*literal, weights);
  };
  Units units;
  units.scale = numbers("scale");
  if (arguments.has("zero_point")) units.zero = numbers("zero_point");
  if (units.scale.size() > 1) {
    const auto axis = normal_axis(arguments.integer("axis"), static_cast<int>(shape.size()));
    for (auto i = static_cast<std::size_t>(axis) + 1; i < shape.size(); ++i) units.inner *= shape[i];
  }
  for (const double scale : units.scale)
    if (!(scale > 0)) throw mil::InferenceError("scale", "a scale of " + std::to_string(scale) + " is not positive");
  return units;
}

bool has_no_zero_point(const Units& units) {
  return std::ranges::all_of(units.zero, [](double zero) { return zero == 0; });
}

std::optional<IntegerProduct> integer_product(std::vector<Operand>& inputs, std::array<int, 2> lines,
                                              const std::unordered_map<int, Dequantized>& dequantized) {
  std::array<int, 2> integers{};
  std::array<std::optional<std::vector<double>>, 2> scales;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto found = dequantized.find(inputs[i].buffer);
    if (found == dequantized.end()) return std::nullopt;
    integers[i] = found->second.integers;
    scales[i] = scales_by_line(inputs[i], found->second.units, lines[i]);
    if (!scales[i]) return std::nullopt;
  }
  for (std::size_t i = 0; i < 2; ++i) {
    inputs[i].buffer = integers[i];
    inputs[i].dtype = mil::DType::int8;
  }
  return IntegerProduct{std::move(*scales[0]), std::move(*scales[1])};
}

void drop_unread(Plan& plan) {
  std::vector<char> read(plan.buffers.size(), 0);
  const auto note = [&](const Operand& operand) { read[static_cast<std::size_t>(operand.buffer)] = 1; };
  for (const Step& step : plan.steps)
    for (const Operand& input : step.inputs) note(input);
  for (const PlanValue& output : plan.outputs) note(output.operand);
  for (const LastAxisSlice& slice : plan.slices) note(slice.operand);
  const auto unread = [&](const Operand& operand) {
    if (read[static_cast<std::size_t>(operand.buffer)] != 0) return false;
    plan.buffers[static_cast<std::size_t>(operand.buffer)] = 0;
    return true;
  };
  std::erase_if(plan.steps,
                [&](const Step& step) { return step.function == Function::dequantize && unread(step.output); });
  std::erase_if(plan.constants,
                [&](const PlanConstant& constant) { return constant.units && unread(constant.operand); });
}

Units Planner::units(const mil::Operation& operation, const mil::Arguments& arguments) const {
  try {
    return units_of(arguments, operation.type.shape, weights_);
  } catch (const mil::InferenceError& error) {
    fail(operation.location, operation.op + " '" + operation.result + "': " + error.what(),
         "write its scale and zero point as constants");
  }
}

void Planner::plan_quantization(const mil::Operation& operation, const mil::Arguments& arguments) {
  const Operand input = value(operation, "input");
  const Operand out = new_buffer(operation.type, operation.location);
  const bool back = operation.op == "dequantize";
  emit(operation, StepKind::unary, back ? Function::dequantize : Function::quantize, {input}, out);
  plan_.steps.back().units = units(operation, arguments);
  values_[operation.result] = out;
  // Products look through it where the integers lie as what they are worth does.
  if (back && input.contiguous() && input.offset == 0 && has_no_zero_point(plan_.steps.back().units))
    dequantized_[out.buffer] = {input.buffer, plan_.steps.back().units};
}

void Planner::plan_eight_bit_constant(const mil::Operation& operation, const mil::Arguments& arguments) {
  const mil::Literal& data = *arguments.one("quantized_data").literal;
  const Units of = units(operation, arguments);
  const bool from_file = std::holds_alternative<mil::BlobFile>(data.value);
  std::vector<double> integers = constant_values(data, weights_), numbers(integers.size());
  for (std::size_t i = 0; i < integers.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    numbers[i] = (integers[i] - of.zero_of(at)) * of.scale_of(at);
    if (operation.type.dtype == mil::DType::fp16)
      numbers[i] = static_cast<double>(ane::to_float(ane::to_half(numbers[i])));
  }
  const Operand out = new_buffer(operation.type, operation.location);
  values_[operation.result] = out;
  plan_.constants.push_back({operation.result, out, std::move(numbers), from_file, of, false});
  if (!has_no_zero_point(of)) return;
  const Operand raw = new_buffer({mil::DType::int8, operation.type.shape}, operation.location);
  dequantized_[out.buffer] = {raw.buffer, of};
  plan_.constants.push_back({operation.result, raw, std::move(integers), from_file, of, true});
}

}  // namespace aneval::emulator
