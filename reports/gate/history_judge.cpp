#include "reports/gate/history_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reports/gate/lane_judge.h"

namespace aneval::gate {
namespace {

/// A lane is over when the machine went on measuring the same backend under other conditions.
std::vector<bool> current_lanes(const History& history, const HistoryOptions& options) {
  std::vector<bool> current;
  for (const Lane& lane : history.lanes) {
    std::size_t later = 0;
    for (const Lane& other : history.lanes)
      if (&other != &lane && same_stream(other, lane) && !lane.runs.empty())
        later +=
            static_cast<std::size_t>(std::count_if(other.runs.begin(), other.runs.end(), [&](const HistoryRun& run) {
              return run.order > lane.runs.back().order;
            }));
    current.push_back(!lane.runs.empty() && later < 2 * options.fresh);
  }
  return current;
}

}  // namespace

HistoryJudgement judge_history(const History& history, const std::vector<Acknowledgement>& acknowledged,
                               const HistoryOptions& options) {
  HistoryJudgement judgement;
  judgement.current = current_lanes(history, options);
  std::vector<bool> used(acknowledged.size(), false);
  std::vector<FreshRuns> tests;
  std::vector<std::size_t> places;
  RankSum ranks;
  for (std::size_t i = 0; i < history.lanes.size(); ++i) {
    judgement.controls.push_back(controls_of(history.lanes[i]));
    if (!judgement.current[i]) continue;
    LaneJudge lane(history, i, judgement.controls.back(), acknowledged, used, options);
    lane.judge(ranks, judgement.series, tests, places);
    const std::string name = history.lanes[i].conditions.text();
    if (lane.without_controls() > 0)
      judgement.warnings.push_back(
          fmt::format("{}: {} timings have runs without controls: a slower machine looks like a slower build", name,
                      lane.without_controls()));
    if (lane.too_near() > 0)
      judgement.warnings.push_back(
          fmt::format("{}: {} of the last runs are less than {} minutes from the next: they are not fresh", name,
                      lane.too_near(), options.apart_seconds / 60));
  }
  std::vector<double> tolerances;
  for (const std::size_t place : places) tolerances.push_back(judgement.series[place].finding.tolerance);
  const std::vector<Verdict> verdicts = fresh_verdicts(tests, tolerances, options);
  const auto tested = static_cast<std::size_t>(
      std::count_if(tests.begin(), tests.end(), [](const FreshRuns& t) { return t.shift.has_value(); }));
  for (std::size_t i = 0; i < places.size(); ++i) {
    Finding& f = judgement.series[places[i]].finding;
    if (f.verdict != Verdict::removed && f.verdict != Verdict::error) f.verdict = verdicts[i];
    if (!tests[i].shift) continue;
    f.change = std::expm1(tests[i].shift->estimate);
    f.low = std::expm1(tests[i].shift->low);
    f.high = std::expm1(tests[i].shift->high);
    f.p = f.verdict == Verdict::improved ? tests[i].p_faster : tests[i].p_slower;
    f.detectable = detectable_change(tests[i], f.tolerance, tested, ranks, options);
  }
  for (std::size_t i = 0; i < acknowledged.size(); ++i)
    if (!used[i])
      judgement.warnings.push_back(fmt::format("{}: '{}' did not change at {}: correct or remove the entry",
                                               kAcknowledgedFile, acknowledged[i].name, acknowledged[i].commit));
  return judgement;
}

}  // namespace aneval::gate
