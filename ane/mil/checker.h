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

/// In the order of the text. One mistake gives one finding: what depends on a wrong value is not judged by it.
/// `weights` may be null: blobs are then not looked at. Rules: no-main, duplicate-function, duplicate-parameter,
/// duplicate-identifier, undefined-identifier, result-undefined, unknown-op, missing-argument, unknown-argument,
/// duplicate-argument, bad-argument, non-constant-argument, type-mismatch, bad-constant (number of values, values
/// outside their type), bad-blob, bad-attribute; warning: unknown-attribute.
std::vector<Finding> check(const Program& program, const ane::WeightFiles* weights);

/// "FILE:LINE:COL: error|warning: text [rule]"
std::string finding_text(const Program& program, const Finding& finding);

/// Throws an input_error with the first error found and the number of further ones.
void check_or_throw(const Program& program, const ane::WeightFiles* weights);

}  // namespace aneval::mil
