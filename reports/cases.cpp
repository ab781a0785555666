#include "reports/cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "common/names.h"
#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {

std::vector<JudgedCase> judged_cases(const ResultSet& set) {
  std::vector<JudgedCase> cases;
  std::size_t at = 0;
  for (const auto& [setting, series] : set.settings) {
    std::unordered_map<std::string, std::size_t> place;  // by the case's text
    std::vector<bool> judged;
    const std::size_t first = cases.size();
    for (const Entry* entry : series.ordered()) {
      const auto& [key, values] = *entry;
      if (key.phase != "validate" || key.kernel.empty()) continue;
      const auto [found, added] = place.try_emplace(key.case_text, cases.size());
      if (added) {
        cases.push_back({.setting = at, .key = key});
        cases.back().key.item.clear();
        cases.back().key.metric.clear();
        judged.push_back(false);
      }
      JudgedCase& one = cases[found->second];
      if (key.metric == "time" && !values.values.empty()) one.ns = values.median();
      if (in(key.metric, {"time", "compile_count"}) || values.status != Status::ok)
        judged[found->second - first] = true;
      if (values.status != Status::ok && (one.status == Status::ok || is_failure(values.status))) {
        one.status = values.status;
        one.reason = values.reason;
      }
      if (values.values.empty()) continue;
      if (key.metric == "bound_ratio")
        one.bound_ratio = std::max(one.bound_ratio, *std::max_element(values.values.begin(), values.values.end()));
      // Exact data are integers of any size: their errors say nothing about those of a model.
      if (key.metric == "snr_db" && case_value(key, "data") != "exact") {
        const double least = *std::min_element(values.values.begin(), values.values.end());
        one.snr_db = one.snr_db ? std::min(*one.snr_db, least) : least;
      }
    }
    std::size_t kept = first;
    for (std::size_t i = first; i < cases.size(); ++i) {
      if (!judged[i - first]) continue;
      if (kept != i) cases[kept] = std::move(cases[i]);
      ++kept;
    }
    cases.resize(kept);
    ++at;
  }
  return cases;
}

Page cases_page(const ResultSet& set) {
  constexpr std::size_t kMost = 5000;
  Page page{.id = "cases", .title = "All cases"};
  page.missing =
      "Nothing was validated: `aneval validate --out FILE` judges kernels, and FILE belongs to what is reported.";
  std::vector<JudgedCase> cases = judged_cases(set);
  if (cases.empty()) return page;
  const auto order = [](const JudgedCase& c) { return is_failure(c.status) ? 0 : c.status == Status::ok ? 2 : 1; };
  std::stable_sort(cases.begin(), cases.end(),
                   [&](const JudgedCase& a, const JudgedCase& b) { return order(a) < order(b); });
  const std::vector<std::string> names = setting_names(set.settings);
  std::vector<const std::pair<const Setting, SeriesMap>*> settings;
  for (const auto& entry : set.settings) settings.push_back(&entry);
  Table table{.title = "Judged cases, failures first"};
  table.in_markdown = false;
  table.origin = join(names, "; ");
  table.columns = {"verdict", "backend, profile", "kernel",          "model",
                   "case",    "error / bound",    "signal to noise", "time"};
  for (const JudgedCase& one : cases) {
    if (table.rows.size() == kMost) break;
    const auto& [setting, series] = *settings[one.setting];
    SeriesKey named = one.key;
    named.phase = "validate";
    table.rows.push_back({std::string(status_name(one.status)), names[one.setting], kernel_title(one.key),
                          model_title(one.key), one.key.case_text, number3(one.bound_ratio),
                          one.snr_db ? fmt::format("{:.1f} dB", *one.snr_db) : kNone,
                          one.ns > 0 ? time_text(one.ns) : kNone});
    table.commands.push_back(reproduce_command(setting, series, named));
  }
  if (cases.size() > kMost)
    table.note = fmt::format("{} of {} cases: the result files have the others.", kMost, cases.size());
  page.tables.push_back(std::move(table));
  return page;
}

}  // namespace aneval::reports
