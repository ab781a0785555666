// The rules of a profile by name, and the values that each may have: what settings (`h16:reduce_sum=wide`), probes and
// their files call them. One table, rules.cpp: a value is its name, its words, whether a profile has it, and how a
// profile gets it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace aneval::emulator {

struct Profile;

enum class Rule {
  accumulator,
  overflow,
  matmul_rounding,
  matmul_subnormals,
  elementwise,
  reduce_sum,
  slice,
  bias,
  sigmoid,
  tanh_exp,
  softmax,
  specials,
};

struct RuleValue {
  std::string_view name;  // "half_away"
  std::string_view text;  // "nearest, ties away from zero"
  bool (*holds)(const Profile&);
  void (*set)(Profile&);  // null: what the emulator computes there follows from another rule
};

const std::vector<Rule>& all_rules();
std::string_view rule_name(Rule rule);
/// Errors: an unknown name, with the nearest known one.
Rule find_rule(std::string_view name);

/// All values of a rule, in a fixed order.
const std::vector<RuleValue>& rule_values(Rule rule);
/// The one that the profile has.
const RuleValue& rule_value(const Profile& profile, Rule rule);
/// The same in words.
std::string rule_text(const Profile& profile, Rule rule);

/// Whether the rule can be set by itself.
bool is_setting(Rule rule);
/// Errors name `what`: an unknown rule or value, a rule that follows from others, a combination that the emulator does
/// not compute (what only chips do knows no IEEE infinities).
void set_rule(Profile& profile, Rule rule, std::string_view value, const std::string& what);

}  // namespace aneval::emulator
