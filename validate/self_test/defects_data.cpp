// Defects of what lies on surfaces: inputs staged wrongly on the device's side, outputs spoilt or not written.
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/random.h"
#include "validate/self_test/defects.h"

namespace aneval::validate {
namespace {

using Input = std::span<ane::half_t>;
using Output = std::span<double>;

bool anywhere(const DefectSite&) { return true; }
bool several_tokens(const DefectSite& site) { return site.seq() > 1; }

const ane::Slot* first_slot(const DefectSite& site, ane::SlotKind kind) {
  for (const ane::Slot& slot : site.layout.slots())
    if (slot.kind == kind) return &slot;
  return nullptr;
}

bool has_weights(const DefectSite& site) { return first_slot(site, ane::SlotKind::weight) != nullptr; }

/// Element (channel, column) of a slot.
ane::half_t& at(const DefectSite& site, const ane::Slot& slot, Input input, std::int64_t channel, std::int64_t column) {
  return input[static_cast<std::size_t>((slot.channel_offset + slot.channels.place(channel)) *
                                            site.layout.input_width() +
                                        slot.width_offset + slot.width.place(column))];
}

/// Every element of the weight slots.
template <class Change>
void each_weight(const DefectSite& site, Input input, const Change& change) {
  for (const ane::Slot& slot : site.layout.slots()) {
    if (slot.kind != ane::SlotKind::weight) continue;
    for (std::int64_t c = 0; c < slot.channels.size(); ++c)
      for (std::int64_t w = 0; w < slot.width.size(); ++w) change(at(site, slot, input, c, w));
  }
}

/// The last two slots of one size and kind.
std::pair<const ane::Slot*, const ane::Slot*> twins(const DefectSite& site) {
  const auto& slots = site.layout.slots();
  for (std::size_t i = slots.size(); i-- > 1;)
    for (std::size_t j = i; j-- > 0;)
      if (slots[i].kind == slots[j].kind && slots[i].channels == slots[j].channels && slots[i].width == slots[j].width)
        return {&slots[j], &slots[i]};
  return {nullptr, nullptr};
}

void transpose_weight(const DefectSite& site, Input input) {
  const ane::Slot& slot = *first_slot(site, ane::SlotKind::weight);
  const std::int64_t rows = slot.channels.size(), columns = slot.width.size();
  std::vector<ane::half_t> right(static_cast<std::size_t>(rows * columns));
  for (std::int64_t c = 0; c < rows; ++c)
    for (std::int64_t w = 0; w < columns; ++w)
      right[static_cast<std::size_t>(w * rows + c)] = at(site, slot, input, c, w);  // the other orientation, row-major
  for (std::int64_t c = 0; c < rows; ++c)
    for (std::int64_t w = 0; w < columns; ++w)
      at(site, slot, input, c, w) = right[static_cast<std::size_t>(c * columns + w)];
}

void swap_slots(const DefectSite& site, Input input) {
  const auto [a, b] = twins(site);
  for (std::int64_t c = 0; c < a->channels.size(); ++c)
    for (std::int64_t w = 0; w < a->width.size(); ++w) std::swap(at(site, *a, input, c, w), at(site, *b, input, c, w));
}

/// A step of an optimiser is small against the weights: 1/64 of their rms here, either way.
void keep_old_weights(const DefectSite& site, Input input) {
  double squares = 0, count = 0;
  each_weight(site, input, [&](ane::half_t& bits) {
    const double value = static_cast<double>(ane::to_float(bits));
    squares += value * value;
    count += 1;
  });
  const double step = std::sqrt(squares / count) / 64;
  Random random(1, "stale_weights");
  each_weight(site, input, [&](ane::half_t& bits) {
    const double value = static_cast<double>(ane::to_float(bits));
    bits = ane::to_half(value + (random.below(2) == 0 ? step : -step));
  });
}

template <class Change>
Defect staged(const char* name, const char* summary, bool (*applies)(const DefectSite&), Change change) {
  Defect defect{name, summary, Mechanism::staging, applies};
  defect.input = change;
  return defect;
}

template <class Change>
Defect spoilt(const char* name, const char* summary, bool (*applies)(const DefectSite&), Change change) {
  Defect defect{name, summary, Mechanism::output, applies};
  defect.output = change;
  return defect;
}

double& at(const DefectSite& site, const ane::Block& block, Output output, std::int64_t channel, std::int64_t token) {
  return output[site.layout.output_place(block, channel, token)];
}

/// The largest element of the first block: where a relative error stands out.
double& largest(const DefectSite& site, Output output) {
  const ane::Block& block = site.layout.blocks().front();
  double* found = &at(site, block, output, 0, 0);
  for (std::int64_t c = 0; c < block.channels.size(); ++c)
    for (std::int64_t t = 0; t < block.width.size(); ++t)
      if (double& value = at(site, block, output, c, t); std::abs(value) > std::abs(*found)) found = &value;
  return *found;
}

bool has_heads(const DefectSite& site) { return site.config.shape.heads > 1 && site.kernel().starts_with("sdpa"); }

}  // namespace

std::vector<Defect> staging_defects() {
  std::vector<Defect> all;
  all.push_back(
      staged("weight_transposed", "the first weight slot holds the other orientation", has_weights, transpose_weight));
  all.push_back(staged(
      "slots_swapped", "two slots of one size are exchanged",
      [](const DefectSite& site) { return twins(site).first != nullptr; }, swap_slots));
  all.push_back(
      staged("stale_weights", "weights of the step before: off by 1/64 of their rms", has_weights, keep_old_weights));
  all.push_back(
      staged("bf16_weights", "weights went through bf16", has_weights, [](const DefectSite& site, Input input) {
        each_weight(site, input, [](ane::half_t& bits) {
          bits = ane::to_half(rounded_to_bf16(static_cast<double>(ane::to_float(bits))));
        });
      }));
  all.push_back(staged("weight_column_zero", "the middle column of the first weight slot is zero", has_weights,
                       [](const DefectSite& site, Input input) {
                         const ane::Slot& slot = *first_slot(site, ane::SlotKind::weight);
                         for (std::int64_t c = 0; c < slot.channels.size(); ++c)
                           at(site, slot, input, c, slot.width.size() / 2) = 0;
                       }));
  all.push_back(staged("lane_zero", "the last channel of the first activation slot is zero", anywhere,
                       [](const DefectSite& site, Input input) {
                         const ane::Slot& slot = *first_slot(site, ane::SlotKind::activation);
                         for (std::int64_t w = 0; w < slot.width.size(); ++w)
                           at(site, slot, input, slot.channels.size() - 1, w) = 0;
                       }));
  all.push_back(staged("last_token_missing", "the last token of the first activation slot was not written", anywhere,
                       [](const DefectSite& site, Input input) {
                         const ane::Slot& slot = *first_slot(site, ane::SlotKind::activation);
                         for (std::int64_t c = 0; c < slot.channels.size(); ++c)
                           at(site, slot, input, c, slot.width.size() - 1) = 0;
                       }));
  all.push_back(staged("tokens_shifted", "the tokens of the first activation slot lie one column late", several_tokens,
                       [](const DefectSite& site, Input input) {
                         const ane::Slot& slot = *first_slot(site, ane::SlotKind::activation);
                         for (std::int64_t c = 0; c < slot.channels.size(); ++c)
                           for (std::int64_t w = slot.width.size() - 1; w > 0; --w)
                             at(site, slot, input, c, w) = at(site, slot, input, c, w - 1);
                       }));
  return all;
}

std::vector<Defect> output_defects() {
  std::vector<Defect> all;
  Defect skipped{"evaluation_skipped", "success is reported, nothing was evaluated", Mechanism::output, anywhere};
  skipped.evaluation = EvaluationFault::skipped;
  skipped.always_visible = true;
  all.push_back(skipped);
  Defect stale{"stale_output", "the output is that of the evaluation before", Mechanism::output, anywhere};
  stale.evaluation = EvaluationFault::previous;
  stale.always_visible = true;  // the first has no evaluation before it: what it leaves differs from the second's
  all.push_back(stale);
  all.push_back(spoilt("bit_flickers", "one element changes its sign at every second evaluation", anywhere,
                       [](const DefectSite& site, std::int64_t evaluation, Output output) {
                         double& value = largest(site, output);
                         if (evaluation % 2 == 0) value = value == 0 ? 1 : -value;
                       }));
  all.back().always_visible = true;
  all.push_back(
      spoilt("nan_element", "one element is NaN", anywhere, [](const DefectSite& site, std::int64_t, Output output) {
        largest(site, output) = std::numeric_limits<double>::quiet_NaN();
      }));
  all.back().always_visible = true;
  all.push_back(spoilt("infinite_element", "one element is infinite", anywhere,
                       [](const DefectSite& site, std::int64_t, Output output) {
                         largest(site, output) = std::numeric_limits<double>::infinity();
                       }));
  all.back().always_visible = true;
  all.push_back(spoilt("element_2_percent", "the largest element is 2 % too large", anywhere,
                       [](const DefectSite& site, std::int64_t, Output output) { largest(site, output) *= 1.02; }));
  all.push_back(spoilt("element_one_unit", "the largest element is one unit of its last place too large", anywhere,
                       [](const DefectSite& site, std::int64_t, Output output) {
                         double& value = largest(site, output);
                         value += std::copysign(ane::half_ulp(value), value);
                       }));
  all.push_back(spoilt("block_2_percent", "the first block is 2 % too large", anywhere,
                       [](const DefectSite& site, std::int64_t, Output output) {
                         const ane::Block& block = site.layout.blocks().front();
                         for (std::int64_t c = 0; c < block.channels.size(); ++c)
                           for (std::int64_t t = 0; t < block.width.size(); ++t) at(site, block, output, c, t) *= 1.02;
                       }));
  all.push_back(spoilt("tile_zero", "the first 32 channels of the last 32 columns of the first block are zero",
                       anywhere, [](const DefectSite& site, std::int64_t, Output output) {
                         const ane::Block& block = site.layout.blocks().front();
                         const std::int64_t tokens = block.width.size();
                         for (std::int64_t c = 0; c < std::min<std::int64_t>(32, block.channels.size()); ++c)
                           for (std::int64_t t = std::max<std::int64_t>(0, tokens - 32); t < tokens; ++t)
                             at(site, block, output, c, t) = 0;
                       }));
  all.push_back(spoilt("head_missing", "the last head of the first block is zero", has_heads,
                       [](const DefectSite& site, std::int64_t, Output output) {
                         const ane::Block& block = site.layout.blocks().front();
                         const std::int64_t lanes = block.channels.size() / site.config.shape.heads;
                         for (std::int64_t c = block.channels.size() - lanes; c < block.channels.size(); ++c)
                           for (std::int64_t t = 0; t < block.width.size(); ++t) at(site, block, output, c, t) = 0;
                       }));
  all.push_back(spoilt("channels_swapped", "the first two channels of the first block are exchanged", anywhere,
                       [](const DefectSite& site, std::int64_t, Output output) {
                         const ane::Block& block = site.layout.blocks().front();
                         for (std::int64_t t = 0; t < block.width.size(); ++t)
                           std::swap(at(site, block, output, 0, t), at(site, block, output, 1, t));
                       }));
  return all;
}

}  // namespace aneval::validate
