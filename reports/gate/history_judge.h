// What a history says: where the level of every metric changed, and whether the last runs differ from the level before
// them. Advisory: a history is a reason to measure two builds side by side, never a failure.
//
// A time counts as ln(median of the run) minus how far the run's controls are above their medians over all runs of the
// lane (the median over the controls of that), when all its runs have controls: else as it is. Counts, sizes, hashes
// and errors have no noise: any other value is a change, of errors one beyond their tolerance (rules.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/gate/acknowledged.h"
#include "reports/gate/fresh_runs.h"
#include "reports/gate/history.h"
#include "reports/gate/history_controls.h"
#include "reports/gate/outcome.h"

namespace aneval::gate {

/// Where the level of a metric changed.
struct ChangePoint {
  std::size_t run = 0;                  // the first with the new level, in the lane
  std::string from_commit, to_commit;   // of the last run before it, and of that one
  std::string time_utc;                 // of that one
  double before = 0, after = 0;         // levels, in the metric's unit
  std::string before_text, after_text;  // of hashes
  std::string acknowledged;             // why it was accepted; empty: it was not
};

/// One metric: what tables say of it, and what a plot of it needs. Its points are those of the series in the history.
struct SeriesJudgement {
  Finding finding;  // never gates
  std::vector<ChangePoint> changes;
  std::size_t lane = 0, series = 0;
  std::size_t baseline = 0, fresh = 0;  // runs
};

struct HistoryJudgement {
  std::vector<SeriesJudgement> series;  // of current lanes, lane by lane
  std::vector<LaneControls> controls;   // per lane
  std::vector<bool> current;            // per lane: it still gets runs
  std::vector<std::string> warnings;
};

HistoryJudgement judge_history(const History& history, const std::vector<Acknowledgement>& acknowledged,
                               const HistoryOptions& options);

/// The same in the form of all comparisons, with what was compared and which series are new.
Outcome history_outcome(const History& history, const HistoryJudgement& judgement, const HistoryOptions& options);

}  // namespace aneval::gate
