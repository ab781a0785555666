#include "reports/result_set.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/files.h"
#include "common/json_check.h"
#include "common/names.h"
#include "common/result_file.h"
#include "common/statistics.h"

namespace aneval::reports {
namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxSideFileBytes = 1 << 20;

void read_environment(const fs::path& file, ResultSet& set) {
  if (!fs::exists(file)) return;
  const std::string text = read_text_file(file, kMaxSideFileBytes);
  const std::string remedy = "remove it, or write it with `aneval doctor --json`";
  const auto json = parse_json<nlohmann::json>(text, file.string(), remedy);
  try {
    if (const int schema = json.value("schema", 0); schema != kRecordSchema)
      throw input_error(
          file.string(), "has schema " + std::to_string(schema),
          "this version reads schema " + std::to_string(kRecordSchema) + ": use the version of aneval that wrote it");
  } catch (const nlohmann::json::exception& error) {
    throw input_error(file.string(), std::string("is no environment: ") + error.what(), remedy);
  }
  set.environments.push_back(text);
}

void read_steps(const fs::path& file, ResultSet& set) {
  if (!fs::exists(file)) return;
  std::size_t number = 0;
  for (const std::string& line : split(read_text_file(file, kMaxSideFileBytes), '\n')) {
    ++number;
    if (line.empty()) continue;
    const auto fields = split(line, '\t');
    if (fields.size() != 4)
      throw input_error(file.string() + ":" + std::to_string(number), "has not four fields",
                        "a step is name, result, seconds, note, with tabs between them");
    set.steps.push_back({fields[0], fields[1], fields[2], fields[3]});
  }
}

Process& process_of(ResultSet& set, const Record& row) {
  for (Process& process : set.processes)
    if (process.run_id == row.run.run_id && process.proc == row.run.proc && process.command == row.item) return process;
  set.processes.push_back({.run_id = row.run.run_id, .command = row.item, .proc = row.run.proc});
  return set.processes.back();
}

}  // namespace

std::string Setting::arithmetic() const { return profile.empty() ? backend : backend + " profile " + profile; }

SeriesKey SeriesKey::of(const Record& row) {
  return {row.model, row.kernel, row.variant, row.case_text, row.item, row.phase, row.metric, row.seq, row.layer};
}

double Series::median() const { return aneval::median(values); }

double Series::relative_iqr() const {
  if (values.size() < 4) return 0;
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const double middle = quantile(sorted, 0.5);
  return middle == 0 ? 0 : (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / std::fabs(middle);
}

const std::vector<const SeriesMap::Entry*>& SeriesMap::ordered() const {
  if (ordered_.size() == map_.size()) return ordered_;
  ordered_.reserve(map_.size());
  for (const Entry& entry : map_) ordered_.push_back(&entry);
  const auto place = [](const Entry* entry) { return std::pair(entry->second.group_row, entry->second.first_row); };
  std::sort(ordered_.begin(), ordered_.end(), [&](const Entry* a, const Entry* b) { return place(a) < place(b); });
  return ordered_;
}

bool ResultSet::continues_last(const Record& row) const {
  if (last_series_ == nullptr) return false;
  const Setting& s = *last_setting_;
  const SeriesKey& k = *last_key_;
  const RunContext& run = row.run;
  // What differs most often comes first.
  return k.metric == row.metric && k.item == row.item && k.phase == row.phase && k.kernel == row.kernel &&
         k.case_text == row.case_text && k.layer == row.layer && k.variant == row.variant && k.model == row.model &&
         k.seq == row.seq && s.profile == run.profile && s.backend == run.backend && s.chip == run.chip &&
         s.os == run.os && s.build == run.build && s.commit == run.commit && s.machine == run.machine;
}

void ResultSet::add(const Record& row) {
  ++rows;
  if (began.empty() || row.run.time_utc < began) began = row.run.time_utc;
  // Rows without kernel and phase are a process about itself.
  if (row.kernel.empty() && row.phase.empty()) {
    Process& process = process_of(*this, row);
    // Beyond 64 bits it is no count of anything, and the conversion would be undefined.
    const auto number = row.value && std::fabs(*row.value) < 0x1p63
                            ? std::optional(static_cast<std::int64_t>(*row.value))
                            : std::nullopt;
    if (row.metric == "cases_planned") process.planned = number;
    if (row.metric == "threads") process.threads = number;
    if (row.metric == "cases_done") {
      process.done = number;
      process.reason = row.reason;
    }
    return;
  }
  const RunContext& run = row.run;
  if (!continues_last(row)) {
    const auto setting =
        settings.try_emplace({run.backend, run.profile, run.chip, run.os, run.build, run.commit, run.machine}).first;
    SeriesMap& all = setting->second;
    const auto [at, added] = all.try_emplace(SeriesKey::of(row));
    if (added) {
      at->second.first_row = rows;
      at->second.group_row = groups_.try_emplace({&all, row.model, row.kernel}, rows).first->second;
    }
    last_setting_ = &setting->first;
    last_key_ = &at->first;
    last_series_ = &at->second;
  }
  Series& series = *last_series_;
  series.unit = row.unit;
  if (row.value) {
    if (series.parts.empty() || series.parts.back().proc != run.proc || series.parts.back().run_id != run.run_id)
      series.parts.push_back({run.run_id, run.proc, series.values.size()});
    series.values.push_back(*row.value);
    if (row.step) series.steps.push_back(*row.step);
  }
  if (!row.text.empty()) series.text = row.text;
  if (row.status != Status::ok && series.status == Status::ok) {
    series.status = row.status;
    series.reason = row.reason;
  }
}

std::vector<fs::path> result_files(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  if (fs::exists(path / "results.csv")) return {path / "results.csv"};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".csv") || name.ends_with(".csv" + std::string(kPartialSuffix))) files.push_back(entry.path());
  }
  if (files.empty())
    throw input_error(path.string(), "has no result file", "name a folder that run_all.sh wrote, or a result file");
  std::sort(files.begin(), files.end());
  return files;
}

ResultSet read_result_set(const std::vector<fs::path>& results) {
  ResultSet set;
  std::optional<Error> first;
  const auto attempt = [&](const fs::path& file, const auto& read) {
    try {
      read();
    } catch (const Error& error) {
      // Reports are handed on: they name files without the folders they lay in.
      std::string what = error.what();
      if (const auto at = what.find(file.string()); at != std::string::npos)
        what.replace(at, file.string().size(), file.filename().string());
      set.problems.push_back({file.filename().string(), what});
      if (!first) first = error;
    }
  };
  for (const fs::path& path : results) {
    std::vector<fs::path> files;
    attempt(path, [&] { files = result_files(path); });
    if (fs::is_directory(path)) {
      attempt(path / "environment.json", [&] { read_environment(path / "environment.json", set); });
      attempt(path / "steps.tsv", [&] { read_steps(path / "steps.tsv", set); });
    }
    for (const fs::path& file : files) {
      attempt(file, [&] { visit_results(file, [&](const Record& row) { set.add(row); }); });
      set.files.push_back(file.filename().string());
    }
  }
  if (first && set.rows == 0) throw *first;
  return set;
}

}  // namespace aneval::reports
