// Judges a program: every identifier defined once and before use, known operations with their arguments, declared types
// equal to inferred ones, weight blobs present and well-formed, one function that can run.
//
// Findings, not exceptions: `aneval mil check` prints all of them; check_or_throw is for those who just want to run.
#pragma once

#include <string>
#include <vector>

#include "ane/mil/program.h"
#include "ane/weight_blob.h"

namespace aneval::mil {

enum class Severity { error, warning };

struct Finding {
  Severity severity = Severity::error;
  Location location;
  std::string rule;  // short name of the check, e.g. "type-mismatch"
  std::string text;
};

struct CheckRule {
  std::string_view name;
  Severity severity;
  std::string_view meaning;
};

/// Every rule that a finding may name.
const std::vector<CheckRule>& check_rules();

/// In the order of the text. One mistake gives one finding: what depends on a wrong value is not judged by it.
/// `weights` may be null: blobs are then not looked at.
std::vector<Finding> check(const Program& program, const ane::WeightFiles* weights);

/// "FILE:LINE:COL: error|warning: text [rule]"
std::string finding_text(const Program& program, const Finding& finding);

/// Throws an input_error with the first error found and the number of further ones.
void check_or_throw(const Program& program, const ane::WeightFiles* weights);

}  // namespace aneval::mil
