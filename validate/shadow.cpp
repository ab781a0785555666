// The rules of the error shadows that every profile shares: what is read, stored, compiled in and sliced.
#include "validate/shadow.h"

#include <algorithm>
#include <cmath>

#include "ane/half.h"
#include "common/error.h"
#include "validate/shadow_parts.h"

namespace aneval::validate {

using emulator::Function;
using emulator::Row;
using emulator::RowLoop;
using emulator::Step;

void no_bound(const Step& step, const std::string& why) {
  throw input_error("operation '" + step.result + "' at line " + std::to_string(step.location.line), why,
                    "its error cannot be bounded for this case: change the data or the program");
}

void ShadowArithmetic::require_rule(const Step& step) const {
  if (!from_tables()) return;
  switch (step.function) {
    case Function::sqrt:
    case Function::rsqrt:
    case Function::silu:
    case Function::real_div:
    case Function::pow:
    case Function::mean:
      no_bound(step, "profile " + model_.profile->name + " has no rule for this function");
    default:
      break;
  }
  if (step.output.dtype != mil::DType::fp16 && step.function != Function::cast)
    no_bound(step, "profile " + model_.profile->name + " has no rule for computing in fp32");
}

/// Rounding is monotone: a device value within [low, high] is stored within [round(low), round(high)]. This is tighter
/// than E + u(|x| + E), and gives 0 where the value is representable and E cannot reach its neighbour.
Shadow stored_between(Shadow x, double low, double high, emulator::Rounding rounding) {
  const double noise = (std::max(std::abs(low), std::abs(high)) + std::abs(x.value)) * kEndNoise;
  low = nearest_half(rounding, low - noise);
  high = nearest_half(rounding, high + noise);
  x.minus_infinity = x.minus_infinity || low <= -kBeyondHalf;
  x.plus_infinity = x.plus_infinity || high >= kBeyondHalf;
  x.finite = x.finite && low < kBeyondHalf && high > -kBeyondHalf;
  low = std::clamp(low, -ane::kHalfMax, ane::kHalfMax);
  high = std::clamp(high, -ane::kHalfMax, ane::kHalfMax);
  x.bound = std::max(x.value - low, high - x.value);  // NaN stays NaN, and never passes
  return x;
}

Shadow ShadowArithmetic::stored(Shadow x, mil::DType dtype) const {
  if (!model_.profile) return x;
  if (dtype != mil::DType::fp16) {
    x.bound += (std::abs(x.value) + x.bound) * kUnit32 + 0x1p-149;
    return x;
  }
  return stored_between(x, x.value - x.bound, x.value + x.bound, model_.profile->elementwise_rounding);
}

/// Where exponent 31 is ordinary, what is infinite outside is ±65536 to the next operation: a number like any other.
Shadow ShadowArithmetic::read(const Shadow& x) const {
  if (!x.straddles() || !model_.profile || model_.profile->specials == emulator::Specials::ieee) return x;
  double bound = x.finite ? x.bound : 0;
  if (x.plus_infinity) bound = std::max(bound, std::abs(kBeyondHalf - x.value));
  if (x.minus_infinity) bound = std::max(bound, std::abs(-kBeyondHalf - x.value));
  return {x.value, bound};
}

void ShadowArithmetic::load_constant(const emulator::PlanConstant& constant, std::span<Shadow> to) const {
  const bool exact_arithmetic = !model_.profile;
  const auto known = exact_constants_->find(constant.identifier);
  for (std::size_t i = 0; i < to.size(); ++i) {
    const double compiled = constant.values[i];
    if (known != exact_constants_->end()) {
      const double exact = known->second[known->second.size() == 1 ? 0 : i];
      to[i] = {exact, exact_arithmetic ? 0 : std::abs(compiled - exact)};
    } else {
      // Integers written into the text (−1, 2) are meant; a 1 in a weight file may well be a rounded cosine.
      const bool meant = !constant.from_file && std::trunc(compiled) == compiled && std::abs(compiled) <= 2048;
      const bool uncertain = exact_arithmetic && !meant && constant.operand.dtype == mil::DType::fp16;
      to[i] = {compiled, uncertain ? ane::half_ulp(compiled) / 2 : 0};
    }
  }
}

/// What exceeds the slice's gain is infinite, whatever it was; all else passes unrounded.
void ShadowArithmetic::slice(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  constexpr double kLimit = emulator::kSliceLimit;
  const bool gain = model_.profile && step.output.dtype == mil::DType::fp16;
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      Shadow s = x.data[row.offset[0] + i * row.step[0]];
      // Most values are far below; the numbers a device may hold are asked for only where it matters.
      if (gain && !(std::abs(s.value) + s.bound <= kLimit)) {
        const Interval held = held_by_device(s);
        s.plus_infinity = s.plus_infinity || held.high > kLimit;
        s.minus_infinity = s.minus_infinity || held.low < -kLimit;
        s.finite = s.finite && held.low <= kLimit && held.high >= -kLimit;
        s.bound = std::min(s.bound, std::max(std::abs(s.value - std::clamp(held.low, -kLimit, kLimit)),
                                             std::abs(std::clamp(held.high, -kLimit, kLimit) - s.value)));
      }
      out.data[row.offset[1] + i * row.step[1]] = s;
    }
  });
}

}  // namespace aneval::validate
