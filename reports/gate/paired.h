// Two builds, measured in interleaved processes: what is common to all metrics of a process is removed, and exact rank
// tests say which metrics changed.
//
// The value of a metric in a process is ln(median of its repetitions): repetitions of one process are not independent
// (they share its memory layout and its moment), processes are. A block is one process of each build, in random order.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "reports/gate/mann_whitney.h"
#include "reports/gate/thresholds.h"

namespace aneval::gate {

/// What the processes of one stage measured: x[process][metric], ln(ns), NaN where a process has no value.
struct Processes {
  std::vector<std::vector<double>> a, b;
};

/// What is compared, by its place in Processes.
struct Metrics {
  std::vector<std::size_t> subjects;
  std::vector<std::size_t> controls;  // code that is the same in both builds
  std::vector<double> tolerances;     // relative, of every metric
};

/// Subtracts from every process how far its controls are above their medians over all processes (the median over the
/// controls of that): a busy machine, its clock and the session slow controls and subjects alike. False, and nothing
/// done, when no process has a control.
bool remove_common_mode(Processes& processes, const std::vector<std::size_t>& controls);

/// The standard deviation of normally distributed values, from their distances to their median: 1.4826 times the median
/// distance, which a few outliers leave alone.
double robust_spread(std::vector<double> distances);

/// What a metric did between A and B; slower is positive. Shifts are logarithms: relative changes are e^shift - 1.
struct Change {
  Shift shift;              // Hodges-Lehmann, with its confidence interval
  double p_slower = 1;      // one-sided: by more than Thresholds::least_shift
  double p_faster = 1;      // the mirror
  double p_slower_any = 1;  // by anything at all
  double p_faster_any = 1;
  double spread = 0;         // standard deviation of a process' value: robust, both sides together
  std::size_t a = 0, b = 0;  // processes with a value
};

/// Nothing when a side has no value.
std::optional<Change> change_of(const Processes& processes, std::size_t metric, RankSum& ranks, const Thresholds& t);

struct FirstStage {
  std::vector<std::optional<Change>> changes;  // per metric
  std::vector<bool> slower, faster;            // per metric: suspected, to be measured again
  std::optional<Change> suite;                 // of the median subject of a process
  bool suite_suspected = false;                // then all subjects are
  bool controlled = false;                     // by controls; else the median over all metrics took their place
  std::vector<std::size_t> suspects() const;   // ascending
};
FirstStage first_stage(Processes processes, const Metrics& metrics, RankSum& ranks, const Thresholds& t);

struct Confirmed {
  std::vector<std::optional<Change>> changes;  // per metric; of suspects and controls
  std::vector<bool> slower, faster;            // per metric
  std::optional<Change> suite;
  bool suite_slower = false, suite_faster = false;  // only when the suite was suspected
};
/// On fresh processes of the suspects and the controls, so that having chosen them biases nothing. Holm over the
/// suspects, slower and faster apart.
Confirmed second_stage(Processes processes, const Metrics& metrics, const FirstStage& first, RankSum& ranks,
                       const Thresholds& t);

/// A run with one stage (two result files): Benjamini-Hochberg over all subjects.
Confirmed single_stage(Processes processes, const Metrics& metrics, RankSum& ranks, const Thresholds& t);

/// The relative slowdown that two stages of these sizes find with 90 %, when a process' value has this spread (ln) and
/// the second stage tests so many suspects: it must look suspicious, be significant, and exceed the tolerance. Ranks
/// need pi/3 times the variance of means (normal errors: Hodges and Lehmann 1956). Infinite when no result of the
/// second stage can be significant.
double detectable_change(double spread, double tolerance, std::size_t blocks, std::size_t confirm_blocks,
                         std::size_t suspects, RankSum& ranks, const Thresholds& t);
/// The same of one stage, of so many metrics.
double detectable_change(double spread, double tolerance, std::size_t processes, std::size_t metrics, RankSum& ranks,
                         const Thresholds& t);

/// The same of `fresh` values against `base` ones, at this level of significance.
double detectable_change_at(double level, double spread, double tolerance, std::size_t fresh, std::size_t base,
                            RankSum& ranks, const Thresholds& t);

}  // namespace aneval::gate
