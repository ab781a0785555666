#include "reports/gate/paired.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "common/statistics.h"
#include "reports/gate/multiplicity.h"

namespace aneval::gate {
namespace {

/// Fewer metrics than this have no median that a change of one of them leaves alone.
constexpr std::size_t kLeastForMedian = 20;
constexpr double kPower = 0.9;

std::vector<double> values_of(const std::vector<std::vector<double>>& processes, std::size_t metric) {
  std::vector<double> values;
  values.reserve(processes.size());
  for (const auto& process : processes)
    if (std::isfinite(process[metric])) values.push_back(process[metric]);
  return values;
}

/// How far each process is above the metrics' medians over all of them (the median over the metrics); NaN for one
/// without any of them.
std::vector<double> offsets(const std::vector<const std::vector<double>*>& processes,
                            const std::vector<std::size_t>& metrics) {
  std::vector<std::vector<double>> above(processes.size());
  for (const std::size_t m : metrics) {
    std::vector<double> values;
    for (const auto* process : processes)
      if (std::isfinite((*process)[m])) values.push_back((*process)[m]);
    if (values.empty()) continue;
    const double middle = median(std::move(values));
    for (std::size_t i = 0; i < processes.size(); ++i)
      if (std::isfinite((*processes[i])[m])) above[i].push_back((*processes[i])[m] - middle);
  }
  std::vector<double> result;
  for (auto& values : above)
    result.push_back(values.empty() ? std::numeric_limits<double>::quiet_NaN() : median(std::move(values)));
  return result;
}

double pooled_spread(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> distances;
  for (const auto* side : {&a, &b}) {
    const double middle = median(*side);
    for (const double x : *side) distances.push_back(std::fabs(x - middle));
  }
  return robust_spread(std::move(distances));
}

std::optional<Change> change_of(const std::vector<double>& a, const std::vector<double>& b, RankSum& ranks,
                                const Thresholds& t) {
  if (a.empty() || b.empty()) return std::nullopt;
  const double least = std::log1p(t.least_shift);
  Change change;
  change.shift = ranks.shift(a, b, t.confidence);
  change.p_slower = ranks.p_above(a, b, least);
  change.p_faster = ranks.p_above(b, a, least);
  change.p_slower_any = ranks.p_above(a, b, 0);
  change.p_faster_any = ranks.p_above(b, a, 0);
  change.spread = pooled_spread(a, b);
  change.a = a.size();
  change.b = b.size();
  return change;
}

/// The median subject of a process; metrics have different magnitudes, so each counts from its median.
std::optional<Change> suite_change(const Processes& processes, const std::vector<std::size_t>& subjects, RankSum& ranks,
                                   const Thresholds& t) {
  if (subjects.size() < 2) return std::nullopt;
  std::vector<const std::vector<double>*> all;
  for (const auto* side : {&processes.a, &processes.b})
    for (const auto& process : *side) all.push_back(&process);
  const std::vector<double> above = offsets(all, subjects);
  std::vector<double> a, b;
  for (std::size_t i = 0; i < above.size(); ++i)
    if (std::isfinite(above[i])) (i < processes.a.size() ? a : b).push_back(above[i]);
  return change_of(a, b, ranks, t);
}

bool shifted(const std::optional<Change>& suite, double p_of_any, double direction, const Thresholds& t) {
  return suite && p_of_any <= t.suite_alpha && direction * suite->shift.estimate >= std::log1p(t.suite_shift);
}

bool beyond(const Change& change, double direction, double relative) {
  return direction * change.shift.estimate >= std::log1p(relative);
}

/// Which of the metrics are significant, and large enough to matter.
template <typename Procedure>
void confirm(const std::vector<std::size_t>& tested, double direction, const std::vector<double>& tolerances,
             const std::vector<std::optional<Change>>& changes, Procedure procedure, std::vector<bool>& confirmed) {
  std::vector<double> p;
  for (const std::size_t m : tested)
    p.push_back(!changes[m] ? 1 : direction > 0 ? changes[m]->p_slower : changes[m]->p_faster);
  const std::vector<bool> rejected = procedure(p);
  for (std::size_t i = 0; i < tested.size(); ++i)
    confirmed[tested[i]] = rejected[i] && beyond(*changes[tested[i]], direction, tolerances[tested[i]]);
}

std::vector<std::size_t> chosen(const std::vector<bool>& flags) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < flags.size(); ++i)
    if (flags[i]) places.push_back(i);
  return places;
}

/// z with P(N(0, 1) > z) = p.
double normal_upper(double p) {
  double low = 0, high = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::numbers::sqrt2) / 2 > p ? low : high) = middle;
  }
  return low;
}

/// Standard deviation of the shift of n against m values, by ranks.
double shift_sd(double spread, std::size_t n, std::size_t m) {
  return spread * std::sqrt((1.0 / static_cast<double>(n) + 1.0 / static_cast<double>(m)) * std::numbers::pi / 3);
}

/// Logarithmic shift found at this level with kPower.
double found(double spread, double tolerance, std::size_t n, std::size_t m, double level, RankSum& ranks,
             const Thresholds& t) {
  if (n == 0 || m == 0 || ranks.upper_tail(n, m, n * m) > level) return std::numeric_limits<double>::infinity();
  const double sd = shift_sd(spread, n, m), power = normal_upper(1 - kPower);
  return std::max(std::log1p(t.least_shift) + (normal_upper(level) + power) * sd, std::log1p(tolerance) + power * sd);
}

}  // namespace

