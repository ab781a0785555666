// The error shadows' reductions.
//
// Sums in fp16 go from left to right, so that the very steps of the device can be taken at both ends of the terms'
// intervals: every addition and every rounding is monotone, hence the device's sum lies between the two. Certain terms
// give the device's sum itself, and E is what it really is off by. fp32 has no order: γ_{n−1}·Σ|x|.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "validate/shadow/parts.h"
#include "validate/shadow/shadow.h"

namespace aneval::validate {

using emulator::Function;
using emulator::Row;
using emulator::RowLoop;
using emulator::Step;
using emulator::Summation;

namespace {

/// Bias and variance of a sum: terms' own errors add up as squares, what they share adds up as such.
struct SumSpread {
  RepeatedErrors errors;
  double centre = 0, variance = 0;  // of the terms so far, as if all were independent
  double of_rows = 0;               // of what other rows share
  /// Of the first rows that are met; of the others as of independent errors.
  struct Row {
    double shared = 0;
    std::uint32_t name = 0;
  };
  std::array<Row, 2> rows;

  void add(const Shadow& term) {
    centre += term.centre();
    errors.add(term.value, static_cast<double>(term.variance));
    variance += static_cast<double>(term.variance);
    for (const SharedError& part : term.shared)
      if (part.amount != 0) add_shared(static_cast<double>(part.amount), part.row);
  }
  void add_shared(double amount, std::uint32_t row) {
    const auto same = [row](const Row& r) { return r.shared == 0 || r.name == row; };
    const auto found = std::ranges::find_if(rows, same);
    if (found == rows.end()) {
      of_rows += amount * amount;
      return;
    }
    found->name = row;
    found->shared += amount;
  }
  /// To the sum `to`, whose value is set; `systematic` is what the device's way of adding adds.
  void put(Shadow& to, double systematic, double more_variance) {
    to.bias = static_cast<float>(centre + systematic - to.value);
    to.variance = static_cast<float>(errors.variance() + of_rows + more_variance);
    for (std::size_t i = 0; i < rows.size(); ++i) to.shared[i] = {static_cast<float>(rows[i].shared), rows[i].name};
  }
};

/// The ends of a reduction of fp16 or wide sums. What is infinite in IEEE's sense stays so.
struct SumEnds {
  SumEnd low, high, centre;
  SumSpread spread;
  RepeatedErrors of_roundings;  // equal terms are rounded alike
  Shadow total;
  double exact = 0, roundings = 0;  // the sum of what `centre` added up; how other roundings on its way may differ
  emulator::Rounding rounding;
  bool sticky;

  explicit SumEnds(const emulator::Profile& profile)
      : low(profile.reduce_sum, profile.elementwise_rounding),
        high(low),
        centre(low),
        rounding(profile.elementwise_rounding),
        sticky(profile.specials == emulator::Specials::ieee) {}

  /// Not less than of the last rounding alone.
  double all_roundings() { return std::max(of_roundings.variance(), centre.last_rounding(roundings)); }

  void add(const Shadow& term) {
    const Interval held = held_by_device(term);
    low.add(held.low);
    high.add(held.high);
    total.value += term.value;
    const double expected = std::clamp(nearest_half(rounding, term.centre()), held.low, held.high);
    centre.add(expected);
    exact += expected;
    const double drawn = centre.drawn_variance(expected, term.sigma(), std::sqrt(spread.variance + roundings));
    roundings += drawn;
    of_roundings.add(expected, drawn);
    spread.add(term);
    if (!sticky) return;
    total.plus_infinity = total.plus_infinity || term.plus_infinity || high.high() >= kBeyondHalf;
    total.minus_infinity = total.minus_infinity || term.minus_infinity || low.low() <= -kBeyondHalf;
  }
};

/// A sum in fp32, a mean or a maximum.
struct Reduction {
  Shadow total;
  SumSpread spread;
  double magnitude = 0;
  bool whole = true;

