#include "reports/summary.h"

#include <fmt/format.h>

#include "common/environment.h"
#include "reports/format.h"
#include "reports/tables.h"

namespace aneval::reports {
namespace {

Table environment_table(const ResultSet& set) {
  Table table{.title = "Environment"};
  table.columns = {"", "value"};
  for (const std::string& text : set.environments)
    for (const auto& [name, value] : environment_lines(text))
      if (name != "schema") table.rows.push_back({name, value});
  if (!table.rows.empty()) return table;
  for (const auto& [setting, series] : set.settings)
    table.rows.insert(table.rows.end(), {{"chip", setting.chip},
                                         {"os", setting.os},
                                         {"build", setting.build},
                                         {"commit", setting.commit},
                                         {"machine", setting.machine}});
  table.note = "From the rows: there is no environment.json beside them.";
  return table;
}

std::string process_state(const Process& process) {
  if (process.finished()) return "finished";
  if (!process.reason.empty()) return process.reason;
  return process.done ? "ended early" : "killed: its last row is missing";
}

Table run_table(const ResultSet& set) {
  Table table{.title = "What ran"};
  table.columns = {"part", "planned", "done", "state"};
  const auto number = [](const std::optional<std::int64_t>& n) { return n ? std::to_string(*n) : std::string("–"); };
  for (const Process& process : set.processes)
    table.rows.push_back({process.command, number(process.planned), number(process.done), process_state(process)});
  for (const Step& step : set.steps)
    if (step.result != "ok" || step.name == "tests")
      table.rows.push_back({step.name, "–", "–", step.result + (step.note.empty() ? "" : ": " + step.note)});
  return table;
}

bool is_skipped(Status status) { return status == Status::skipped || status == Status::constraint; }
bool is_degraded(Status status) { return status == Status::degraded; }
bool is_failure(Status status) { return status != Status::ok && !is_skipped(status) && !is_degraded(status); }

/// Rows of such a status; the first reason of each case and item (of what is degraded the case's own says all).
Table status_table(const ResultSet& set, const char* title, bool (*chosen)(Status)) {
  constexpr std::size_t kMost = 50;
  Table table{.title = title};
  table.columns = {"status", "case", "item", "phase", "reason"};
  std::size_t left_out = 0;
  for (const auto& [setting, all] : set.settings) {
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
          {std::string(status_name(series.status)), key.case_text, key.item, key.phase, series.reason});
    }
  }
  for (const Step& step : set.steps)
    if (chosen(Status::skipped) && step.result == "skipped")
      table.rows.push_back({"skipped", step.name, "", "", step.note});
  if (left_out > 0) table.note = fmt::format("… and {} more, in the result file.", left_out);
  return table;
}

Verdict judge(const ResultSet& set) {
  Verdict verdict = set.settings.empty() ? Verdict::incomplete : Verdict::passed;
  for (const Process& process : set.processes)
    if (!process.finished()) verdict = Verdict::incomplete;
  for (const Step& step : set.steps)
    if (step.result == "failed") verdict = Verdict::failed;
  for (const auto& [setting, all] : set.settings)
    for (const auto& [key, series] : all)
      if (is_failure(series.status) && series.status != Status::unstable) return Verdict::failed;
  return verdict;
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "PASSED";
    case Verdict::failed:
      return "FAILED";
    default:
      return "INCOMPLETE";
  }
}

Summary summarise(const ResultSet& set) {
  Summary summary;
  summary.verdict = judge(set);
  for (const auto& [setting, series] : set.settings) {
    if (setting.backend.empty()) continue;
    if (!summary.headline.empty()) summary.headline += "; ";
    summary.headline += fmt::format("{} on {}, commit {}", setting.arithmetic(), setting.chip, setting.commit);
    if (setting.emulated() && summary.warnings.empty())
      summary.warnings.push_back(
          "Times and rates here are the **emulator's**, on the CPU named above. They say nothing about the speed of "
          "an engine. Errors are those of the profile's arithmetic.");
  }
  for (const Process& process : set.processes)
    if (!process.finished())
      summary.warnings.push_back(
          fmt::format("`{}` did not come to its end ({}): what is below is what it had "
                      "written.",
                      process.command, process_state(process)));

  const auto add = [&](Table table) {
    if (!table.rows.empty()) summary.tables.push_back(std::move(table));
  };
  add(status_table(set, "Failures", is_failure));
  add(run_table(set));
  add(status_table(set, "Degraded: every bound holds, but little is left", is_degraded));
  for (const auto tables : {source_tables, growth_tables})
    for (Table& table : tables(set.settings)) add(std::move(table));
  for (const auto& [setting, series] : set.settings) {
    const std::size_t first = summary.tables.size();
    for (const auto tables :
         {phase_tables, error_tables, gate_tables, defect_tables, special_tables, roof_tables, layer_tables,
          headroom_tables, slice_tables, host_tables, ratio_tables, arithmetic_tables, profile_tables})
      for (Table& table : tables(series)) add(std::move(table));
    if (set.settings.size() > 1)
      for (std::size_t i = first; i < summary.tables.size(); ++i)
        summary.tables[i].title += fmt::format(" ({}, {}, {})", setting.arithmetic(), setting.chip, setting.commit);
  }
  add(status_table(set, "Skipped", is_skipped));
  add(environment_table(set));
  return summary;
}

}  // namespace aneval::reports
