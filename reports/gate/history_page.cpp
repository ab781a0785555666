#include "reports/gate/history_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/chart_parts.h"
#include "reports/format.h"

namespace aneval::gate {
namespace {

using reports::Json;

std::string value_text(double value, const std::string& unit) {
  return unit == "ns" ? reports::time_text(value) : reports::number3(value) + (unit == "1" ? "" : " " + unit);
}

std::string short_commit(const std::string& commit) { return commit.substr(0, 9); }

/// What is worth a picture first: levels that changed, then what is not unchanged.
std::vector<const SeriesJudgement*> drawn(const HistoryJudgement& judgement) {
  constexpr std::size_t kMost = 12;
  std::vector<const SeriesJudgement*> order;
  for (const SeriesJudgement& one : judgement.series)
    if (one.finding.kind == Kind::timing) order.push_back(&one);
  const auto rank = [](const SeriesJudgement* one) {
    return !one->changes.empty() ? 0 : one->finding.verdict != Verdict::unchanged ? 1 : 2;
  };
  std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  order.resize(std::min(order.size(), kMost));
  return order;
}

/// Times in ms, one picture per series: what was measured, and the levels.
reports::Chart history_chart(const History& history, const std::vector<const SeriesJudgement*>& shown) {
  reports::ChartRows rows{.columns = {"series", "run", "ms", "kind", "commit"}};
  std::string origin;
  for (const SeriesJudgement* one : shown) {
    const Lane& lane = history.lanes[one->lane];
    const std::string name = one->finding.name();
    if (const std::string text = lane.conditions.text(); origin.find(text) == std::string::npos)
      origin += (origin.empty() ? "" : "; ") + text;
    const HistorySeries& series = lane.series[one->series];
    for (const Point& point : series.points)
      if (point.value)
        rows.rows.push_back(
            {name, point.run, *point.value / 1e6, "measured", short_commit(lane.runs[point.run].commit)});
    if (one->changes.empty() || series.points.empty()) continue;
    const auto level = [&](std::size_t run, double value) {
      rows.rows.push_back({name, run, value / 1e6, "level", short_commit(lane.runs[run].commit)});
    };
    level(series.points.front().run, one->changes.front().before);
    for (const ChangePoint& change : one->changes) {
      level(change.run, change.after);
      rows.rows.push_back({name, change.run, change.after / 1e6, "change", short_commit(change.to_commit)});
    }
    level(series.points.back().run, one->changes.back().after);
  }
  Json x = reports::quantitative("run", "run"), y = reports::quantitative("ms", "ms");
  y["scale"] = {{"zero", false}};
  const Json points = {{"mark", {{"type", "point"}, {"filled", true}, {"size", 18}, {"color", "var(--c1)"}}},
                       {"transform", {{{"filter", "datum.kind == 'measured'"}}}},
                       {"encoding", {{"tooltip", reports::tooltip({"series", "run", "ms", "commit"})}}}};
  const Json levels = {
      {"mark", {{"type", "line"}, {"interpolate", "step-after"}, {"color", "var(--c2)"}, {"strokeWidth", 2}}},
      {"transform", {{{"filter", "datum.kind == 'level'"}}}}};
  const Json changes = {{"mark", {{"type", "rule"}, {"color", "var(--bad)"}, {"strokeDash", {4, 3}}}},
                        {"transform", {{{"filter", "datum.kind == 'change'"}}}},
                        {"encoding", {{"y", nullptr}, {"tooltip", reports::tooltip({"series", "run", "commit"})}}}};
  return reports::make_chart(
      "Times along the history",
      "One picture per metric: a dot per run, in the order in which runs were appended. A step is a level that "
      "changed; the dashed "
      "line is the first run with the new one. Runs under other conditions (machine, OS, build, profile) are no part "
      "of a picture.",
      origin, rows,
      {{"facet", {{"field", "series"}, {"type", "nominal"}, {"sort", nullptr}, {"title", nullptr}}},
       {"columns", 2},
       {"spec", {{"height", 120}, {"encoding", {{"x", x}, {"y", y}}}, {"layer", {changes, levels, points}}}},
       {"resolve", {{"scale", {{"x", "independent"}, {"y", "independent"}}}}}});
}

}  // namespace

reports::Page history_page(const History& history, const HistoryJudgement& judgement) {
  reports::Page page{.id = "history", .title = "History"};
  page.intro = fmt::format(
      "{} runs. A history is a reason to measure two builds side by side (`aneval compare --ab`), never a verdict.",
      history.runs());
  page.missing = "The history has no metric that can be judged.";
  const auto shown = drawn(judgement);
  if (!shown.empty()) page.charts.push_back(history_chart(history, shown));

  reports::Table changes{.title = "Where levels changed"};
  changes.columns = {"metric", "conditions", "from commit", "to commit", "when",
                     "before", "after",      "change",      "accepted"};
  reports::Table last{.title = "The last runs"};
  last.columns = {"metric", "conditions", "verdict", "before", "now", "change", "baseline runs", "last runs"};
  last.in_markdown = false;
  for (const SeriesJudgement& one : judgement.series) {
    const Lane& lane = history.lanes[one.lane];
    const std::string& unit = lane.series[one.series].unit;
    for (const ChangePoint& change : one.changes) {
      const bool text = !change.before_text.empty() || !change.after_text.empty();
      changes.rows.push_back(
          {one.finding.name(), lane.conditions.text(), short_commit(change.from_commit), short_commit(change.to_commit),
           change.time_utc, text ? change.before_text : value_text(change.before, unit),
           text ? change.after_text : value_text(change.after, unit),
           text || change.before == 0 ? "–" : fmt::format("{:+.1f} %", 100 * (change.after / change.before - 1)),
           change.acknowledged});
    }
    const Finding& f = one.finding;
    last.rows.push_back({f.name(), lane.conditions.text(), std::string(verdict_name(f.verdict)),
                         f.base ? value_text(*f.base, unit) : f.base_text,
                         f.now ? value_text(*f.now, unit) : f.now_text,
                         f.change ? fmt::format("{:+.1f} %", 100 * *f.change) : "–", std::to_string(one.baseline),
                         std::to_string(one.fresh)});
  }
  for (reports::Table* table : {&changes, &last})
    if (!table->rows.empty()) page.tables.push_back(std::move(*table));
  return page;
}

}  // namespace aneval::gate
