#include "tuning/merge.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "common/error.h"

namespace aneval::tuning {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// What shards of one sweep share.
Json shared(const RecordedSweep& recorded) {
  Json identity = Json::parse(recorded.identity);
  identity.erase("shard");
  return identity;
}

/// How the sweep confirms, from its description.
void read_confirm(const Json& file, MergedSweep& merged) {
  const Json confirm = file.value("confirm", Json::object());
  merged.blocks = static_cast<std::size_t>(confirm.value("blocks", SweepFile().confirm_blocks));
  if (confirm.contains("error_ratio")) merged.error_ratio = confirm.at("error_ratio").get<double>();
}

std::string conflict_of(const PointResult& a, const PointResult& b) {
  if (a.status != b.status) return std::string(status_name(a.status)) + " and " + std::string(status_name(b.status));
  if (a.program != b.program) return "programs " + a.program + " and " + b.program;
  if (a.error != b.error) return "errors " + std::to_string(a.error) + " and " + std::to_string(b.error);
  return {};
}

}  // namespace

MergedSweep merge_journals(const std::vector<fs::path>& journals) {
  MergedSweep merged;
  std::map<std::string, PointResult> results;
  std::set<fs::path> seen;
  Json first;
  for (const fs::path& path : journals) {
    const fs::path file = journal_of(path);
    if (!seen.insert(fs::weakly_canonical(file)).second)
      throw input_error(path.string(), "is given twice", "name every shard once");
    const RecordedSweep recorded = read_journal(file);
    const Json identity = shared(recorded);
    if (first.is_null()) {
      first = identity;
      read_confirm(identity.at("file"), merged);
      merged.setting = recorded.setting;
    }
    for (const auto& [name, value] : identity.items())
      if (first.value(name, Json()) != value)
        throw input_error(path.string(),
                          "is of another sweep than " + journals.front().string() + ": its " + name + " differs",
                          "merge shards of one sweep, run by one build on machines of one kind");
    merged.processes.insert(recorded.processes.begin(), recorded.processes.end());
    for (const auto& [text, result] : recorded.points) {
      const auto [found, is_new] = results.emplace(text, result);
      if (is_new) continue;
      ++merged.duplicates;
      if (const std::string conflict = conflict_of(found->second, result); !conflict.empty())
        merged.conflicts.push_back(text + ": " + conflict);
    }
  }
  for (auto& [text, result] : results)
    merged.points.emplace_back(parse_point(text, "point of a journal"), std::move(result));
  return merged;
}

}  // namespace aneval::tuning
