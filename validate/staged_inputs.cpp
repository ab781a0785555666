#include "validate/staged_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ane/staging.h"
#include "common/error.h"
#include "common/hash.h"

namespace aneval::validate {
namespace {

/// The natural weight that belongs to an operand, by the operand's name alone.
class NaturalWeight {
 public:
  NaturalWeight(const ane::Slot& slot, const CaseData& data)
      : transposed_(slot.name.ends_with("_t")),
        name_(transposed_ ? slot.name.substr(0, slot.name.size() - 2) : slot.name),
        tensor_(data.weights.at(name_)),
        stride_(transposed_ ? slot.channels.size() : slot.width.size()),
        scale_(slot.scale) {}

  bool transposed() const { return transposed_; }
  const std::string& name() const { return name_; }

  /// Of element [c, w] of the operand, with the slot's factor.
  double at(std::int64_t c, std::int64_t w) const {
    const std::int64_t place = transposed_ ? w * stride_ + c : c * stride_ + w;
    return static_cast<double>(tensor_.data[static_cast<std::size_t>(place)]) * scale_;
  }

 private:
  bool transposed_;
  std::string name_;
  const Tensor& tensor_;
  std::int64_t stride_;
  double scale_;
};

/// An 8-bit weight is q·s as the program's text and files say; how large a step may be is worked out from the natural
/// weights of the output channel: nine scales from max/127 to twice that.
void check_eight_bits(const ane::Slot& slot, const NaturalWeight& natural, const reference::Matrix<float>& held) {
  const bool columns = natural.transposed() || slot.weight == "w";  // natural rows are outputs, dynMatmul's columns
  const std::int64_t lines = columns ? held.cols() : held.rows(), depth = columns ? held.rows() : held.cols();
  for (std::int64_t line = 0; line < lines; ++line) {
    const auto place = [&](std::int64_t i) { return columns ? std::pair{i, line} : std::pair{line, i}; };
    double largest = 0;
    for (std::int64_t i = 0; i < depth; ++i)
      largest = std::max(largest, std::abs(natural.at(place(i).first, place(i).second)));
    const double half_step = std::max(2 * (9.0 / 8) * largest / 127, 0x1p-19) / 2;
    for (std::int64_t i = 0; i < depth; ++i) {
      const auto [c, w] = place(i);
      const double expected = natural.at(c, w);
      if (!(std::abs(static_cast<double>(held(c, w)) - expected) <= half_step))
        throw Error(ExitCode::check_failed, "8-bit weight " + slot.name,
                    fmt::format("channel {} column {} holds {}, the weight {} gives {} within {:.3g}", c, w, held(c, w),
                                slot.weight, expected, half_step),
                    "the program's numbers, scales and zero point are not those of the layer's weights");
    }
  }
}

void check_halves(const ane::Slot& slot, const NaturalWeight& natural, const reference::Matrix<float>& held) {
  for (std::int64_t c = 0; c < held.rows(); ++c) {
    for (std::int64_t w = 0; w < held.cols(); ++w) {
      const float expected = ane::to_float(ane::to_half(natural.at(c, w)));
      if (!(held(c, w) == expected))
        throw Error(ExitCode::check_failed, "staging of slot " + slot.name,
                    fmt::format("channel {} column {} holds {}, the weight {} gives {}", c, w, held(c, w),
                                natural.name(), expected),
                    "the packed layout and the staging disagree");
    }
  }
}

}  // namespace

reference::Matrices<float> staged_inputs(const ane::CompiledKernel& kernel, ane::Surface& input) {
  reference::Matrices<float> inputs;
  const auto values = [&](const ane::Slot& slot) {
    reference::Matrix<float>& m = inputs[slot.name];
    m.resize(slot.channels.size(), slot.width.size());
    return std::span(m.data(), static_cast<std::size_t>(m.size()));
  };
  for (const ane::Slot& slot : kernel.layout.slots()) ane::read_slot(kernel.layout, slot.name, input, values(slot));
  for (const ane::Slot& slot : kernel.layout.compiled()) ane::read_compiled_weight(kernel, slot, values(slot));
  return inputs;
}

void check_staged_weights(const ane::PackedLayout& layout, const CaseData& data,
                          const reference::Matrices<float>& inputs) {
  for (const ane::Slot& slot : layout.operands()) {
    if (slot.kind != ane::SlotKind::weight) continue;
    const auto check = slot.eight_bits ? check_eight_bits : check_halves;
    check(slot, NaturalWeight(slot, data), inputs.at(slot.name));
  }
}

void take_natural_weights(const ane::PackedLayout& layout, const CaseData& data, reference::Matrices<float>& inputs) {
  for (const ane::Slot& slot : layout.compiled()) {
    if (!slot.eight_bits) continue;
    const NaturalWeight natural(slot, data);
    reference::Matrix<float>& m = inputs.at(slot.name);
    for (std::int64_t c = 0; c < m.rows(); ++c)
      for (std::int64_t w = 0; w < m.cols(); ++w) m(c, w) = static_cast<float>(natural.at(c, w));
  }
}

std::string beyond_fp16(const ane::PackedLayout& layout, const reference::Matrices<float>& inputs) {
  for (const ane::Slot& slot : layout.slots()) {
    const reference::Matrix<float>& m = inputs.at(slot.name);
    const auto count = std::count_if(m.data(), m.data() + m.size(), [](float value) { return !std::isfinite(value); });
    if (count > 0)
      return fmt::format("slot {} of the input: {} of {} values are beyond fp16 (65504) or NaN: {}", slot.name, count,
                         m.size(), is_gradient(slot.name) ? "take a smaller loss scale" : "take smaller data");
  }
  return {};
}

std::string compiled_beyond_fp16(const ane::PackedLayout& layout, const CaseData& data) {
  for (const ane::Slot& slot : layout.compiled())
    for (const ane::half_t bits : ane::staged_bits(slot, data.weights))
      if (!std::isfinite(ane::to_float(bits)))
        return fmt::format("weight {} of the program: a value is beyond fp16 (65504) or NaN: take smaller data",
                           slot.weight);
  return {};
}

std::string compiled_weights_hash(const ane::PackedLayout& layout, const CaseData& data, const ane::Variant& variant) {
  if (layout.compiled().empty()) return {};
  Hasher hasher;
  if (variant.weights == ane::Weights::w8a8)
    for (const auto& [slot, tensor] : data.activations)
      hasher.add(tensor.data.data(), tensor.data.size() * sizeof(float));
  for (const ane::Slot& slot : layout.compiled()) {
    const Tensor& tensor = data.weights.at(slot.weight);
    hasher.add(tensor.data.data(), tensor.data.size() * sizeof(float));
  }
  return hasher.digest();
}

}  // namespace aneval::validate
