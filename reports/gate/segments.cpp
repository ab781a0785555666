#include "reports/gate/segments.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/statistics.h"

namespace aneval::gate {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

/// sum |y - median| of y[begin, end), for all ends and the begins that allow `least` values: at(begin, end).
class Costs {
 public:
  Costs(const std::vector<double>& y, std::size_t least) : size_(y.size() + 1), costs_(size_ * size_, kInfinite) {
    std::vector<double> sorted;
    for (std::size_t begin = 0; begin < y.size(); ++begin) {
      sorted.clear();
      double all = 0, lower = 0;  // sums of sorted, and of its lower half (rounded down)
      for (std::size_t end = begin + 1; end <= y.size(); ++end) {
        // Differences: equal values cost exactly nothing.
        const double value = y[end - 1] - y[begin];
        const auto place = std::lower_bound(sorted.begin(), sorted.end(), value);
        const std::size_t half = sorted.size() / 2, new_half = (sorted.size() + 1) / 2;
        const bool low = static_cast<std::size_t>(place - sorted.begin()) < half;
        sorted.insert(place, value);
        all += value;
        if (low) lower += value;
        if (low && new_half == half) lower -= sorted[half];
        if (!low && new_half > half) lower += sorted[half];
        const double middle = sorted.size() % 2 == 1 ? sorted[new_half] : 0;
        if (end - begin >= least) costs_[end * size_ + begin] = std::max(0.0, all - middle - 2 * lower);
      }
    }
  }
  double at(std::size_t begin, std::size_t end) const { return costs_[end * size_ + begin]; }
  const double* of_end(std::size_t end) const { return &costs_[end * size_]; }

 private:
  std::size_t size_;
  std::vector<double> costs_;
};

Segments fit_of(const std::vector<double>& y, std::vector<std::size_t> begins, double cost) {
  Segments fit;
  fit.begins = std::move(begins);
  fit.cost = cost;
  for (std::size_t i = 0; i < fit.begins.size(); ++i) {
    const std::size_t end = i + 1 < fit.begins.size() ? fit.begins[i + 1] : y.size();
    fit.levels.push_back(
        median({y.begin() + static_cast<std::ptrdiff_t>(fit.begins[i]), y.begin() + static_cast<std::ptrdiff_t>(end)}));
  }
  return fit;
}

/// Above, a random walk explains every step (segments.h).
constexpr double kMostCorrelated = 0.8;

/// min over |rho| <= kMostCorrelated of sum |E_j - rho E_{j-1}|: the weighted median of E_j / E_{j-1}, weights
/// |E_{j-1}|.
double least_innovations(const std::vector<double>& errors) {
  std::vector<std::pair<double, double>> ratios;  // with their weights
  double weight = 0;
  for (std::size_t j = 1; j < errors.size(); ++j) {
    if (errors[j - 1] == 0) continue;
    ratios.emplace_back(errors[j] / errors[j - 1], std::fabs(errors[j - 1]));
    weight += ratios.back().second;
  }
  std::sort(ratios.begin(), ratios.end());
  double rho = 0, below = 0;
  for (const auto& [ratio, own] : ratios) {
    rho = ratio;
    below += own;
    if (2 * below >= weight) break;
  }
  rho = std::clamp(rho, -kMostCorrelated, kMostCorrelated);
  double sum = 0;
  for (std::size_t j = 1; j < errors.size(); ++j) sum += std::fabs(errors[j] - rho * errors[j - 1]);
  return sum;
}

/// The corners of the lower convex hull of (pieces, cost): what some gamma prefers to all others.
std::vector<const Segments*> corners(const std::vector<Segments>& fits) {
  std::vector<const Segments*> hull;
  const auto pieces = [](const Segments* s) { return static_cast<double>(s->begins.size()); };
  for (const Segments& fit : fits) {
    if (!hull.empty() && !(fit.cost < hull.back()->cost)) continue;  // more pieces for nothing: no gamma > 0
    while (hull.size() >= 2) {
      const Segments *a = hull[hull.size() - 2], *b = hull.back();
      const double by_b = (b->cost - a->cost) * (pieces(&fit) - pieces(a));
      const double by_fit = (fit.cost - a->cost) * (pieces(b) - pieces(a));
      if (by_b < by_fit) break;
      hull.pop_back();
    }
    hull.push_back(&fit);
  }
  return hull;
}

}  // namespace

