// The error shadows' softmax: exact and rounded once, or in the steps of DeviceArithmetic::softmax_from_tables.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ane/emulator/function_table.h"
#include "ane/emulator/half_values.h"
#include "validate/shadow/parts.h"
#include "validate/shadow/shadow.h"
#include "validate/shadow/softmax_spread.h"

namespace aneval::validate {

using emulator::RowLoop;
using emulator::Step;

namespace {

/// The maximum of a row is known to lie within an interval; its range is cut into as many parts, and the result's range
/// is what any of them allows. With width w of the range, a part leaves a factor of e^(w/8) in place of e^w.
constexpr int kMaximumParts = 8;

/// Below this a numerator is not compared with the others', some of which may have underflowed.
constexpr double kTrusted = 0x1p-960;

/// Σ_{j≠i} term(j) for every i. Not the whole sum less its own term: where that dominates, nothing true would be left.
template <class Terms>
std::vector<double> sums_of_others(std::int64_t n, const Terms& term) {
  std::vector<double> sums(static_cast<std::size_t>(n));
  double before = 0, behind = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    sums[static_cast<std::size_t>(i)] = before;
    before += term(i);
  }
  for (std::int64_t i = n - 1; i >= 0; --i) {
    sums[static_cast<std::size_t>(i)] += behind;
    behind += term(i);
  }
  return sums;
}

/// exp from the table, of an fp16 number.
double table_exp(double x) {
  static const auto& values = emulator::function_values(emulator::Function::exp);
  const auto value = static_cast<float>(x);
  ane::half_t bits = 0;
  emulator::encode_halves(emulator::Specials::ordinary, &value, &bits, 1);
  return static_cast<double>(values[bits]);
}

/// Of a score, as far as anything is known of it.
double spread_of(const Shadow& x) {
  const double sigma = x.sigma();
  return std::isfinite(sigma) ? sigma : x.bound;
}

/// One row of the chip's softmax: scores within intervals, probabilities within intervals.
class TableSoftmax {
 public:
  TableSoftmax(const emulator::Profile& profile, std::vector<Interval> scores)
      : profile_(profile), scores_(std::move(scores)), numerators_(scores_.size()), result_(scores_.size(), {1, 0}) {
    double least = -kInfinity, most = -kInfinity;
    for (const Interval& score : scores_) {
      least = std::max(least, score.low);
      most = std::max(most, score.high);
    }
    const int parts = least == most ? 1 : kMaximumParts;
    const double width = (most - least) / parts;
    for (int part = 0; part < parts; ++part) {
      const double from = least + width * part, to = part + 1 == parts ? most : from + width;
      bound_with_maximum({half_below(from), half_above(to)});
    }
  }

  const Interval& probability(std::size_t i) const { return result_[i]; }

  /// The device's own steps on the scores that are expected of it.
  struct Expected {
    std::vector<double> score, probability;  // the last not yet rounded
    std::vector<double> roundings;           // how each numerator's may differ: a variance, relative to it
    double sum_roundings = 0;                // of the sum and its inverse, relative
  };
  Expected expected(const Shadow* x, std::int64_t dx) const {
    Expected e;
    const std::size_t n = scores_.size();
    double largest = -kInfinity;
    for (std::size_t i = 0; i < n; ++i) {
      const double centre = nearest_half(profile_.elementwise_rounding, x[static_cast<std::int64_t>(i) * dx].centre());
      e.score.push_back(std::clamp(centre, scores_[i].low, scores_[i].high));
      largest = std::max(largest, e.score.back());
    }
    // All steps are one drawing of their roundings: what another drawing may differ by depends on how far the score
    // is spread, and the largest, which all of them are compared with.
    const double of_largest = half_spacing(std::abs(largest));
    double largest_sigma = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (scores_[i].high >= largest)
        largest_sigma = std::max(largest_sigma, spread_of(x[static_cast<std::int64_t>(i) * dx]));
    SumEnd sum(profile_.reduce_sum, profile_.elementwise_rounding);
    RepeatedErrors of_roundings;
    double roundings = 0, variance = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double sigma = std::hypot(spread_of(x[static_cast<std::int64_t>(i) * dx]), largest_sigma);
      const double difference = rounded(e.score[i] - largest), numerator = table_exp(difference);
      const double spacing = half_spacing(std::abs(difference));
      const bool rounds = std::min(of_largest, half_spacing(std::abs(e.score[i]))) < spacing;
      double relative = rounds ? single_drawn_variance(spacing, sigma) : 0;
      if (numerator > 0 && numerator < 1)
        relative += single_drawn_variance(half_spacing(numerator) / numerator, std::sqrt(sigma * sigma + relative));
      const double of_numerator = numerator * std::sqrt(sigma * sigma + relative);
      e.probability.push_back(numerator);
      e.roundings.push_back(relative);
      sum.add(numerator);
      const double rounding = sum.drawn_variance(numerator, of_numerator, std::sqrt(variance + roundings));
      roundings += rounding;
      of_roundings.add(numerator, rounding);
      variance += of_numerator * of_numerator;
    }
    const double total = std::max(1.0, rounded(sum.low())), inverse = rounded(1 / total);
    for (double& p : e.probability) p *= inverse;
    roundings = std::max(of_roundings.variance(), sum.last_rounding(roundings));
    const double of_sum = std::sqrt(variance + roundings) / total;  // relative
    e.sum_roundings = roundings / (total * total) + single_drawn_variance(half_spacing(inverse) / inverse, of_sum);
    return e;
  }

