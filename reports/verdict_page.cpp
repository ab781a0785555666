// The first page: is it right, did all of it run, and what has to be looked at.
#include <fmt/format.h>

#include "common/environment.h"
#include "reports/cases.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

bool is_degraded(Status status) { return status == Status::degraded; }

Table run_table(const ResultSet& set) {
  Table table{.title = "What ran"};
  table.columns = {"part", "planned", "done", "state"};
  const auto number = [](const std::optional<std::int64_t>& n) { return n ? std::to_string(*n) : kNone; };
  for (const Process& process : set.processes)
    table.rows.push_back({process.command, number(process.planned), number(process.done), process_state(process)});
  for (const Step& step : set.steps)
    if (step.result != "ok" || step.name == "tests")
      table.rows.push_back({step.name, kNone, kNone, step.result + (step.note.empty() ? "" : ": " + step.note)});
  for (const Problem& problem : set.problems)
    table.rows.push_back({problem.file, kNone, kNone, "not read: " + problem.what});
  return table;
}

/// Rows of such a status; the first reason of each case and item (of what is degraded the case's own says all).
Table status_table(const ResultSet& set, const char* title, bool (*chosen)(Status)) {
  constexpr std::size_t kMost = 50;
  Table table{.title = title};
  table.columns = {"status", "backend, profile", "case", "item", "phase", "reason"};
  std::size_t left_out = 0;
  for (const auto& [name, setting, all] : named_settings(set.settings)) {
    std::string last;
    for (const auto& [key, series] : all) {
      if (!chosen(series.status) || (is_degraded(series.status) && !key.item.empty())) continue;
      const std::string id = key.case_text + "\n" + key.item + "\n" + key.phase + "\n" + series.reason;
      if (id == last) continue;
      last = id;
      if (table.rows.size() == kMost) {
        ++left_out;
        continue;
      }
      table.rows.push_back(
          {std::string(status_name(series.status)), name, key.case_text, key.item, key.phase, series.reason});
      table.commands.push_back(reproduce_command(setting, all, key));
    }
  }
  for (const Step& step : set.steps)
    if (chosen(Status::skipped) && step.result == "skipped") {
      table.rows.push_back({"skipped", "", step.name, "", "", step.note});
      table.commands.emplace_back();
    }
  if (left_out > 0) table.note = fmt::format("… and {} more, in the result file.", left_out);
  return table;
}

Table count_table(const ResultSet& set) {
  Table table{.title = "Judged cases"};
  table.columns = {"backend, profile", "chip", "commit", "cases", "ok", "degraded", "skipped", "failed"};
  const std::vector<std::string> names = setting_names(set.settings);
  std::vector<std::array<std::size_t, 4>> counts(names.size());
  for (const JudgedCase& judged : judged_cases(set)) {
    const Status status = judged.status;
    ++counts[judged.setting][status == Status::ok ? 0 : is_degraded(status) ? 1 : is_skipped(status) ? 2 : 3];
  }
  std::size_t at = 0;
  for (const auto& [setting, series] : set.settings) {
    const auto& [ok, degraded, skipped, failed] = counts[at];
    if (const std::size_t all = ok + degraded + skipped + failed; all > 0)
      table.rows.push_back({names[at], setting.chip, setting.commit, std::to_string(all), std::to_string(ok),
                            std::to_string(degraded), std::to_string(skipped), std::to_string(failed)});
    else if (!setting.backend.empty())
      table.rows.push_back(
          {names[at], setting.chip, setting.commit, "0: nothing was validated", kNone, kNone, kNone, kNone});
    ++at;
  }
  return table;
}

}  // namespace

std::string process_state(const Process& process) {
  if (process.finished()) return "finished";
  if (!process.reason.empty()) return process.reason;
  return process.done ? "ended early" : "killed: its last row is missing";
}

Verdict judge(const ResultSet& set) {
  Verdict verdict = set.settings.empty() || !set.problems.empty() ? Verdict::incomplete : Verdict::passed;
  for (const Process& process : set.processes)
    if (!process.finished()) verdict = Verdict::incomplete;
  for (const Step& step : set.steps)
    if (step.result == "failed") verdict = Verdict::failed;
  for (const auto& [setting, all] : set.settings)
    for (const auto& [key, series] : all)
      if (is_failure(series.status) && series.status != Status::unstable) return Verdict::failed;
  return verdict;
}

Page verdict_page(const ResultSet& set) {
  Page page{.id = "verdict", .title = "Verdict"};
  for (Table table : {status_table(set, "Failures", is_failure), count_table(set), run_table(set),
                      status_table(set, "Degraded: every bound holds, but little is left", is_degraded),
                      status_table(set, "Skipped", is_skipped)}) {
    table.folded = table.title == "Skipped";
    if (!table.rows.empty()) page.tables.push_back(std::move(table));
  }
  page.missing = "These results have no rows: nothing was measured.";
  return page;
}

Page environment_page(const ResultSet& set) {
  Page page{.id = "environment", .title = "Environment"};
  // One column per environment.json: what two runs do not share is seen at once.
  Table table{.title = "Machines and builds"};
  table.columns = {"property"};
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> values;
  for (std::size_t i = 0; i < set.environments.size(); ++i)
    for (const auto& [name, value] : environment_lines(set.environments[i])) {
      if (name == "schema") continue;
      const auto [at, added] = values.try_emplace(name, set.environments.size(), kNone);
      if (added) order.push_back(name);
      at->second[i] = value;
    }
  if (!order.empty()) {
    for (std::size_t i = 0; i < set.environments.size(); ++i)
      table.columns.push_back(set.environments.size() == 1 ? "value" : fmt::format("run {}", i + 1));
    if (set.environments.size() > 1) table.columns.emplace_back("same");
    for (const std::string& name : order) {
      std::vector<std::string> row = {name};
      const auto& cells = values.at(name);
      row.insert(row.end(), cells.begin(), cells.end());
      if (cells.size() > 1)
        row.emplace_back(std::equal(cells.begin() + 1, cells.end(), cells.begin()) ? "yes" : "differs");
      table.rows.push_back(std::move(row));
    }
  } else {
    table.columns = {"backend, profile", "chip", "os", "build", "commit", "machine"};
    for (const auto& [name, setting, series] : named_settings(set.settings))
      table.rows.push_back({name, setting.chip, setting.os, setting.build, setting.commit, setting.machine});
    table.note = "From the rows: there is no environment.json beside them.";
  }
  if (!table.rows.empty()) page.tables.push_back(std::move(table));
  Table files{.title = "Files"};
  files.columns = {"file"};
  for (const std::string& file : set.files) files.rows.push_back({file});
  files.folded = true;
  if (!files.rows.empty()) page.tables.push_back(std::move(files));
  page.missing = "No row says what machine it is from.";
  return page;
}

}  // namespace aneval::reports
