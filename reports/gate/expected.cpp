#include "reports/gate/expected.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/csv.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"

namespace aneval::gate {
namespace {

constexpr std::uintmax_t kMostBytes = 1 << 20;
constexpr const char* kRemedy =
    "the file is CSV: its first line is name,reason, each other one a name and why it may change";

bool names(const ExpectedChange& change, const std::string& name) {
  if (name.empty()) return false;
  if (!change.name.ends_with('*')) return change.name == name;
  return name.starts_with(std::string_view(change.name).substr(0, change.name.size() - 1));
}

}  // namespace

std::vector<ExpectedChange> expected_changes_of(std::string_view text, std::string_view file) {
  std::vector<ExpectedChange> changes;
  std::size_t number = 0;
  const auto error = [&](std::string reason) {
    return input_error(fmt::format("{}:{}", file, number), std::move(reason), kRemedy);
  };
  for (std::string line : split(text, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (number == 1) {
      if (line != "name,reason") throw error("the header is not name,reason");
      continue;
    }
    if (line.empty()) continue;
    const auto fields = csv_fields(line);
    if (!fields) throw error("a quote is not closed, or stands inside a field");
    if (fields->size() != 2) throw error(fmt::format("{} fields", fields->size()));
    ExpectedChange change{fields->at(0), fields->at(1)};
    if (change.name.empty()) throw error("the name is empty");
    if (change.reason.empty()) throw error(fmt::format("'{}' has no reason", change.name));
    const auto same = [&](const ExpectedChange& other) { return other.name == change.name; };
    if (std::any_of(changes.begin(), changes.end(), same)) throw error(fmt::format("'{}' appears twice", change.name));
    changes.push_back(std::move(change));
  }
  if (number == 0) {
    number = 1;
    throw error("the file is empty");
  }
  return changes;
}

std::vector<ExpectedChange> read_expected_changes(const std::filesystem::path& file) {
  return expected_changes_of(read_text_file(file, kMostBytes), file.string());
}

void acknowledge(Outcome& outcome, const std::vector<ExpectedChange>& changes) {
  if (!outcome.refusals.empty()) return;  // nothing was compared that could need them
  std::vector<bool> used(changes.size(), false);
  for (Finding& f : outcome.findings) {
    if (f.verdict == Verdict::unchanged || f.verdict == Verdict::inconclusive) continue;
    const std::string name = f.name();
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (!names(changes[i], name) && !names(changes[i], f.benchmark)) continue;
      used[i] = true;
      f.gating = false;
      f.expected = changes[i].reason;
      break;
    }
  }
  for (std::size_t i = 0; i < changes.size(); ++i)
    if (!used[i])
      outcome.warnings.push_back(
          fmt::format("--changes: nothing called '{}' changed: remove the entry", changes[i].name));
}

}  // namespace aneval::gate