std::vector<Segments> best_fits(const std::vector<double>& y, std::size_t least) {
  if (y.empty() || least == 0) throw std::invalid_argument("segments: no values, or pieces of none");
  if (!std::all_of(y.begin(), y.end(), [](double v) { return std::isfinite(v); }))
    throw std::invalid_argument("segments: a value that is not finite");
  const std::size_t n = y.size(), most = std::max<std::size_t>(1, n / least);
  if (most == 1) {
    Segments one = fit_of(y, {0}, 0);
    for (const double v : y) one.cost += std::fabs(v - one.levels[0]);
    return {one};
  }
  const Costs costs(y, least);
  // best[end]: of y[0, end) with as many pieces as the round says; from: where the last of them begins.
  std::vector<double> best(n + 1, kInfinite), before;
  for (std::size_t end = least; end <= n; ++end) best[end] = costs.at(0, end);
  std::vector<std::vector<std::size_t>> from(1, std::vector<std::size_t>(n + 1, 0));
  std::vector<Segments> fits = {fit_of(y, {0}, best[n])};
  for (std::size_t pieces = 2; pieces <= most; ++pieces) {
    before.swap(best);
    best.assign(n + 1, kInfinite);
    std::vector<std::size_t>& origin = from.emplace_back(n + 1, 0);
    for (std::size_t end = pieces * least; end <= n; ++end) {
      const double* last = costs.of_end(end);
      for (std::size_t begin = (pieces - 1) * least; begin + least <= end; ++begin)
        if (const double cost = before[begin] + last[begin]; cost < best[end]) {
          best[end] = cost;
          origin[end] = begin;
        }
    }
    std::vector<std::size_t> begins(pieces, 0);
    for (std::size_t piece = pieces, end = n; piece-- > 1; end = begins[piece]) begins[piece] = from[piece][end];
    fits.push_back(fit_of(y, std::move(begins), best[n]));
  }
  return fits;
}

double information(const std::vector<double>& y, const Segments& fit) {
  constexpr double kNoise = 0.001, kShareOfStep = 0.1, kLeastNoise = 1e-300;
  std::vector<double> errors;
  errors.reserve(y.size());
  for (std::size_t i = 0, piece = 0; i < y.size(); ++i) {
    if (piece + 1 < fit.begins.size() && fit.begins[piece + 1] == i) ++piece;
    errors.push_back(y[i] - fit.levels[piece]);
  }
  double noise = kNoise;
  if (fit.levels.size() > 2) {
    double step = kInfinite;
    for (std::size_t i = 1; i < fit.levels.size(); ++i)
      step = std::min(step, std::fabs(fit.levels[i] - fit.levels[i - 1]));
    noise = kShareOfStep * step;
  }
  const auto n = static_cast<double>(y.size());
  const double residue = std::max(kLeastNoise, noise) + std::fabs(errors.front()) + least_innovations(errors);
  return 4 * std::log(n) / n * static_cast<double>(fit.levels.size()) + std::log(residue);
}

Segments segment(const std::vector<double>& y, std::size_t least) {
  const std::vector<Segments> fits = best_fits(y, least);
  const Segments* chosen = nullptr;
  double smallest = kInfinite;
  for (const Segments* fit : corners(fits)) {
    const double measure = information(y, *fit);
    if (chosen != nullptr && !(measure < smallest)) continue;
    chosen = fit;
    smallest = measure;
  }
  return *chosen;
}

}  // namespace aneval::gate
