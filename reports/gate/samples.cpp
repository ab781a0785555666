#include "reports/gate/samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "common/error.h"
#include "common/result_file.h"
#include "common/statistics.h"
#include "reports/gate/outcome.h"

namespace aneval::gate {
namespace {

namespace fs = std::filesystem;
using reports::SeriesKey;
using reports::Setting;

class SideReader {
 public:
  void read(const fs::path& file) {
    std::size_t line = 1;  // of the header; fields hold no line breaks
    visit_results(file, [&](const Record& row) {
      ++line;
      if (row.kernel.empty() && row.phase.empty())
        processes_.add(row);  // of a process about itself
      else
        add(row, file, line);
    });
  }

  Side finish() {
    Side side;
    const bool device = std::any_of(settings_.begin(), settings_.end(), [](const auto& setting) {
      return !setting.first.backend.empty() && setting.first.backend != "reference";
    });
    for (auto& [setting, samples] : settings_) {
      if (setting.backend.empty() || (device && setting.backend == "reference")) continue;
      for (const auto& [key, values] : samples)
        for (const auto& [process, unused] : values.processes) side.processes.insert(process);
      side.settings[setting] = static_cast<std::int64_t>(samples.size());
      if (side.settings.size() == 1) side.samples = std::move(samples);
    }
    for (const reports::Process& process : processes_.processes)
      if (!process.finished()) side.unfinished.push_back(process.command);
    return side;
  }

 private:
  void add(const Record& row, const fs::path& file, std::size_t line) {
    const RunContext& run = row.run;
    SampleMap& map = settings_[{run.backend, run.profile, run.chip, run.os, run.build, run.commit, run.machine}];
    const auto at = map.try_emplace(SeriesKey::of(row)).first;
    Samples& samples = at->second;
    if (!seen_[&samples.processes[{run.run_id, run.proc}]].insert({row.step.value_or(-1), row.rep.value_or(-1)}).second)
      throw input_error(fmt::format("{}:{}", file.string(), line),
                        fmt::format("'{}' of process {} appears twice{}", Finding{.key = at->first}.name(), run.proc,
                                    row.rep ? fmt::format(" with rep {}", *row.rep) : ""),
                        "give every process of a run a --proc of its own, and every file once");
    samples.add(row);
  }

  std::map<Setting, SampleMap> settings_;
  std::unordered_map<const void*, std::set<std::pair<std::int64_t, std::int64_t>>> seen_;  // step and rep
  reports::ResultSet processes_;
};

}  // namespace

void Samples::add(const Record& row) {
  unit = row.unit;
  stepped = stepped || row.step.has_value();
  if (row.value) processes[{row.run.run_id, row.run.proc}].push_back(*row.value);
  if (!row.text.empty()) texts.insert(row.text);
  if (badness(row.status) > badness(status)) {
    status = row.status;
    reason = row.reason;
  }
}

std::vector<double> Samples::medians() const {
  std::vector<double> result;
  for (const auto& [process, values] : processes)
    if (!values.empty()) result.push_back(median(values));
  return result;
}

std::size_t Samples::count() const {
  std::size_t n = 0;
  for (const auto& [process, values] : processes) n += values.size();
  return n;
}

int badness(Status status) {
  switch (status) {
    case Status::ok:
      return 0;
    case Status::degraded:
      return 1;
    case Status::failed:
    case Status::wrong_result:
    case Status::nonfinite:
    case Status::not_on_engine:
    case Status::unstable:
      return 2;
    default:
      return 3;
  }
}

Side read_side(const std::vector<fs::path>& results) {
  SideReader reader;
  std::string name;
  for (const fs::path& path : results) {
    for (const fs::path& file : reports::result_files(path)) reader.read(file);
    const fs::path last = path.has_filename() ? path.filename() : path.parent_path().filename();
    name += (name.empty() ? "" : ", ") + last.string();
  }
  Side side = reader.finish();
  side.name = name;
  return side;
}

}  // namespace aneval::gate