  explicit Reduction(Function function) {
    if (function == Function::max) total.value = -kInfinity;
  }
  void add(Function function, const Shadow& term) {
    total.plus_infinity = total.plus_infinity || term.plus_infinity;
    total.minus_infinity = total.minus_infinity || term.minus_infinity;
    if (function == Function::max) {
      // Of those that may be the largest, the one that is spread widest.
      if (term.centre() > total.centre()) total.bias = static_cast<float>(term.centre() - term.value);
      total.variance = std::max(total.variance, term.variance + static_cast<float>(term.shared_variance()));
      total.value = std::max(total.value, term.value);
      total.bound = std::max(total.bound, term.bound);
      return;
    }
    spread.add(term);
    total.finite = total.finite && term.finite;
    total.value += term.value;
    total.bound += term.bound;
    magnitude += std::abs(term.value) + term.bound;
    whole = whole && term.bound == 0 && std::trunc(term.value) == term.value;
  }
};

}  // namespace

void ShadowArithmetic::reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  require_rule(step);
  emulator::Extents kept_strides = x.strides, inner, inner_strides;
  kept_strides.rank = out.shape.rank;
  for (int axis = out.shape.rank; axis < x.shape.rank; ++axis) {
    inner.push(x.shape[axis]);
    inner_strides.push(x.strides[axis]);
  }
  const std::int64_t terms = inner.product();
  const double accumulation = !model_.profile ? 0 : gamma_of(terms - 1, kUnit32);
  const bool in_order = model_.profile && step.function == Function::sum && step.output.dtype == mil::DType::fp16 &&
                        model_.profile->reduce_sum != Summation::fp32;
  const RowLoop<1> inside(inner, {&inner_strides});
  const auto each = [&](std::int64_t base, const auto& visit) {
    for (std::int64_t r = 0; r < inside.rows(); ++r) {
      const Row<1> run = inside.row(r);
      for (std::int64_t j = 0; j < run.count; ++j) visit(read(x.data[base + run.offset[0] + j * run.step[0]]));
    }
  };
  const RowLoop<2> loop(out.shape, {&kept_strides, &out.strides});
  emulator::for_each_row(pool, loop, 32, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      const std::int64_t base = row.offset[0] + i * row.step[0];
      Shadow& to = out.data[row.offset[1] + i * row.step[1]];
      if (in_order) {
        SumEnds sum(*model_.profile);
        each(base, [&](const Shadow& term) { sum.add(term); });
        // The way from left to right over the expected terms shows what small terms lose against a large sum.
        sum.spread.put(sum.total, sum.centre.low() - sum.exact, sum.all_roundings());
        to = stored_between(sum.total, sum.low.low(), sum.high.high(), model_.profile->elementwise_rounding);
        continue;
      }
      Reduction reduction(step.function);
      each(base, [&](const Shadow& term) { reduction.add(step.function, term); });
      Shadow total = reduction.total;
      // Sums of integers below 2^24 are exact in fp32.
      if (step.function != Function::max && !(reduction.whole && reduction.magnitude < 0x1p24))
        total.bound += accumulation * reduction.magnitude;
      // Partial sums in fp32 are rounded within 2^-24 of at most the sum of magnitudes, each uniformly.
      if (step.function != Function::max && model_.profile)
        reduction.spread.put(total, 0, static_cast<double>(terms) * std::pow(kUnit32 * reduction.magnitude, 2) / 3);
      if (step.function == Function::mean) {
        total.value /= static_cast<double>(terms);
        total.bound =
            total.bound / static_cast<double>(terms) + (!model_.profile ? 0 : std::abs(total.value) * kUnit32);
        const auto n = static_cast<float>(terms);
        total.bias /= n;
        total.variance /= n * n;
        for (SharedError& part : total.shared) part.amount /= n;
      }
      if (total.straddles()) total.variance = kUnknownVariance;
      to = stored(total, step.output.dtype);
    }
  });
}

}  // namespace aneval::validate