 private:
  double rounded(double x) const { return nearest_half(profile_.elementwise_rounding, x); }

  /// Widens the result by what is possible when the device's maximum lies in `maximum`: every step is monotone in the
  /// scores, the maximum, the sum and the inverse, so each is taken at both ends.
  void bound_with_maximum(const Interval& maximum) {
    SumEnd low(profile_.reduce_sum, profile_.elementwise_rounding), high = low;
    // Some score is the maximum, and e^0 = 1 is its numerator: if only one can be, then that one's.
    std::size_t candidates = 0, candidate = 0;
    for (std::size_t i = 0; i < scores_.size(); ++i)
      if (scores_[i].high >= maximum.low) {
        ++candidates;
        candidate = i;
      }
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      Interval& e = numerators_[i];
      e.low = table_exp(rounded(scores_[i].low - maximum.high));
      e.high = table_exp(std::min(0.0, rounded(std::min(scores_[i].high, maximum.high) - maximum.low)));
      if (candidates == 1 && i == candidate) e = {1, 1};
      low.add(e.low);
      high.add(e.high);
    }
    const double least = std::max(1.0, rounded(low.low())), most = std::max(1.0, rounded(high.high()));
    const Interval inverse{rounded(1 / most), rounded(1 / least)};
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      result_[i].low = std::min(result_[i].low, rounded(numerators_[i].low * inverse.low));
      result_[i].high = std::max(result_[i].high, rounded(numerators_[i].high * inverse.high));
    }
  }

  const emulator::Profile& profile_;
  std::vector<Interval> scores_, numerators_, result_;
};

}  // namespace

void ShadowArithmetic::softmax(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  require_rule(step);
  const int last = x.shape.rank - 1;
  const std::int64_t n = x.shape[last], dx = x.strides[last], dy = out.strides[last];
  emulator::Extents rows = x.shape, x_strides = x.strides, out_strides = out.strides;
  rows.rank = x_strides.rank = out_strides.rank = last;
  const RowLoop<2> loop(rows, {&x_strides, &out_strides});
  emulator::for_each_row(pool, loop, 16, [&](const emulator::Row<2>& group) {
    for (std::int64_t r = 0; r < group.count; ++r) {
      const std::int64_t from = group.offset[0] + r * group.step[0];
      const SoftmaxRow row{x.data + from,       out.data + group.offset[1] + r * group.step[1], dx, dy, n,
                           row_name(step, from)};
      if (from_tables())
        softmax_from_tables(row);
      else
        softmax_in_double(step.output.dtype, row);
    }
  });
}

