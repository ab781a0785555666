// fp16 in double arithmetic: the two roundings, the fp16 numbers that a device may hold in place of a shadow's value,
// and the ends of a sum's interval.
//
// Written apart from the emulator's rounding (half_values.h), which it judges; the tests hold the two against each
// other. Rounding is monotone, and so is every operation made of it that grows with its operands: whatever lies in
// [low, high] is taken to between what the ends are taken to. That is the whole trick of the tight rules.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "ane/emulator/profile.h"
#include "ane/half.h"
#include "validate/shadow/shadow.h"

namespace aneval::validate {

/// Where fp16's next number would lie, and its infinity on the chips that read it as a number.
inline constexpr double kBeyondHalf = 65536;

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Unit roundoff of fp32, IEEE 754.
inline constexpr double kUnit32 = 0x1p-24;

/// γ_n = n·u/(1 − n·u) bounds the relative error of n roundings in any order (Higham, Accuracy and Stability of
/// Numerical Algorithms, 2nd ed., lemma 3.1). Infinite where the bound does not exist.
inline double gamma_of(std::int64_t n, double unit) {
  const double nu = static_cast<double>(n) * unit;
  return nu < 1 ? nu / (1 - nu) : kInfinity;
}

/// The ends of an interval are computed in double, with a few roundings of 2^-53 relative to what they are made of. An
/// end that should lie on a tie must not fall on its wrong side.
inline constexpr double kEndNoise = 0x1p-50;

struct Interval {
  double low = 0, high = 0;
};

/// Spacing of fp16 at a magnitude; from 65536 on that of the last binade.
inline double half_spacing(double magnitude) {
  const std::uint64_t exponent = std::bit_cast<std::uint64_t>(magnitude) & 0x7FF0000000000000U;
  return std::clamp(std::bit_cast<double>(exponent), 0x1p-14, 0x1p15) * 0x1p-10;
}

namespace detail {
template <class Round>
double on_half_grid(double value, const Round& round) {
  const double spacing = half_spacing(std::abs(value));
  return std::clamp(round(value / spacing) * spacing, -kBeyondHalf, kBeyondHalf);
}
}  // namespace detail

/// The nearest fp16 number. What becomes infinite (magnitudes from 65520 on) gives ±65536.
inline double nearest_half(emulator::Rounding rounding, double value) {
  if (rounding == emulator::Rounding::nearest_even)
    return detail::on_half_grid(value, [](double steps) { return std::nearbyint(steps); });
  return detail::on_half_grid(value, [](double steps) {
    const double whole = std::trunc(steps);
    return std::abs(steps - whole) >= 0.5 ? whole + std::copysign(1.0, steps) : whole;
  });
}

/// The smallest fp16 number ≥ value, the largest ≤ value; within ±65536.
inline double half_above(double value) {
  return detail::on_half_grid(value, [](double steps) { return std::ceil(steps); });
}
inline double half_below(double value) {
  return detail::on_half_grid(value, [](double steps) { return std::floor(steps); });
}

/// The fp16 numbers of a shadow's interval: what a device holds is one of them. Often only one is left.
inline Interval held_by_device(const Shadow& x) {
  const double reach = x.bound + (std::abs(x.value) + x.bound) * kEndNoise;
  const double low = half_above(x.value - reach), high = half_below(x.value + reach);
  // None: the shadow is not of an fp16 number. Its neighbours hold it.
  return low <= high ? Interval{low, high} : Interval{high, low};
}

/// Two numbers a and b = a + δ, δ of standard deviation sigma, are rounded: the variance of r(b) − r(a) − δ. Where a
/// lies in its spacing is anyone's guess, so that a step of a whole spacing is taken with probability |δ|/spacing, and
/// E|δ| = σ·√(2/π); at most, that of two independent roundings.
inline double drawn_variance(double spacing, double sigma) {
  constexpr double kMeanMagnitude = 0.79788456;  // √(2/π)
  return std::min(spacing * spacing / 6, spacing * sigma * kMeanMagnitude);
}

/// The same for a rounding that stands alone: rare as a step may be, it is not to be a surprise of more than 4σ, nor
/// two of them of more than 4√2 = 5.7σ.
inline double single_drawn_variance(double spacing, double sigma) {
  return sigma > 0 ? std::max(drawn_variance(spacing, sigma), spacing * spacing / 16) : 0;
}

/// One end of the interval of a sum that a device adds up as `summation` says: fed with the low ends of all terms it
/// gives the low end, and so on.
class SumEnd {
 public:
  SumEnd(emulator::Summation summation, emulator::Rounding rounding) : summation_(summation), rounding_(rounding) {}

  void add(double value) {
    before_ = total_;
    total_ += value;
    if (summation_ == emulator::Summation::fp16)
      total_ = nearest_half(rounding_, total_);
    else
      magnitude_ += std::abs(value);
    ++terms_;
  }
  /// drawn_variance() of the addition that was made last, of `value`, spread by `sigma`, to a sum spread by
  /// `sum_sigma`. None where both lie on the result's grid; and the sum's spread moves it by whole spacings, unless its
  /// grid was finer.
  double drawn_variance(double value, double sigma, double sum_sigma) const {
    if (summation_ != emulator::Summation::fp16) return 0;
    const double spacing = half_spacing(std::abs(total_)), of_sum = half_spacing(std::abs(before_));
    if (std::min(half_spacing(std::abs(value)), of_sum) >= spacing) return 0;
    return validate::drawn_variance(spacing, of_sum < spacing ? std::hypot(sigma, sum_sigma) : sigma);
  }
  /// single_drawn_variance() of the last rounding, if others were drawn with a variance above zero.
  double last_rounding(double others) const {
    return summation_ == emulator::Summation::fp16 ? single_drawn_variance(half_spacing(std::abs(total_)), others) : 0;
  }
  /// Not yet rounded to fp16. fp32 sums have no order: they lie within γ_{n−1}·Σ|x| of the exact one, which grows with
  /// every x since γ < 1; what the double sum rounds is far less.
  double low() const { return total_ - fp32_error(); }
  double high() const { return total_ + fp32_error(); }

 private:
  double fp32_error() const {
    if (summation_ != emulator::Summation::fp32) return 0;
    const double gamma = gamma_of(terms_, kUnit32);
    return std::isfinite(gamma) ? gamma * magnitude_ : kInfinity;
  }

  emulator::Summation summation_;
  emulator::Rounding rounding_;
  double total_ = 0, before_ = 0, magnitude_ = 0;
  std::int64_t terms_ = 0;
};

}  // namespace aneval::validate
