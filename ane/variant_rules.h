// Which choices contradict each other: a table of rules, asked before anything is made of a variant.
#pragma once

#include <string_view>
#include <vector>

#include "ane/variant.h"

namespace aneval::ane {

/// Choices that make no sense together.
struct VariantRule {
  std::string_view choices;  // "attention_backward=fused;handover=share"
  bool (*broken)(const Variant& variant);
  std::string_view reason, remedy;
};

const std::vector<VariantRule>& variant_rules();

/// The first rule that a variant breaks, or null.
const VariantRule* broken_rule(const Variant& variant);

/// Errors (exit 2): the variant breaks a rule; names the choices, the reason and what to choose instead.
void check_variant(const Variant& variant);

}  // namespace aneval::ane
