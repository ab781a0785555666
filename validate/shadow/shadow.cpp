// The rules of the error shadows that every profile shares: what is read, stored, compiled in and sliced.
#include "validate/shadow/shadow.h"

#include <algorithm>
#include <cmath>

#include "ane/half.h"
#include "common/error.h"
#include "validate/shadow/parts.h"

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
  const bool eight_bits = step.integers || step.function == Function::quantize || step.function == Function::dequantize;
  if (eight_bits && !model_.profile->eight_bits)
    no_bound(step, "profile " + model_.profile->name + " has no rule for 8-bit numbers");
  if (eight_bits) return;
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

namespace {

/// Mean square of a rounding error in units of the spacing, when the value before rounding is only known to within
/// ±reach of those units. From reach ½ on nothing is known and the error is uniform: 1/12. Below, a value that can be
/// rounded either way lies within `reach` of a tie, so that the error is between ½ − reach and ½. (A value that can be
/// rounded one way only has no spread at all.)
double rounding_variance(double reach) { return reach < 0.5 ? 0.25 - reach / 2 + reach * reach / 3 : 1.0 / 12; }

/// What a rounding adds to bias and variance: [low, high] is what is stored, `reach` the half width before.
void spread_stored(Shadow& x, double low, double high, double reach) {
  if (low == high) {  // one number: known
    x.bias = static_cast<float>(low - x.value);
    x.variance = 0;
    x.shared = {};
    return;
  }
  const double centre = std::clamp(x.centre(), low, high);
  x.bias = static_cast<float>(centre - x.value);
  const double spacing = half_spacing(std::abs(centre)), most = std::max(high - centre, centre - low);
  double variance = static_cast<double>(x.variance) + rounding_variance(reach / spacing) * spacing * spacing;
  // Nothing is spread wider than the interval that it lies in.
  if (variance + x.shared_variance() > most * most) {
    for (SharedError& part : x.shared)
      part.amount = static_cast<float>(std::clamp(static_cast<double>(part.amount), -most, most));
    variance = std::min(variance, most * most);
  }
  x.variance = static_cast<float>(variance);
}

}  // namespace

/// Rounding is monotone: a device value within [low, high] is stored within [round(low), round(high)]. This is tighter
/// than E + u(|x| + E), and gives 0 where the value is representable and E cannot reach its neighbour.
Shadow stored_between(Shadow x, double low, double high, emulator::Rounding rounding) {
  const double noise = (std::max(std::abs(low), std::abs(high)) + std::abs(x.value)) * kEndNoise;
  const double reach = (high - low) / 2;
  low = nearest_half(rounding, low - noise);
  high = nearest_half(rounding, high + noise);
  x.minus_infinity = x.minus_infinity || low <= -kBeyondHalf;
  x.plus_infinity = x.plus_infinity || high >= kBeyondHalf;
  x.finite = x.finite && low < kBeyondHalf && high > -kBeyondHalf;
  low = std::clamp(low, -ane::kHalfMax, ane::kHalfMax);
  high = std::clamp(high, -ane::kHalfMax, ane::kHalfMax);
  x.bound = std::max(x.value - low, high - x.value);  // NaN stays NaN, and never passes
  spread_stored(x, low, high, reach);
  return x;
}

Shadow ShadowArithmetic::stored_product(Shadow x, mil::DType dtype) const {
  if (!model_.profile || dtype != mil::DType::fp16) return stored(x, dtype);
  return stored_between(x, x.value - x.bound, x.value + x.bound, model_.profile->matmul_rounding);
}

Shadow ShadowArithmetic::stored(Shadow x, mil::DType dtype) const {
  if (!model_.profile) return x;
  if (dtype != mil::DType::fp16) {
    const double unit = (std::abs(x.value) + x.bound) * kUnit32;
    x.bound += unit + 0x1p-149;
    x.variance += static_cast<float>(unit * unit / 3);  // uniform within ±unit
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
  return {x.value, bound, 0, kUnknownVariance};
}

void ShadowArithmetic::load_constant(const emulator::PlanConstant& constant, std::span<Shadow> to) const {
  const bool exact_arithmetic = !model_.profile;
  const auto known = exact_constants_->find(constant.identifier);
  for (std::size_t i = 0; i < to.size(); ++i) {
    const double compiled = constant.values[i];
    if (known != exact_constants_->end()) {
      const double exact =
          known->second[known->second.size() == 1 ? 0 : i] / constant.unit(static_cast<std::int64_t>(i));
      to[i].value = exact;
      if (exact_arithmetic) continue;
      to[i].bound = std::abs(compiled - exact);
      to[i].bias = static_cast<float>(compiled - exact);
    } else {
      // Integers written into the text (−1, 2) are meant; a 1 in a weight file may well be a rounded cosine.
      const bool meant = !constant.from_file && std::trunc(compiled) == compiled && std::abs(compiled) <= 2048;
      const bool uncertain = exact_arithmetic && !meant && constant.operand.dtype == mil::DType::fp16;
      to[i].value = compiled;
      if (constant.units && exact_arithmetic)  // quantized from anything within half a step
        to[i].bound =
            constant.units->scale_of(static_cast<std::int64_t>(i)) / constant.unit(static_cast<std::int64_t>(i)) / 2;
      else
        to[i].bound = uncertain ? ane::half_ulp(compiled) / 2 : 0;
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
