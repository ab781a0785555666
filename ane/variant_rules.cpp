// The table of contradictions. To add one: its row.
#include "ane/variant_rules.h"

#include <algorithm>
#include <string>

#include "ane/weight_constants.h"
#include "common/error.h"

namespace aneval::ane {

const std::vector<VariantRule>& variant_rules() {
  static const std::vector<VariantRule> rules = {
      {"weights=static;packing=weights_first",
       [](const Variant& v) { return are_constants(v.weights) && v.packing == Packing::weights_first; },
       "packing orders the weight slots of a surface, and weights that are compiled in have none", "leave packing out"},
      {"rope=cpu;wo=fused", [](const Variant& v) { return v.rope == Rope::cpu && v.wo == OutputProjection::fused; },
       "sdpaWoFwd goes from xn to o in one program, RoPE with it", "choose wo=separate, or rope=planar"},
      {"weights=static;staging=per_slot",
       [](const Variant& v) { return are_constants(v.weights) && v.staging == WeightPasses::per_slot; },
       "weights that are compiled in are not staged", "leave staging out"},
      {"attention_backward=fused;handover=share",
       [](const Variant& v) {
         return v.attention_backward == AttentionBackward::fused && v.handover == Handover::share;
       },
       "the surface to share is the one between sdpaBwd1 and sdpaBwd2, which are one program here",
       "choose handover=copy, or attention_backward=split"},
  };
  return rules;
}

const VariantRule* broken_rule(const Variant& variant) {
  const auto& rules = variant_rules();
  const auto broken = std::ranges::find_if(rules, [&](const VariantRule& rule) { return rule.broken(variant); });
  return broken == rules.end() ? nullptr : &*broken;
}

void check_variant(const Variant& variant) {
  if (const VariantRule* rule = broken_rule(variant))
    throw input_error("variant " + variant_text(variant),
                      std::string(rule->choices) + " contradict each other: " + std::string(rule->reason),
                      std::string(rule->remedy));
}

}  // namespace aneval::ane
