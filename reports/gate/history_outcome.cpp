// A judged history in the form of all comparisons (history_judge.h).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/names.h"
#include "common/statistics.h"
#include "reports/format.h"
#include "reports/gate/history_judge.h"

namespace aneval::gate {
namespace {

/// "os 'a' -> 'b', build 'c' -> 'd'".
std::string difference(const Conditions& from, const Conditions& to) {
  std::vector<std::string> parts;
  const auto compare = [&](const char* name, const std::string& a, const std::string& b) {
    if (a != b) parts.push_back(fmt::format("{} '{}' -> '{}'", name, a, b));
  };
  compare("os", from.os, to.os);
  compare("build", from.build, to.build);
  compare("power", from.power, to.power);
  return join(parts, ", ");
}

/// The lane of the same machine and backend that had the run before this lane's first one.
const Lane* lane_before(const History& history, const Lane& lane) {
  const Lane* before = nullptr;
  std::size_t nearest = 0;
  for (const Lane& other : history.lanes) {
    if (&other == &lane || !same_stream(other, lane)) continue;
    for (const HistoryRun& run : other.runs)
      if (run.order < lane.runs.front().order && (before == nullptr || run.order > nearest)) {
        before = &other;
        nearest = run.order;
      }
  }
  return before;
}

void say_lane(const History& history, const HistoryJudgement& judgement, std::size_t number, Outcome& outcome) {
  const Lane& lane = history.lanes[number];
  const HistoryRun &first = lane.runs.front(), &last = lane.runs.back();
  const LaneControls& controls = judgement.controls[number];
  std::string said = fmt::format("{} runs, {} ({}) to {} ({})", lane.runs.size(), first.commit, first.time_utc,
                                 last.commit, last.time_utc);
  std::vector<double> above;
  for (const auto& value : controls.above)
    if (value) above.push_back(*value);
  if (!above.empty()) {
    std::sort(above.begin(), above.end());
    said +=
        fmt::format("; {} controls took {:+.1f} % to {:+.1f} % (middle half of the runs), removed", controls.controls,
                    100 * std::expm1(quantile(above, 0.25)), 100 * std::expm1(quantile(above, 0.75)));
  }
  outcome.facts.emplace_back(lane.conditions.text(), said);
  if (const Lane* before = lane_before(history, lane))
    outcome.facts.emplace_back(
        "new series", fmt::format("{}: {} with run {} ({}, {}): the {} runs before it are other series",
                                  lane.conditions.text(), difference(before->conditions, lane.conditions), first.id,
                                  first.commit, first.time_utc, before->runs.size()));
}

}  // namespace

Outcome history_outcome(const History& history, const HistoryJudgement& judgement, const HistoryOptions& options) {
  Outcome outcome;
  outcome.mode = "history";
  outcome.facts.emplace_back("history",
                             fmt::format("{} runs in {} files, {} rows", history.runs(), history.files, history.rows));
  outcome.facts.emplace_back(
      "test",
      fmt::format("the last {} runs of a metric, {} minutes apart, against the level before them (last {} runs, "
                  "at least {}); advisory: it fails nothing",
                  options.fresh, options.apart_seconds / 60, options.window, options.least_baseline));
  std::size_t lanes = 0;
  for (std::size_t i = 0; i < history.lanes.size(); ++i) {
    if (!judgement.current[i]) continue;
    ++lanes;
    say_lane(history, judgement, i, outcome);
  }
  std::size_t changes = 0, accepted = 0, metrics = 0;
  std::vector<double> detectable;
  for (const SeriesJudgement& series : judgement.series) {
    metrics += !series.changes.empty();
    changes += series.changes.size();
    for (const ChangePoint& change : series.changes) accepted += !change.acknowledged.empty();
    Finding f = series.finding;
    if (f.detectable) detectable.push_back(*f.detectable);
    // Metrics of several machines have the same names.
    if (lanes > 1) f.note = history.lanes[series.lane].conditions.text() + (f.note.empty() ? "" : "; ") + f.note;
    outcome.findings.push_back(std::move(f));
  }
  outcome.facts.emplace_back("changes of level", fmt::format("{} in {} of {} metrics, {} acknowledged", changes,
                                                             metrics, judgement.series.size(), accepted));
  if (const std::size_t timings = detectable.size(); timings > 0)
    outcome.facts.emplace_back(
        "detectable change",
        fmt::format("{} (median of {} timings)", reports::percent(median(std::move(detectable))), timings));
  outcome.warnings = history.warnings;
  outcome.warnings.insert(outcome.warnings.end(), judgement.warnings.begin(), judgement.warnings.end());
  return outcome;
}

}  // namespace aneval::gate
