// What the self-test found: the defects that were committed on purpose, by kernel, and whether healthy runs passed.
#include <fmt/format.h>

#include <algorithm>

#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// All cases of one defect and kernel.
struct Outcome {
  std::int64_t demanded = 0, found = 0, below = 0, below_found = 0;
  std::map<std::string, std::int64_t> gates;
  double weakest = 0, noise = 0;
};

double value_or(const Series* series, double otherwise) {
  return series == nullptr || series->values.empty() ? otherwise : series->median();
}

/// Metrics that would be infinite are left out of the rows: no bound on the margin, a defect that shows everywhere.
void add(Outcome& outcome, const SeriesMap& series, const SeriesKey& key, const std::string& gate) {
  const bool flagged = gate != "none";
  const Series* visibility = find(series, key, "defect_visibility");
  const bool demanded = visibility == nullptr || value_or(visibility, 0) >= 1;
  ++(demanded ? outcome.demanded : outcome.below);
  if (flagged) {
    ++(demanded ? outcome.found : outcome.below_found);
    ++outcome.gates[gate];
    if (const Series* excess = find(series, key, "defect_excess"); excess != nullptr && demanded) {
      const double value = value_or(excess, 0);
      if (outcome.weakest == 0 || value < outcome.weakest) outcome.weakest = value;
    }
  } else if (!demanded) {
    outcome.noise = std::max(outcome.noise, value_or(find(series, key, "defect_deviation"), 0));
  }
}

std::string gates_text(const Outcome& outcome) {
  std::string text;
  for (const auto& [gate, count] : outcome.gates) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", gate, count);
  return text.empty() ? kNone : text;
}

std::string total(const SeriesMap& series, const char* metric) {
  for (const auto& [key, values] : series)
    if (key.phase == "self_test" && key.item.empty() && key.metric == metric && !values.values.empty())
      return fmt::format("{:.4g}", values.median());
  return kNone;
}

/// What the whole self-test says.
Table totals_table(const SeriesMap& series) {
  Table table{.title = "Does the checker find what is wrong?"};
  table.columns = {"question", "answer"};
  table.rows = {
      {"defects that must be found", total(series, "defects_detectable")},
      {"of these found", total(series, "defects_found")},
      {"defects inside the noise", total(series, "defects_in_noise")},
      {"healthy runs", total(series, "healthy_runs")},
      {"of these flagged", total(series, "false_alarms")},
      {"healthy runs: largest error over its bound", total(series, "bound_ratio")},
      {"healthy runs: largest deviation over its limit", total(series, "deviation_ratio")},
      {"healthy runs: largest spread over its limit", total(series, "spread_ratio")},
  };
  for (const Entry* entry : series.ordered())
    if (entry->first.phase == "self_test" && entry->first.metric == "seed_defect") {
      // "cyclic head map: found in 25 of 25 cases; …"
      const std::string& text = entry->second.text;
      const auto colon = text.find(": ");
      table.rows.push_back({text.substr(0, colon), colon == std::string::npos ? kNone : text.substr(colon + 2)});
    }
  return table;
}

}  // namespace

std::vector<Table> defect_tables(const SeriesMap& series) {
  Table table{.title = "Every defect and kernel"};
  table.columns = {"defect",       "kernel",  "must be found",    "found",
                   "least margin", "by gate", "inside the noise", "up to Δ/σ"};
  std::vector<std::pair<std::string, std::string>> order;
  std::map<std::pair<std::string, std::string>, Outcome> outcomes;
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.phase != "self_test") continue;
    if (key.metric != "defect_gate") continue;
    const auto row = std::make_pair(key.item, key.kernel);
    if (!outcomes.contains(row)) order.push_back(row);
    add(outcomes[row], series, key, values.text);
  }
  if (order.empty()) return {};
  for (const auto& row : order) {
    const Outcome& outcome = outcomes[row];
    table.rows.push_back({row.first, row.second, std::to_string(outcome.demanded), std::to_string(outcome.found),
                          outcome.weakest > 0 ? fmt::format("×{:.3g}", outcome.weakest) : kNone, gates_text(outcome),
                          fmt::format("{}{}", outcome.below,
                                      outcome.below_found > 0 ? fmt::format(" ({} flagged)", outcome.below_found) : ""),
                          outcome.noise > 0 ? fmt::format("{:.2g}", outcome.noise) : kNone});
  }
  table.note =
      "Cases of each defect and kernel; a defect must be found where it changes a result by twice what the gates "
      "allow.";
  table.folded = true;
  return {totals_table(series), table};
}

Page defects_page(const ResultSet& set) {
  Page page{.id = "defects", .title = "Defects committed on purpose"};
  page.intro = "Whether the checker finds what is wrong: known defects, committed by a device that has them.";
  page.missing =
      "The checker was not checked in these results: `aneval validate --self-test --out FILE` commits every known "
      "defect and demands that each is found.";
  add_setting_tables(page, set, {defect_tables});
  return page;
}

}  // namespace aneval::reports
