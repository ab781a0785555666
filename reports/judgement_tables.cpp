// How near outputs came to what is allowed, gate by gate, and how errors are distributed against what was derived for
// them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "common/names.h"
#include "reports/format.h"
#include "reports/table_parts.h"
#include "reports/tables.h"

namespace aneval::reports {
namespace {

struct Extremes {
  SeriesKey key;
  std::string block;
  std::int64_t cases = 0;
  double bound = 0, deviation = 0, spread = 0, least = INFINITY, most = 0, reference = 0;
};

/// "0.5:12 1:7 more:0" -> counts by edge, in the order of the text.
std::vector<std::pair<std::string, double>> histogram(const std::string& text) {
  std::vector<std::pair<std::string, double>> counts;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const auto colon = word.find(':');
    if (colon == std::string::npos) return {};
    counts.emplace_back(word.substr(0, colon), parse_double(word.substr(colon + 1), "histogram"));
  }
  return counts;
}

Table histogram_table(const SeriesMap& series, const char* metric, const char* title, const char* note) {
  std::vector<std::string> edges;
  std::vector<std::pair<std::string, std::vector<double>>> kernels;
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.metric != metric) continue;
    const auto counts = histogram(values.text);
    if (edges.empty())
      for (const auto& [edge, count] : counts) edges.push_back(edge);
    if (counts.size() != edges.size()) continue;
    auto at = std::find_if(kernels.begin(), kernels.end(), [&](const auto& k) { return k.first == key.kernel; });
    if (at == kernels.end()) at = kernels.insert(at, {key.kernel, std::vector<double>(edges.size(), 0.0)});
    for (std::size_t i = 0; i < counts.size(); ++i) at->second[i] += counts[i].second;
  }
  Table table{.title = title};
  table.note = note;
  table.columns = {"kernel", "elements"};
  for (const std::string& edge : edges) table.columns.push_back(edge == "more" ? edge : "≤ " + edge);
  for (const auto& [kernel, counts] : kernels) {
    double all = 0;
    for (const double count : counts) all += count;
    if (all == 0) continue;
    std::vector<std::string> row = {kernel, fmt::format("{:.0f}", all)};
    for (const double count : counts) row.push_back(count == 0 ? kNone : fmt::format("{:.3g} %", 100 * count / all));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::vector<Table> gate_tables(const SeriesMap& series) {
  std::vector<Extremes> blocks;
  std::map<std::string, std::size_t> place;
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.phase != "validate" || key.kernel == "layer" || key.item.empty() || values.values.empty()) continue;
    if (!in(key.metric, {"bound_ratio", "deviation_ratio", "error_spread", "spread_ratio", "reference_error"}))
      continue;
    const auto [at, added] = place.emplace(model_title(key) + "\n" + key.kernel + "\n" + key.item, blocks.size());
    if (added) blocks.push_back({.key = key, .block = key.item});
    Extremes& block = blocks[at->second];
    for (const double value : values.values) {
      if (key.metric == "bound_ratio") {
        ++block.cases;
        block.bound = std::max(block.bound, value);
      } else if (key.metric == "deviation_ratio") {
        block.deviation = std::max(block.deviation, value);
      } else if (key.metric == "spread_ratio") {
        block.spread = std::max(block.spread, value);
      } else if (key.metric == "reference_error") {
        block.reference = std::max(block.reference, value);
      } else {
        block.least = std::min(block.least, value);
        block.most = std::max(block.most, value);
      }
    }
  }
  Table empty{.title = "How near outputs came to what is allowed"};
  empty.columns = {"kernel", "block", "cases",     "error / bound",     "deviation / limit",
                   "R from", "to",    "R / limit", "fp32 reference / σ"};
  empty.note = "Largest of all cases; 1 and more fails. R is 1 when errors are spread as derived.";
  TablesByModel tables(empty);
  for (const Extremes& block : blocks) {
    const bool spread = std::isfinite(block.least);
    Table& table = tables.of(block.key);
    table.folded = true;
    table.rows.push_back(
        {block.key.kernel, block.block, std::to_string(block.cases), fmt::format("{:.2f}", block.bound),
         fmt::format("{:.2f}", block.deviation), spread ? fmt::format("{:.2f}", block.least) : kNone,
         spread ? fmt::format("{:.2f}", block.most) : kNone, spread ? fmt::format("{:.2f}", block.spread) : kNone,
         spread ? fmt::format("{:.1e}", block.reference) : kNone});
  }
  std::vector<Table> all = std::move(tables.tables);
  for (Table table :
       {histogram_table(series, "deviation_histogram", "Errors in standard deviations: |error − expected| / σ",
                        "Share of the elements of all cases, by the largest value they may have."),
        histogram_table(series, "bound_histogram", "Errors in bounds: |error| / E",
                        "Of elements whose bound leaves more than one number; bounds are worst cases.")}) {
    table.folded = true;
    if (!table.rows.empty()) all.push_back(std::move(table));
  }
  return all;
}

}  // namespace aneval::reports
