// What one lane of a history says of each of its metrics: counts, sizes, hashes and errors are judged here, times are
// made ready for the test of all lanes together (history_judge.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/gate/history_judge.h"
#include "reports/gate/rules.h"

namespace aneval::gate {

/// Judges the metrics of one lane; times wait for those of all lanes.
class LaneJudge {
 public:
  /// Judges `history.lanes[lane]`; all arguments must outlive the judge. `used` gets true for entries that a change
  /// matched.
  LaneJudge(const History& history, std::size_t lane, const LaneControls& controls,
            const std::vector<Acknowledgement>& acknowledged, std::vector<bool>& used, const HistoryOptions& options);

  /// Appends a judgement per metric to `judged`; times get theirs when those of all lanes are tested together: their
  /// runs in `tests`, and where they stand in `judged` in `places`.
  void judge(RankSum& ranks, std::vector<SeriesJudgement>& judged, std::vector<FreshRuns>& tests,
             std::vector<std::size_t>& places);

  /// Timings with runs that have no controls.
  std::size_t without_controls() const { return without_controls_; }
  /// The most runs of one timing that were left out because they lie too near to the next.
  std::size_t too_near() const { return too_near_; }

 private:
  /// The last `window` points.
  std::vector<Point> window(const HistorySeries& series) const;
  void say_version(const HistorySeries& series, Finding& f) const;
  static void add_note(Finding& f, const std::string& note);
  /// Runs that the lane got since the metric's last point.
  void judge_absence(const HistorySeries& series, Finding& f) const;
  ChangePoint change_at(const Finding& f, std::size_t before, std::size_t run) const;
  /// Why a change between these runs was accepted; empty when it was not.
  std::string acknowledgement(const Finding& f, std::size_t first, std::size_t last) const;
  void say_changes(const HistorySeries& series, SeriesJudgement& judgement) const;
  FreshRuns test(RankSum& ranks, const HistorySeries& series, SeriesJudgement& judgement);
  std::optional<double> scale_of(const Rule& rule, reports::SeriesKey key, std::uint32_t run) const;
  /// Whether `to` is worse than `from` by more than the rule allows; of exact metrics at all.
  bool is_worse(const Rule& rule, const reports::SeriesKey& key, std::uint32_t run, double from, double to) const;
  void judge_exactly(const Rule& rule, const HistorySeries& series, SeriesJudgement& judgement) const;

  const Lane& lane_;
  std::size_t number_;
  const LaneControls& controls_;
  const std::vector<Acknowledgement>& acknowledged_;
  std::vector<bool>& used_;
  const HistoryOptions& options_;
  std::map<reports::SeriesKey, std::size_t> newest_;  // version of each metric: its place in lane_.series
  std::size_t without_controls_ = 0, too_near_ = 0;
};

}  // namespace aneval::gate
