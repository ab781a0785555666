// What the rules of the error shadows share: how an interval is stored in fp16, and small arithmetic.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "validate/half_interval.h"
#include "validate/shadow.h"

namespace aneval::validate {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr std::int64_t kPiece = 512;
/// Unit roundoff of fp32, IEEE 754.
inline constexpr double kUnit32 = 0x1p-24;
/// Relative error of a function evaluated in double: a few roundings of 2^-53 and libm's, which is within 1 ulp.
inline constexpr double kFunctionError = 0x1p-50;

/// γ_n = n·u/(1 − n·u) bounds the relative error of n roundings in any order (Higham, Accuracy and Stability of
/// Numerical Algorithms, 2nd ed., lemma 3.1). Infinite where the bound does not exist.
inline double gamma_of(std::int64_t n, double unit) {
  const double nu = static_cast<double>(n) * unit;
  return nu < 1 ? nu / (1 - nu) : kInfinity;
}

/// 0 · inf is 0 here: a factor that is exactly zero makes the product exactly zero, however loose the other's bound.
inline double times(double a, double b) { return a == 0 || b == 0 ? 0.0 : a * b; }

/// An error that names the operation: what has no bound is never passed over.
[[noreturn]] void no_bound(const emulator::Step& step, const std::string& why);

/// `x` with the bound and the infinities of a device whose value, before it is rounded to fp16, lies in [low, high]
/// when it is finite. What x says of infinities is kept.
Shadow stored_between(Shadow x, double low, double high, emulator::Rounding rounding);

}  // namespace aneval::validate
