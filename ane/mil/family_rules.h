// What is known about the engine that a program's text decides, as a table of rules: one row each, with the families
// that it was reported for and where. `aneval mil check --family` runs them after the general checks (checker.h).
//
// To add a rule: a function that finds it and its row, side by side in one of the family_rules_*.cpp, and its pair of
// programs in family_rules_test.cpp (which fails for a rule without).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ane/mil/checker.h"
#include "ane/mil/family.h"
#include "ane/mil/family_view.h"

namespace aneval::mil {

/// What a user sees who breaks the rule.
enum class Symptom {
  compile,      // the compiler refuses the program
  eval,         // it compiles, and every evaluation fails
  silent,       // evaluations succeed and their data are wrong
  hang,         // an evaluation, or the compile service, does not return
  performance,  // correct and slow
};

std::string_view symptom_text(Symptom symptom);  // "compile error", "wrong data", …

/// Where it is, and what: "<op> '<result>': …".
using Report = std::function<void(Location, std::string)>;
using FamilyFinder = void (*)(const FunctionView&, const Family&, const Report&);

struct FamilyRule {
  std::string_view name;
  /// On the families of `reported`. A rule that sources contradict is a warning whose text says who does; so is one
  /// that costs time only.
  Severity severity;
  Symptom symptom;
  FamilySet reported;
  /// Families that nobody measured but that share the design: a warning there, whatever the severity, with a text that
  /// says so. Families where it was measured not to hold are in neither set.
  FamilySet suspected;
  std::string_view meaning;
  std::string_view source;  // projects and issues by their names
  FamilyFinder find;
  /// Caps of ranks and axes: what decides the largest size of a kernel (ane/kernels/sequence_limits.h).
  bool cap = false;
};

const std::vector<FamilyRule>& family_rules();

/// Rows of one file each, joined by family_rules().
std::vector<FamilyRule> size_rules();
std::vector<FamilyRule> signature_rules();
std::vector<FamilyRule> operation_rules();
std::vector<FamilyRule> data_rules();

enum class RuleScope { all, caps };

/// Findings sorted by their place. Takes programs with errors of any kind: what cannot be resolved is not judged. The
/// metadata of weight files is the general check's business (rule bad-blob), on every family alike.
std::vector<Finding> check_family(const Program& program, const Family& family, RuleScope scope = RuleScope::all);

}  // namespace aneval::mil
