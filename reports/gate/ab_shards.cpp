#include "reports/gate/ab_shards.h"

#include <set>

#include "common/names.h"

namespace aneval::gate {
namespace {

/// Warm-up ends when nine times agree, or after 200 ms: at 50 ms a compile four runs, where one is quick about ten.
constexpr std::int64_t kWarmUpCompiles = 10;
constexpr std::int64_t kPrograms = 10;  // of a layer

/// Programs that a benchmark has for itself.
std::int64_t own_programs(const std::vector<std::string>& parts, std::int64_t repetitions) {
  if (parts.size() > 1 && (parts[1] == "compile" || parts[1] == "load")) return repetitions + kWarmUpCompiles;
  if (parts[0] == "train_step" || parts[0] == "conv_chain") return parts[0] == "conv_chain" ? 1 : kPrograms;
  return 0;
}

/// What it shares with others of the same process: the name of that, and how many programs it is.
std::pair<std::string, std::int64_t> shared_programs(const std::vector<std::string>& parts) {
  static const std::set<std::string> phases = {"compile", "load", "stage_weights", "write_acts",
                                               "eval",    "read", "copy"};
  if (parts[0] == "layer_forward" || parts[0] == "layer_backward") return {"layer", kPrograms};
  if (parts.size() < 3 || !phases.contains(parts[1])) return {};
  std::string kernel = parts[0];
  for (std::size_t i = 2; i < parts.size(); ++i) kernel += "/" + parts[i];
  return {kernel, parts[1] == "copy" ? 2 : 1};  // a copy needs the kernel whose output it copies
}

}  // namespace

std::vector<std::vector<std::string>> shards(const std::vector<std::string>& names, std::int64_t most,
                                             std::int64_t repetitions) {
  std::vector<std::vector<std::string>> groups;
  std::set<std::string> compiled;
  std::int64_t programs = 0;
  for (const std::string& name : names) {
    const auto parts = split(name, '/');
    const std::int64_t own = own_programs(parts, repetitions);
    const auto [what, shared] = shared_programs(parts);
    const std::int64_t more = own + (compiled.contains(what) ? 0 : shared);
    if (groups.empty() || (most > 0 && more > 0 && programs > 0 && programs + more > most)) {
      groups.emplace_back();
      compiled.clear();
      programs = own + shared;
    } else {
      programs += more;
    }
    compiled.insert(what);
    groups.back().push_back(name);
  }
  return groups;
}

std::string filter_of(const std::vector<std::string>& names) {
  std::string filter;
  for (const std::string& name : names) {
    filter += filter.empty() ? "^(" : "|";
    for (const char c : name) {
      if (std::string_view(R"(\^$.|?*+()[]{})").find(c) != std::string_view::npos) filter += '\\';
      filter += c;
    }
  }
  // Google Benchmark's own name ends so, and so do the names that filters are held against.
  return filter + ")/manual_time$";
}

}  // namespace aneval::gate
