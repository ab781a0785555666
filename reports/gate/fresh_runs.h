// Whether the last runs of a metric differ from the level before them: statistics alone, of logarithms of times.
//
// The runs before the fresh ones are cut into levels (segments.h), the last of which is the baseline; fresh runs take
// no part in that, so that choosing the baseline does not bias the test. A metric is REGRESSED when the exact one-sided
// rank test of fresh against baseline, shifted by least_shift, is rejected by Benjamini and Hochberg over all metrics,
// and the shift is at least the tolerance, and a fresh run is slower than one of the baseline in `superiority` of all
// pairs: 4 runs of a machine in another mood pass one of the three sometimes. Smallest p of 4 fresh runs: 9.4e-5
// against a baseline of 20, 4.9e-5 against 24, 7.4e-6 against 40; one regression among 200 metrics needs 5e-5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "reports/gate/mann_whitney.h"
#include "reports/gate/outcome.h"
#include "reports/gate/thresholds.h"

namespace aneval::gate {

struct HistoryOptions {
  std::size_t fresh = 4;             // runs that are judged
  std::int64_t apart_seconds = 600;  // nearer runs share their moment, and are no fresh evidence
  std::size_t window = 200;          // runs of a metric that are looked at, the last ones
  std::size_t least_level = 6;       // runs of a level: no change is claimed of the last 5 runs
  std::size_t least_baseline = 20;   // runs
  double least_change = 0.05;        // relative; a metric with a larger tolerance (rules.h) has that
  double superiority = 0.9;
  Thresholds thresholds = {};  // least_shift, fdr and confidence of it
};

struct FreshRuns {
  std::vector<std::size_t> begins;  // of the levels before the fresh runs
  std::size_t baseline = 0;         // runs of the last level
  std::size_t fresh = 0;
  double middle = 0;           // median of the baseline
  double spread = 0;           // its standard deviation, robust
  std::optional<Shift> shift;  // nothing when either side has too few runs; then there is no test either
  double p_slower = 1, p_faster = 1;
  double slower_share = 0, faster_share = 0;  // of pairs
};

/// `before` and `fresh`: ln(ns), oldest first. Throws std::invalid_argument for values that are not finite.
FreshRuns compare_fresh(const std::vector<double>& before, const std::vector<double>& fresh, RankSum& ranks,
                        const HistoryOptions& options);

/// Of all metrics together; `tolerances` are relative. UNCHANGED: the confidence interval excludes a slowdown by the
/// tolerance.
std::vector<Verdict> fresh_verdicts(const std::vector<FreshRuns>& metrics, const std::vector<double>& tolerances,
                                    const HistoryOptions& options);

/// The relative slowdown that is found with 90 % when no other metric changes.
double detectable_change(const FreshRuns& metric, double tolerance, std::size_t metrics, RankSum& ranks,
                         const HistoryOptions& options);

}  // namespace aneval::gate