bool remove_common_mode(Processes& processes, const std::vector<std::size_t>& controls) {
  std::vector<std::vector<double>*> all;
  for (auto* side : {&processes.a, &processes.b})
    for (auto& process : *side) all.push_back(&process);
  const std::vector<double> above = offsets({all.begin(), all.end()}, controls);
  if (above.empty() || !std::all_of(above.begin(), above.end(), [](double x) { return std::isfinite(x); }))
    return false;
  for (std::size_t i = 0; i < above.size(); ++i)
    for (double& x : *all[i]) x -= above[i];
  return true;
}

double robust_spread(std::vector<double> distances) { return 1.4826 * median(std::move(distances)); }

std::optional<Change> change_of(const Processes& processes, std::size_t metric, RankSum& ranks, const Thresholds& t) {
  return change_of(values_of(processes.a, metric), values_of(processes.b, metric), ranks, t);
}

std::vector<std::size_t> FirstStage::suspects() const {
  std::vector<bool> either = slower;
  for (std::size_t i = 0; i < either.size(); ++i) either[i] = either[i] || faster[i];
  return chosen(either);
}

FirstStage first_stage(Processes processes, const Metrics& metrics, RankSum& ranks, const Thresholds& t) {
  FirstStage stage;
  const std::size_t count = metrics.tolerances.size();
  stage.changes.resize(count);
  stage.slower.resize(count);
  stage.faster.resize(count);
  stage.controlled = remove_common_mode(processes, metrics.controls);
  // Before the median subject itself is taken for what all have in common.
  stage.suite = suite_change(processes, metrics.subjects, ranks, t);
  if (!stage.controlled && metrics.subjects.size() >= kLeastForMedian) remove_common_mode(processes, metrics.subjects);
  stage.suite_suspected = stage.suite && (shifted(stage.suite, stage.suite->p_slower_any, 1, t) ||
                                          shifted(stage.suite, stage.suite->p_faster_any, -1, t));
  for (const std::size_t m : metrics.subjects) {
    const auto change = change_of(processes, m, ranks, t);
    stage.changes[m] = change;
    if (!change) continue;
    const double least = metrics.tolerances[m] * t.suspect_share;
    stage.slower[m] = stage.suite_suspected || (change->p_slower_any <= t.suspect_p && beyond(*change, 1, least));
    stage.faster[m] = stage.suite_suspected || (change->p_faster_any <= t.suspect_p && beyond(*change, -1, least));
  }
  return stage;
}

Confirmed second_stage(Processes processes, const Metrics& metrics, const FirstStage& first, RankSum& ranks,
                       const Thresholds& t) {
  Confirmed result;
  const std::size_t count = metrics.tolerances.size();
  result.changes.resize(count);
  result.slower.resize(count);
  result.faster.resize(count);
  remove_common_mode(processes, metrics.controls);
  for (const std::size_t m : first.suspects()) result.changes[m] = change_of(processes, m, ranks, t);
  const auto procedure = [&](const std::vector<double>& p) { return holm(p, t.alpha); };
  confirm(chosen(first.slower), 1, metrics.tolerances, result.changes, procedure, result.slower);
  confirm(chosen(first.faster), -1, metrics.tolerances, result.changes, procedure, result.faster);
  if (first.suite_suspected) {
    result.suite = suite_change(processes, metrics.subjects, ranks, t);
    result.suite_slower = result.suite && shifted(result.suite, result.suite->p_slower_any, 1, t);
    result.suite_faster = result.suite && shifted(result.suite, result.suite->p_faster_any, -1, t);
  }
  return result;
}

Confirmed single_stage(Processes processes, const Metrics& metrics, RankSum& ranks, const Thresholds& t) {
  Confirmed result;
  const std::size_t count = metrics.tolerances.size();
  result.changes.resize(count);
  result.slower.resize(count);
  result.faster.resize(count);
  const bool controlled = remove_common_mode(processes, metrics.controls);
  result.suite = suite_change(processes, metrics.subjects, ranks, t);
  if (!controlled && metrics.subjects.size() >= kLeastForMedian) remove_common_mode(processes, metrics.subjects);
  result.suite_slower = result.suite && shifted(result.suite, result.suite->p_slower_any, 1, t);
  result.suite_faster = result.suite && shifted(result.suite, result.suite->p_faster_any, -1, t);
  for (const std::size_t m : metrics.subjects) result.changes[m] = change_of(processes, m, ranks, t);
  const auto procedure = [&](const std::vector<double>& p) { return benjamini_hochberg(p, t.fdr); };
  confirm(metrics.subjects, 1, metrics.tolerances, result.changes, procedure, result.slower);
  confirm(metrics.subjects, -1, metrics.tolerances, result.changes, procedure, result.faster);
  return result;
}

double detectable_change(double spread, double tolerance, std::size_t blocks, std::size_t confirm_blocks,
                         std::size_t suspects, RankSum& ranks, const Thresholds& t) {
  const double power = normal_upper(1 - kPower), sd = shift_sd(spread, blocks, blocks);
  const double suspected =
      std::max((normal_upper(t.suspect_p) + power) * sd, std::log1p(tolerance * t.suspect_share) + power * sd);
  const double level = t.alpha / static_cast<double>(std::max<std::size_t>(suspects, 1));
  return std::expm1(std::max(suspected, found(spread, tolerance, confirm_blocks, confirm_blocks, level, ranks, t)));
}

double detectable_change(double spread, double tolerance, std::size_t processes, std::size_t metrics, RankSum& ranks,
                         const Thresholds& t) {
  const double level = t.fdr / static_cast<double>(std::max<std::size_t>(metrics, 1));
  return detectable_change_at(level, spread, tolerance, processes, processes, ranks, t);
}

double detectable_change_at(double level, double spread, double tolerance, std::size_t fresh, std::size_t base,
                            RankSum& ranks, const Thresholds& t) {
  return std::expm1(found(spread, tolerance, fresh, base, level, ranks, t));
}

}  // namespace aneval::gate
