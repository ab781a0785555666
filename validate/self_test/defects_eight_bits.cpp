// Defects of quantized programs: numbers of 8 bits that are worth something else than was meant.
#include <algorithm>

#include "validate/self_test/defects.h"
#include "validate/self_test/program_edit.h"

namespace aneval::validate {
namespace {

bool has_eight_bits(const DefectSite& site) {
  return std::ranges::any_of(site.layout.compiled(), [](const ane::Slot& slot) { return slot.eight_bits; });
}

bool quantizes(const DefectSite& site) {
  return has_eight_bits(site) && site.config.variant.weights == ane::Weights::w8a8;
}

bool has_two_outputs(const ane::Slot& slot) {
  return (slot.outputs == ane::Slot::Outputs::columns ? slot.width : slot.channels).padded_size() > 1;
}

/// The last weight whose scales could as well belong to the other axis; null when there is none.
const ane::Slot* square_weight(const DefectSite& site) {
  const ane::Slot* found = nullptr;
  for (const ane::Slot& slot : site.layout.compiled())
    if (slot.eight_bits && has_two_outputs(slot) && slot.width.padded_size() == slot.channels.padded_size())
      found = &slot;
  return found;
}

Defect edited(const char* name, const char* summary, bool (*applies)(const DefectSite&),
              void (*change)(const DefectSite&, ProgramEdit&)) {
  Defect defect{name, summary, Mechanism::program, applies};
  defect.program = [change](const DefectSite& site) {
    ProgramEdit edit(site.spec.program(site.config, site.layout));
    change(site, edit);
    return edit.finish();
  };
  return defect;
}

/// Of every weight.
void change_all(ProgramEdit& edit, const std::function<void(ProgramEdit::EightBits&)>& change) {
  for (const std::string& id : edit.eight_bit_constants()) edit.change_eight_bits(id, change);
}

/// The operation that quantizes the kernel's activation, "xn_q", or what undoes it, "xn_dq".
std::string of_activation(const DefectSite& site, const char* suffix) {
  for (const char* name : {"xn", "xm", "attn", "g", "act"})
    for (const ane::Slot& slot : site.layout.slots())
      if (slot.name == name) return std::string(name) + suffix;
  return {};
}

}  // namespace

std::vector<Defect> eight_bit_defects() {
  std::vector<Defect> all;
  all.push_back(edited("weight_scale_2_percent", "the scales of 8-bit weights are 2 % too large", has_eight_bits,
                       [](const DefectSite&, ProgramEdit& edit) {
                         change_all(edit, [](ProgramEdit::EightBits& bits) {
                           for (double& scale : bits.scales) scale *= 1.02;
                         });
                       }));
  all.push_back(edited("weight_scale_of_neighbour", "every output has the scale of the next one's weights",
                       has_eight_bits, [](const DefectSite&, ProgramEdit& edit) {
                         change_all(edit, [](ProgramEdit::EightBits& bits) {
                           std::rotate(bits.scales.begin(), bits.scales.begin() + 1, bits.scales.end());
                         });
                       }));
  all.push_back(edited(
      "weight_scales_transposed", "the scales of a square weight lie along its inputs",
      [](const DefectSite& site) { return square_weight(site) != nullptr; },
      [](const DefectSite& site, ProgramEdit& edit) {
        edit.change_eight_bits(square_weight(site)->name,
                               [](ProgramEdit::EightBits& bits) { bits.axis = bits.axis == 3 ? 1 : 3; });
      }));
  all.push_back(edited("weight_zero_point", "8-bit weights have a zero point of 1", has_eight_bits,
                       [](const DefectSite&, ProgramEdit& edit) {
                         change_all(edit, [](ProgramEdit::EightBits& bits) { bits.zero_point = 1; });
                       }));
  all.push_back(edited("activation_scale_of_dequantize",
                       "activations are dequantized with an eighth more than they were quantized with", quantizes,
                       [](const DefectSite& site, ProgramEdit& edit) {
                         const std::string id = of_activation(site, "_dq");
                         edit.set_constant_argument(id, "scale", {edit.number(id, "scale") * 1.125});
                       }));
  all.push_back(edited("activation_zero_point", "activations are quantized with a zero point of 1 and back without",
                       quantizes, [](const DefectSite& site, ProgramEdit& edit) {
                         edit.set_constant_argument(of_activation(site, "_q"), "zero_point", {1});
                       }));
  return all;
}

}  // namespace aneval::validate
