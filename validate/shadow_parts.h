// What the rules of the error shadows share: how an interval is stored in fp16, and small arithmetic.
#pragma once

#include <cstdint>
#include <string>

#include "validate/half_interval.h"
#include "validate/shadow.h"

namespace aneval::validate {

inline constexpr std::int64_t kPiece = 512;
/// Relative error of a function evaluated in double: a few roundings of 2^-53 and libm's, which is within 1 ulp.
inline constexpr double kFunctionError = 0x1p-50;

/// 0 · inf is 0 here: a factor that is exactly zero makes the product exactly zero, however loose the other's bound.
inline double times(double a, double b) { return a == 0 || b == 0 ? 0.0 : a * b; }

/// An error that names the operation: what has no bound is never passed over.
[[noreturn]] void no_bound(const emulator::Step& step, const std::string& why);

/// `x` with the bound and the infinities of a device whose value, before it is rounded to fp16, lies in [low, high]
/// when it is finite. What x says of infinities is kept.
Shadow stored_between(Shadow x, double low, double high, emulator::Rounding rounding);

}  // namespace aneval::validate
