#include "ane/mil/family_rules.h"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace aneval::mil {

namespace {

std::string suspicion(const FamilyRule& rule, const Family& family) {
  return fmt::format(" (reported on {}, unmeasured on {})", family_set_text(rule.reported), family.name);
}

}  // namespace

std::string_view symptom_text(Symptom symptom) {
  switch (symptom) {
    case Symptom::compile:
      return "compile error";
    case Symptom::eval:
      return "eval error";
    case Symptom::silent:
      return "wrong data";
    case Symptom::hang:
      return "hang";
    case Symptom::performance:
      return "performance";
  }
  return "";
}

const std::vector<FamilyRule>& family_rules() {
  static const std::vector<FamilyRule> rules = [] {
    std::vector<FamilyRule> all;
    for (const auto rows : {size_rules, signature_rules, operation_rules, data_rules})
      for (FamilyRule& rule : rows()) all.push_back(rule);
    return all;
  }();
  return rules;
}

std::vector<Finding> check_family(const Program& program, const Family& family, RuleScope scope) {
  // Equal places keep the order of the rules.
  std::multimap<std::pair<int, int>, Finding> by_place;
  for (const Function& function : program.functions) {
    const FunctionView view(program, function);
    for (const FamilyRule& rule : family_rules()) {
      const bool suspected = (rule.suspected & family.bit) != 0;
      if (((rule.reported & family.bit) == 0 && !suspected) || (scope == RuleScope::caps && !rule.cap)) continue;
      const Severity severity = suspected ? Severity::warning : rule.severity;
      const std::string note = suspected ? suspicion(rule, family) : "";
      rule.find(view, family, [&](Location location, const std::string& text) {
        by_place.emplace(std::pair(location.line, location.column),
                         Finding{severity, location, std::string(rule.name), text + note});
      });
    }
  }
  std::vector<Finding> findings;
  for (auto& [place, finding] : by_place) findings.push_back(std::move(finding));
  return findings;
}

}  // namespace aneval::mil