void ShadowArithmetic::softmax_from_tables(const SoftmaxRow& row) const {
  const std::int64_t n = row.count;
  std::vector<Interval> scores(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) scores[static_cast<std::size_t>(i)] = held_by_device(read(row.score(i)));
  const TableSoftmax softmax(*model_.profile, std::move(scores));
  const auto value = exact_softmax(n, [&](std::int64_t i) { return row.score(i).value; });
  const auto centre = exact_softmax(n, [&](std::int64_t i) { return row.score(i).centre(); });
  const TableSoftmax::Expected expected = softmax.expected(row.x, row.dx);
  const auto of_expected =
      exact_softmax(n, [&](std::int64_t i) { return expected.score[static_cast<std::size_t>(i)]; });
  SoftmaxSpread spread(n, row.name);
  for (std::int64_t i = 0; i < n; ++i)
    spread.set(i, read(row.score(i)), expected.roundings[static_cast<std::size_t>(i)]);
  const double sum_variance =
      expected.sum_roundings + spread.of_sum(centre, [&](std::int64_t i) { return row.score(i).value; });
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const Interval device = softmax.probability(at);
    Shadow to;
    to.value = value[at];
    spread.put(i, centre[at] + expected.probability[at] - of_expected[at], sum_variance, to);
    to = stored_between(to, device.low, device.high, model_.profile->elementwise_rounding);
    if (to.bound > 0) to.bound += to.value * static_cast<double>(n + 8) * 0x1p-52;
    row.y[i * row.dy] = to;
  }
}

/// p_i = e^{x_i}/(e^{x_i} + Σ_{j≠i} e^{x_j}) grows with x_i and falls with every other score. With scores off by at
/// most E, its range is reached at the ends: x_i + E_i with x_j − E_j, and x_i − E_i with x_j + E_j.
void ShadowArithmetic::softmax_in_double(mil::DType dtype, const SoftmaxRow& row) const {
  const std::int64_t n = row.count, dx = row.dx, dy = row.dy;
  const Shadow* a = row.x;
  Shadow* b = row.y;
  // Subtraction, exp, sum and division in double; the rounding to fp16 is the store's.
  const double evaluation = !model_.profile ? 0 : static_cast<double>(n + 8) * 0x1p-52;
  double top = -kInfinity;  // of the ends of the scores' intervals
  bool overflow = false;
  for (std::int64_t i = 0; i < n; ++i) {
    const Shadow& s = a[i * dx];
    top = std::max(top, s.value + s.bound);
    // −inf is as good as any very negative score; +inf makes the row meaningless.
    overflow = overflow || s.plus_infinity;
  }
  const auto high_end = [&](const Shadow& s) { return std::exp(s.value + s.bound - top); };
  const auto low_end = [&](const Shadow& s) { return s.minus_infinity ? 0.0 : std::exp(s.value - s.bound - top); };
  const auto value = exact_softmax(n, [&](std::int64_t i) { return row.score(i).value; });
  SoftmaxSpread spread(n, row.name);
  std::vector<double> centre;
  double sum_variance = 0;
  if (model_.profile) {
    centre = exact_softmax(n, [&](std::int64_t i) { return row.score(i).centre(); });
    for (std::int64_t i = 0; i < n; ++i) spread.set(i, row.score(i), 0);
    sum_variance = spread.of_sum(centre, [&](std::int64_t i) { return row.score(i).value; });
  }
  const std::vector<double> most = sums_of_others(n, [&](std::int64_t i) { return high_end(a[i * dx]); });
  const std::vector<double> least = sums_of_others(n, [&](std::int64_t i) { return low_end(a[i * dx]); });
  for (std::int64_t i = 0; i < n; ++i) {
    const Shadow& s = a[i * dx];
    const double p = value[static_cast<std::size_t>(i)];
    double high = 1, low = 0;
    if (std::isfinite(top)) {
      const double up = high_end(s), down = low_end(s);
      high = up > 0 ? up / (up + least[static_cast<std::size_t>(i)]) : 0;
      if (down > kTrusted) low = down / (down + most[static_cast<std::size_t>(i)]);
    }
    const double bound = std::max({high - p, p - low, 0.0});
    // Rounding noise of these very formulas must not pass for a bound where nothing was uncertain.
    const bool certain = bound < 8 * 0x1p-52 * p;
    Shadow y;
    y.value = p;
    y.bound = (certain ? 0 : bound) + p * evaluation;
    if (model_.profile) spread.put(i, centre[static_cast<std::size_t>(i)], sum_variance, y);
    y.plus_infinity = overflow;
    if (overflow) y.variance = kUnknownVariance;
    b[i * dy] = stored(y, dtype);
  }
}

}  // namespace aneval::validate
