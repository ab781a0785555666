#include "reports/gate/fresh_runs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/statistics.h"
#include "reports/gate/multiplicity.h"
#include "reports/gate/paired.h"
#include "reports/gate/segments.h"

namespace aneval::gate {
namespace {

/// Of all pairs, those in which the value of b is the larger one.
double share_above(const std::vector<double>& a, const std::vector<double>& b) {
  std::size_t above = 0;
  for (const double y : b)
    for (const double x : a) above += y > x;
  return static_cast<double>(above) / static_cast<double>(a.size() * b.size());
}

bool tested(const FreshRuns& metric) { return metric.shift.has_value(); }

}  // namespace

FreshRuns compare_fresh(const std::vector<double>& before, const std::vector<double>& fresh, RankSum& ranks,
                        const HistoryOptions& options) {
  if (!std::all_of(fresh.begin(), fresh.end(), [](double v) { return std::isfinite(v); }))
    throw std::invalid_argument("a fresh value that is not finite");
  FreshRuns result;
  result.fresh = fresh.size();
  if (before.empty()) return result;
  result.begins = segment(before, options.least_level).begins;
  const std::vector<double> baseline(before.begin() + static_cast<std::ptrdiff_t>(result.begins.back()), before.end());
  result.baseline = baseline.size();
  result.middle = median(baseline);
  std::vector<double> distances;
  for (const double x : baseline) distances.push_back(std::fabs(x - result.middle));
  result.spread = robust_spread(std::move(distances));
  if (baseline.size() < options.least_baseline || fresh.size() < options.fresh) return result;
  const double least = std::log1p(options.thresholds.least_shift);
  result.shift = ranks.shift(baseline, fresh, options.thresholds.confidence);
  result.p_slower = ranks.p_above(baseline, fresh, least);
  result.p_faster = ranks.p_above(fresh, baseline, least);
  result.slower_share = share_above(baseline, fresh);
  result.faster_share = share_above(fresh, baseline);
  return result;
}

std::vector<Verdict> fresh_verdicts(const std::vector<FreshRuns>& metrics, const std::vector<double>& tolerances,
                                    const HistoryOptions& options) {
  std::vector<Verdict> verdicts(metrics.size(), Verdict::inconclusive);
  std::vector<std::size_t> places;
  std::vector<double> slower, faster;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    if (!tested(metrics[i])) continue;
    places.push_back(i);
    slower.push_back(metrics[i].p_slower);
    faster.push_back(metrics[i].p_faster);
  }
  const std::vector<bool> slow = benjamini_hochberg(slower, options.thresholds.fdr);
  const std::vector<bool> fast = benjamini_hochberg(faster, options.thresholds.fdr);
  for (std::size_t k = 0; k < places.size(); ++k) {
    const FreshRuns& metric = metrics[places[k]];
    const double tolerance = std::log1p(tolerances[places[k]]);
    Verdict& verdict = verdicts[places[k]];
    if (slow[k] && metric.shift->estimate >= tolerance && metric.slower_share >= options.superiority)
      verdict = Verdict::regressed;
    else if (fast[k] && -metric.shift->estimate >= tolerance && metric.faster_share >= options.superiority)
      verdict = Verdict::improved;
    else if (metric.shift->high < tolerance)
      verdict = Verdict::unchanged;
  }
  return verdicts;
}

double detectable_change(const FreshRuns& metric, double tolerance, std::size_t metrics, RankSum& ranks,
                         const HistoryOptions& options) {
  if (!tested(metric)) return std::numeric_limits<double>::infinity();
  const double level = options.thresholds.fdr / static_cast<double>(std::max<std::size_t>(metrics, 1));
  return detectable_change_at(level, metric.spread, tolerance, metric.fresh, metric.baseline, ranks,
                              options.thresholds);
}

}  // namespace aneval::gate
