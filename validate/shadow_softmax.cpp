// The error shadows' softmax: exact and rounded once, or in the steps of DeviceArithmetic::softmax_from_tables.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ane/emulator/function_table.h"
#include "ane/emulator/half_values.h"
#include "validate/shadow.h"
#include "validate/shadow_parts.h"

namespace aneval::validate {

using emulator::Row;
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
  emulator::for_each_row(pool, loop, 16, [&](const Row<2>& group) {
    for (std::int64_t r = 0; r < group.count; ++r) {
      const Shadow* a = x.data + group.offset[0] + r * group.step[0];
      Shadow* b = out.data + group.offset[1] + r * group.step[1];
      if (from_tables())
        softmax_from_tables(a, dx, b, dy, n);
      else
        softmax_in_double(step.output.dtype, a, dx, b, dy, n);
    }
  });
}

void ShadowArithmetic::softmax_from_tables(const Shadow* x, std::int64_t dx, Shadow* y, std::int64_t dy,
                                           std::int64_t n) const {
  std::vector<Interval> scores(static_cast<std::size_t>(n));
  double largest = -kInfinity, sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    scores[static_cast<std::size_t>(i)] = held_by_device(read(x[i * dx]));
    largest = std::max(largest, x[i * dx].value);
  }
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(x[i * dx].value - largest);
  const TableSoftmax softmax(*model_.profile, std::move(scores));
  for (std::int64_t i = 0; i < n; ++i) {
    const double p = std::exp(x[i * dx].value - largest) / sum;
    const Interval device = softmax.probability(static_cast<std::size_t>(i));
    Shadow& to = y[i * dy];
    to = {p, std::max(p - device.low, device.high - p)};
    if (to.bound > 0) to.bound += p * static_cast<double>(n + 8) * 0x1p-52;
  }
}

/// p_i = e^{x_i}/(e^{x_i} + Σ_{j≠i} e^{x_j}) grows with x_i and falls with every other score. With scores off by at
/// most E, its range is reached at the ends: x_i + E_i with x_j − E_j, and x_i − E_i with x_j + E_j.
void ShadowArithmetic::softmax_in_double(mil::DType dtype, const Shadow* a, std::int64_t dx, Shadow* b, std::int64_t dy,
                                         std::int64_t n) const {
  // Subtraction, exp, sum and division in double; the rounding to fp16 is the store's.
  const double evaluation = !model_.profile ? 0 : static_cast<double>(n + 8) * 0x1p-52;
  double largest = -kInfinity, top = -kInfinity;  // of the scores, and of the ends of their intervals
  bool overflow = false;
  for (std::int64_t i = 0; i < n; ++i) {
    const Shadow& s = a[i * dx];
    largest = std::max(largest, s.value);
    top = std::max(top, s.value + s.bound);
    // −inf is as good as any very negative score; +inf makes the row meaningless.
    overflow = overflow || s.plus_infinity;
  }
  const auto high_end = [&](const Shadow& s) { return std::exp(s.value + s.bound - top); };
  const auto low_end = [&](const Shadow& s) { return s.minus_infinity ? 0.0 : std::exp(s.value - s.bound - top); };
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += std::exp(a[i * dx].value - largest);
  const std::vector<double> most = sums_of_others(n, [&](std::int64_t i) { return high_end(a[i * dx]); });
  const std::vector<double> least = sums_of_others(n, [&](std::int64_t i) { return low_end(a[i * dx]); });
  for (std::int64_t i = 0; i < n; ++i) {
    const Shadow& s = a[i * dx];
    const double p = std::exp(s.value - largest) / sum;
    double high = 1, low = 0;
    if (std::isfinite(top)) {
      const double up = high_end(s), down = low_end(s);
      high = up > 0 ? up / (up + least[static_cast<std::size_t>(i)]) : 0;
      if (down > kTrusted) low = down / (down + most[static_cast<std::size_t>(i)]);
    }
    const double bound = std::max({high - p, p - low, 0.0});
    // Rounding noise of these very formulas must not pass for a bound where nothing was uncertain.
    const bool certain = bound < 8 * 0x1p-52 * p;
    Shadow y{p, (certain ? 0 : bound) + p * evaluation};
    y.plus_infinity = overflow;
    b[i * dy] = stored(y, dtype);
  }
}

}  // namespace aneval::validate
