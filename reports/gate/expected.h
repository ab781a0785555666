// Changes that are meant: a committed list of them, each with its reason (`compare --changes FILE`).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "reports/gate/outcome.h"

namespace aneval::gate {

struct ExpectedChange {
  std::string name;    // of a finding or of a benchmark; one that ends in * stands for all names that begin so
  std::string reason;  // shown beside every finding that it acknowledges
};

/// CSV with the header `name,reason`. Errors (exit code 2) name file and line: another header, a name or a reason that
/// is empty, a name that appears twice, a line with other than two fields.
std::vector<ExpectedChange> read_expected_changes(const std::filesystem::path& file);
std::vector<ExpectedChange> expected_changes_of(std::string_view text, std::string_view file);

/// Findings that changed and are in the list gate no longer, and say why. An entry that no such finding needs is a
/// warning of the outcome.
void acknowledge(Outcome& outcome, const std::vector<ExpectedChange>& changes);

}  // namespace aneval::gate
