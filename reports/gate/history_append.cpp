#include "reports/gate/history_append.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "common/csv.h"
#include "common/error.h"
#include "common/files.h"
#include "common/journal.h"
#include "common/names.h"
#include "common/result_file.h"
#include "common/statistics.h"
#include "common/vocabulary.h"
#include "reports/gate/history.h"
#include "reports/gate/paired.h"
#include "reports/gate/rules.h"

namespace aneval::gate {
namespace {

namespace fs = std::filesystem;
using reports::SeriesKey;

/// What a run has of one metric of one thing.
struct Values {
  Record row;  // the first
  std::map<std::int64_t, std::vector<double>> of_process;
  std::set<std::string> texts;
  std::optional<Record> failed;  // the first that is not ok
};

struct Run {
  RunContext context;
  std::string power;
  std::map<SeriesKey, std::map<std::string, Values>> things;          // by key without metric; by metric
  std::map<std::pair<std::int64_t, std::string>, double> unfinished;  // cases left, of process and command
  bool facts = false;                                                 // has `benchmark` rows
};

using RunKey =
    std::tuple<std::string, std::string, std::string, std::string, std::string, std::string, std::string, std::string>;

RunKey key_of(const RunContext& run) {
  return {run.run_id, run.commit, run.machine, run.chip, run.os, run.backend, run.profile, run.build};
}

bool has_rule(const std::string& metric) {
  const auto& table = rules();
  return std::any_of(table.begin(), table.end(),
                     [&](const Rule& rule) { return rule.metric == metric || rule.scale == metric; });
}

void add(Run& run, const Record& row) {
  if (run.context.run_id.empty() || row.run.time_utc < run.context.time_utc) {
    run.context = row.run;
    run.context.proc = 0;
  }
  if (row.kernel.empty() && row.phase.empty()) {
    double& left = run.unfinished[{row.run.proc, row.item}];
    if (row.metric == "cases_planned") left += row.value.value_or(0);
    if (row.metric == "cases_done") left -= row.value.value_or(0);
    return;
  }
  if (row.phase == "power") {
    if (row.metric == "power_state" && row.item == "begin") run.power = row.text;
    return;
  }
  const bool kept =
      row.metric == "time" || row.metric == "benchmark" || has_rule(row.metric) || row.status != Status::ok;
  if (!kept || row.step) return;
  run.facts = run.facts || row.metric == "benchmark";
  auto thing = SeriesKey::of(row);
  thing.metric.clear();
  auto& metrics = run.things[thing];
  const auto [at, added] = metrics.try_emplace(row.metric);
  Values& values = at->second;
  if (added) values.row = row;
  if (row.value) values.of_process[row.run.proc].push_back(*row.value);
  values.texts.insert(row.text);
  if (row.status != Status::ok && !values.failed) values.failed = row;
}

std::map<RunKey, Run> read_runs(const std::vector<fs::path>& results) {
  std::map<RunKey, Run> runs;
  for (const fs::path& path : results) {
    std::error_code error;
    if (!fs::exists(path, error))
      throw input_error(path.string(), "does not exist", "name a folder of results, or a result file");
    for (const fs::path& file : reports::result_files(path))
      visit_results(file, [&](const Record& row) { add(runs[key_of(row.run)], row); });
  }
  return runs;
}

void check_finished(const Run& run) {
  for (const auto& [process, left] : run.unfinished)
    if (left > 0)
      throw input_error(
          fmt::format("run {}", run.context.run_id),
          fmt::format("process {} ({}) ended before {:g} of its cases", process.first, process.second, left),
          "append runs that came to their end");
}

/// Times that count, in ns: medians over processes.
std::map<const Values*, double> times_of(const Run& run) {
  std::vector<const Values*> times;
  std::vector<std::size_t> controls;
  std::set<std::int64_t> processes;
  for (const auto& [thing, metrics] : run.things) {
    const auto time = metrics.find("time");
    const bool control = thing.phase == kControlPhase;
    if (time == metrics.end() || (run.facts && !control && !metrics.contains("benchmark"))) continue;
    if (control) controls.push_back(times.size());
    times.push_back(&time->second);
    for (const auto& [process, values] : time->second.of_process) processes.insert(process);
  }
  std::vector<std::vector<double>> ns;  // of every process
  Processes logarithms;                 // and a metric that is always 0: it comes back as minus what is common
  for (const std::int64_t process : processes) {
    auto& own = ns.emplace_back(times.size(), std::numeric_limits<double>::quiet_NaN());
    for (std::size_t i = 0; i < times.size(); ++i) {
      const auto found = times[i]->of_process.find(process);
      if (found == times[i]->of_process.end()) continue;
      own[i] = median(found->second);
      if (!(own[i] > 0))
        throw input_error(fmt::format("run {} process {}", run.context.run_id, process),
                          fmt::format("{} {} takes {:g} ns", times[i]->row.kernel, times[i]->row.phase, own[i]),
                          "times are above zero: measure again");
    }
    auto& row = logarithms.a.emplace_back();
    for (const double value : own) row.push_back(std::log(value));
    row.push_back(0);
  }
  if (ns.size() > 1) remove_common_mode(logarithms, controls);
  std::map<const Values*, double> result;
  for (std::size_t i = 0; i < times.size(); ++i) {
    std::vector<double> values;
    for (std::size_t process = 0; process < ns.size(); ++process)
      if (std::isfinite(ns[process][i])) values.push_back(ns[process][i] * std::exp(logarithms.a[process].back()));
    if (!values.empty()) result[times[i]] = median(std::move(values));
  }
  return result;
}

/// The row that stands for all of a deterministic metric.
Record deterministic_row(const Values& values) {
  Record row = values.failed.value_or(values.row);
  row.rep.reset();
  std::set<double> distinct;
  for (const auto& [process, of] : values.of_process) distinct.insert(of.begin(), of.end());
  if (distinct.size() <= 1 && values.texts.size() <= 1) return row;
  row.value.reset();
  row.text.clear();
  if (row.status == Status::ok) {
    row.status = Status::unstable;
    row.reason = fmt::format("{} different values in one run", std::max(distinct.size(), values.texts.size()));
  }
  return row;
}

std::string block_of(const Run& run, std::size_t& count) {
  const auto times = times_of(run);
  std::vector<Record> rows;
  if (!run.power.empty()) {
    Record power;
    power.phase = "power";
    power.item = "begin";
    rows.push_back(fact(power, "power_state", run.power));
  }
  for (const auto& [thing, metrics] : run.things) {
    // A benchmark's version comes before its values.
    if (const auto named = metrics.find("benchmark"); named != metrics.end())
      rows.push_back(deterministic_row(named->second));
    for (const auto& [metric, values] : metrics) {
      if (metric == "benchmark") continue;
      if (metric != "time") {
        rows.push_back(deterministic_row(values));
        continue;
      }
      const auto ns = times.find(&values);
      Record row = values.failed.value_or(values.row);
      row.rep.reset();
      row.value.reset();
      if (values.failed)
        rows.push_back(row);
      else if (ns != times.end())
        rows.push_back(fact(row, "time", ns->second));
    }
  }
  count = rows.size();
  Record about;
  about.run = run.context;
  about.item = kHistoryItem;
  std::string text = csv_line(fact(about, "cases_planned", static_cast<double>(count)));
  for (Record& row : rows) {
    row.run = run.context;
    text += csv_line(row);
  }
  return text + csv_line(fact(about, "cases_done", static_cast<double>(count)));
}

/// "Apple M4 Max": "apple-m4-max".
std::string file_part(const std::string& text) {
  std::string part;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool capital = c >= 'A' && c <= 'Z';
    if (plain || capital)
      part += capital ? static_cast<char>(c - 'A' + 'a') : c;
    else if (!part.empty() && part.back() != '-')
      part += '-';
  }
  while (part.ends_with('-')) part.pop_back();
  return part.empty() ? "unnamed" : part;
}

/// Lines are appended in the order of this version's columns.
void check_columns(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string header;
  std::getline(in, header);
  if (header + '\n' != csv_header())
    throw input_error(file.string(), "has other columns than this version writes", "choose another folder");
}

/// The files of the history that runs go to, locked. What it made is removed again when it stays empty.
class Target {
 public:
  explicit Target(fs::path file) : file_(std::move(file)), journal_(file_, Journal::Lines::left) {}
  ~Target() {
    std::error_code ignored;
    if (fs::file_size(file_, ignored) == 0) fs::remove(file_, ignored);
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  void append(const std::string& block) {
    const bool empty = fs::file_size(file_) == 0;
    if (!empty) check_columns(file_);
    journal_.append_lines(empty ? csv_header() + block : block);
  }

 private:
  fs::path file_;
  Journal journal_;
};

}  // namespace

std::vector<Appended> append_runs(const fs::path& folder, const std::vector<fs::path>& results) {
  struct Block {
    RunContext run;
    std::string file, text;
    std::size_t rows = 0;
  };
  std::vector<Block> blocks;
  for (const auto& [key, run] : read_runs(results)) {
    check_finished(run);
    if (!seconds_of(run.context.time_utc))
      throw input_error(fmt::format("run {}", run.context.run_id),
                        fmt::format("time_utc '{}' is no time", run.context.time_utc),
                        "it looks like 2026-11-28T12:01:26Z");
    Block block{run.context, file_part(run.context.machine) + '-' + file_part(run.context.chip) + ".csv", {}, 0};
    block.text = block_of(run, block.rows);
    if (block.rows > 0) blocks.push_back(std::move(block));
  }
  if (blocks.empty())
    throw input_error(results.front().string(), "has nothing that a history keeps",
                      "append results of `aneval bench` or `aneval validate`");
  std::stable_sort(blocks.begin(), blocks.end(),
                   [](const Block& a, const Block& b) { return a.run.time_utc < b.run.time_utc; });

  make_folder(folder);
  std::map<std::string, std::unique_ptr<Target>> targets;
  for (const Block& block : blocks)
    if (auto& target = targets[block.file]; !target) target = std::make_unique<Target>(folder / block.file);
  const History history = read_history(folder);
  std::vector<Appended> appended;
  for (const Block& block : blocks) {
    const bool known = history.has(block.run);
    if (!known) targets.at(block.file)->append(block.text);
    appended.push_back({block.run.run_id, block.file, known ? 0 : block.rows});
  }
  return appended;
}

}  // namespace aneval::gate
