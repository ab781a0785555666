// Two evaluations beyond what the judgement makes: the reference on the fp32 inputs, and the program on its compiled
// constants. Each is left out where it can be seen that it would give the same numbers.
#include "validate/attribution.h"

#include <algorithm>
#include <cmath>

#include "ane/emulator/evaluator.h"
#include "ane/half.h"
#include "ane/staging.h"
#include "validate/plain_arithmetic.h"

namespace aneval::validate {
namespace {

using Constants = std::map<std::string, std::vector<double>, std::less<>>;

double rounded(double value) { return static_cast<double>(ane::to_float(ane::to_half(value))); }

/// Whether compiling changed any constant. Of a program that was read nobody knows, so it is taken to have.
bool constants_were_rounded(const emulator::Plan& plan, const Constants& exact) {
  return std::any_of(plan.constants.begin(), plan.constants.end(), [&](const emulator::PlanConstant& constant) {
    const auto known = exact.find(constant.identifier);
    if (known == exact.end()) return constant.from_file || constant.operand.dtype == mil::DType::fp16;
    for (std::size_t i = 0; i < constant.values.size(); ++i)
      if (constant.values[i] != known->second[known->second.size() == 1 ? 0 : i]) return true;
    return false;
  });
}

/// The program on what lies on the surface, nothing rounded but its constants; per block.
std::map<std::string, std::vector<double>> run_compiled(const AttributionInput& in) {
  emulator::Evaluator<PlainArithmetic> evaluator(in.plan, PlainArithmetic(), in.pool);
  {
    const ane::ReadLock lock(in.input);
    const auto halves = lock.halves();
    const auto to = evaluator.input(0);
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<double>(ane::to_float(halves[i]));
  }
  evaluator.run();
  const auto output = evaluator.output(0);
  std::map<std::string, std::vector<double>> values;
  for (const ane::Block& block : in.layout.blocks()) {
    std::vector<double>& of_block = values[block.name];
    for (std::int64_t c = 0; c < block.channels.size(); ++c)
      for (std::int64_t t = 0; t < block.width.size(); ++t)
        of_block.push_back(output[in.layout.output_place(block, c, t)]);
  }
  return values;
}

/// Whether staging rounded anything.
bool inputs_were_rounded(const reference::Matrices<double>& inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const auto& slot) {
    const reference::Matrix<double>& m = slot.second;
    return std::any_of(m.data(), m.data() + m.size(), [](double value) { return value != rounded(value); });
  });
}

}  // namespace

ErrorParts error_parts(double device, double exact, double staged, double compiled) {
  const double output = rounded(compiled);
  return {staged - exact, compiled - staged, output - compiled, device - output, device - exact};
}

Attribution attribute_block(std::span<const float> device, std::span<const double> exact,
                            std::span<const double> staged, std::span<const double> compiled) {
  Attribution sum;  // of squares, until the end
  double error = 0, unavoidable = 0;
  for (std::size_t i = 0; i < device.size(); ++i) {
    const double got = static_cast<double>(device[i]), at_best = rounded(staged[i]) - staged[i];
    const ErrorParts parts = error_parts(got, exact[i], staged[i], compiled[i]);
    if (!std::isfinite(parts.total) || !std::isfinite(parts.arithmetic) || !std::isfinite(at_best)) {
      ++sum.left_out;
      continue;
    }
    sum.reference += exact[i] * exact[i];
    sum.total += parts.total * parts.total;
    sum.input += parts.input * parts.input;
    sum.constants += parts.constants * parts.constants;
    sum.output_rounding += parts.output_rounding * parts.output_rounding;
    sum.arithmetic += parts.arithmetic * parts.arithmetic;
    error += (got - staged[i]) * (got - staged[i]);
    unavoidable += at_best * at_best;
  }
  const auto count = static_cast<double>(static_cast<std::int64_t>(device.size()) - sum.left_out);
  if (count == 0) return sum;
  for (double* value : {&sum.reference, &sum.total, &sum.input, &sum.constants, &sum.output_rounding, &sum.arithmetic})
    *value = std::sqrt(*value / count);
  // Rounding to a grid of that spacing leaves an error that is uniform over it: rms spacing/√12.
  const double least = 0x1p-24 / std::sqrt(12.0);
  if (error > 0) sum.excess = std::sqrt(error / count) / std::max(std::sqrt(unavoidable / count), least);
  return sum;
}

reference::Matrices<double> unrounded_inputs(const ane::PackedLayout& layout,
                                             const std::function<const Tensor&(const ane::Slot&)>& tensor_of) {
  reference::Matrices<double> inputs;
  for (const ane::Slot& slot : layout.operands()) {
    const Tensor& tensor = tensor_of(slot);
    const std::int64_t channels = slot.channels.size(), width = slot.width.size();
    const bool transposed = slot.kind == ane::SlotKind::weight && slot.transposed;
    const Eigen::Map<const reference::Matrix<float>> natural(tensor.data.data(), transposed ? width : channels,
                                                             transposed ? channels : width);
    reference::Matrix<double>& to = inputs[slot.name];
    if (transposed)
      to = natural.cast<double>().transpose();
    else
      to = natural.cast<double>();
    if (slot.kind == ane::SlotKind::weight && slot.scale != 1) to *= slot.scale;
  }
  return inputs;
}

std::vector<Attribution> attribute_errors(const AttributionInput& in, const std::vector<BlockJudgement>& blocks) {
  const auto inputs = unrounded_inputs(in.layout, [&](const ane::Slot& slot) -> const Tensor& {
    return slot.kind == ane::SlotKind::weight ? in.weights.at(slot.weight) : in.activations.at(slot.name);
  });
  reference::Matrices<double> exact;
  const bool inputs_rounded = inputs_were_rounded(inputs);
  if (inputs_rounded) exact = in.reference(in.shape, in.options, inputs);
  std::map<std::string, std::vector<double>> compiled;
  if (constants_were_rounded(*in.plan, in.exact_constants)) compiled = run_compiled(in);

  std::vector<Attribution> attributions;
  for (const BlockJudgement& judged : blocks) {
    if (!judged.program.holds) continue;
    const auto n = static_cast<std::size_t>(judged.channels * judged.tokens);
    std::vector<float> device(n);
    ane::read_block(in.layout, judged.block, in.output, device);
    const std::span<const double> staged(in.staged.at(judged.block).data(), n);
    const auto values = compiled.find(judged.block);
    attributions.push_back(
        attribute_block(device, inputs_rounded ? std::span<const double>(exact.at(judged.block).data(), n) : staged,
                        staged, values == compiled.end() ? staged : std::span<const double>(values->second)));
    attributions.back().block = judged.block;
  }
  return attributions;
}

}  // namespace aneval::validate
