#include "reports/report.h"

#include <fmt/format.h>

#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {

Page no_history_page() {
  return {.id = "history",
          .title = "History",
          .missing =
              "No history was given: `aneval report … --history DIR` shows a folder of `aneval compare --history DIR "
              "--append RESULTS`, with the points where levels changed."};
}

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

void add_setting_tables(Page& page, const ResultSet& set, const std::vector<SettingTables>& functions) {
  for (const auto& [name, setting, series] : named_settings(set.settings))
    for (const SettingTables tables : functions)
      for (Table& table : tables(series)) {
        if (table.rows.empty()) continue;
        table.origin = name;
        page.tables.push_back(std::move(table));
      }
}

Report make_report(const ResultSet& set, std::vector<Page> more) {
  Report report{.verdict = judge(set)};
  for (const auto& [setting, series] : set.settings) {
    if (setting.backend.empty()) continue;
    if (!report.headline.empty()) report.headline += "; ";
    report.headline += fmt::format("{} on {}, commit {}", setting.arithmetic(), setting.chip, setting.commit);
    if (setting.emulated() && !report.emulated)
      report.warnings.push_back(
          "Times and rates of the emulator are its own, on the CPU named above. They say nothing about the speed of an "
          "engine. Errors are those of the profile's arithmetic.");
    report.emulated = report.emulated || setting.emulated();
  }
  for (const Problem& problem : set.problems)
    report.warnings.push_back(fmt::format("{}. What could be read before that is shown.", problem.what));
  for (const Process& process : set.processes)
    if (!process.finished())
      report.warnings.push_back(fmt::format("{} did not come to its end ({}): what is below is what it had written.",
                                            process.command, process_state(process)));

  if (more.empty()) more.push_back(no_history_page());
  for (const auto page : {verdict_page, kernels_page, phases_page, latency_page, errors_page, arithmetic_page,
                          profiles_page, training_page, sweeps_page, machine_page})
    report.pages.push_back(page(set));
  for (Page& page : more) report.pages.push_back(std::move(page));
  for (const auto page : {defects_page, published_page, cases_page, environment_page})
    report.pages.push_back(page(set));
  return report;
}

}  // namespace aneval::reports
