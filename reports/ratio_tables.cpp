// What was held against a yardstick, beside its target.
#include <fmt/format.h>

#include <algorithm>

#include "reports/format.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

std::string target_text(const Series* at_least, const Series* at_most) {
  if (at_least != nullptr) return fmt::format("≥ {:g}", at_least->median());
  if (at_most != nullptr) return fmt::format("≤ {:g}", at_most->median());
  return kNone;
}

/// "3 of 3": repetitions whose ratio reaches the target.
std::string held_text(const Series& ratio, const Series* at_least, const Series* at_most) {
  if (at_least == nullptr && at_most == nullptr) return kNone;
  const auto holds = [&](double value) {
    return at_least != nullptr ? value >= at_least->median() : value <= at_most->median();
  };
  const auto held = std::count_if(ratio.values.begin(), ratio.values.end(), holds);
  return fmt::format("{} of {}", held, ratio.values.size());
}

}  // namespace

std::vector<Table> ratio_tables(const SeriesMap& series) {
  Table table{.title = "Held against a yardstick"};
  table.columns = {"part", "time", "yardstick", "ratio", "quartiles", "target", "held"};
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.phase != "ratio" || key.metric != "time" || values.values.empty()) continue;
    const Series *ratio = find(series, key, "ratio"), *low = find(series, key, "ratio_q1");
    const Series *high = find(series, key, "ratio_q3"), *yardstick = nullptr;
    if (ratio == nullptr || low == nullptr || high == nullptr) continue;
    SeriesKey name = key;
    name.metric = "yardstick";
    if (const auto found = series.find(name); found != series.end()) yardstick = &found->second;
    const Series *at_least = find(series, key, "ratio_at_least"), *at_most = find(series, key, "ratio_at_most");
    table.rows.push_back({key.item, time_text(values.median()), yardstick == nullptr ? kNone : yardstick->text,
                          number3(ratio->median()), number3(low->median()) + " – " + number3(high->median()),
                          target_text(at_least, at_most), held_text(*ratio, at_least, at_most)});
  }
  if (table.rows.empty()) return {};
  table.note =
      "Runs alternate with the yardstick's; a ratio is the median of 21 pairs, here of the repetitions. ≥: the "
      "yardstick's time / ours. ≤: ours / the yardstick's. A target that is missed is no failure: machines are shared.";
  return {table};
}

}  // namespace aneval::reports
