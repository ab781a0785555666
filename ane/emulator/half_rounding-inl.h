// Rounding of floats to fp16 numbers in vectors, in operations that every SIMD target has. Included once per target.
// The rules are those of HalfFormat (half_values.h): ties to even or away from zero, exponent 31 special or ordinary.

#if defined(ANEVAL_EMULATOR_HALF_ROUNDING_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEVAL_EMULATOR_HALF_ROUNDING_INL_H_
#undef ANEVAL_EMULATOR_HALF_ROUNDING_INL_H_
#else
#define ANEVAL_EMULATOR_HALF_ROUNDING_INL_H_
#endif

#include <cstring>

#include "ane/emulator/half_values.h"
#include "ane/mil/program.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// What a store to fp32 does.
struct Unrounded {
  template <class D, class V>
  HWY_INLINE V operator()(D, V value) const {
    return value;
  }
};

/// To nearest, ties to even. The 13 bits that fp16 does not have are rounded off in the integer that the float's bits
/// are: a carry into the exponent is the right one. Below 2^-14 the spacing no longer shrinks: there, adding 1/2, whose
/// last place is 2^-24, and taking it away again rounds.
template <bool kOrdinary>
struct NearestEven {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V value) const {
    const hn::RebindToUnsigned<D> bits;
    const auto word = hn::BitCast(bits, value);
    const auto sign = hn::And(word, hn::Set(bits, 0x80000000U));
    const auto magnitude = hn::Xor(word, sign);
    const V absolute = hn::BitCast(d, magnitude);
    const auto odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(bits, 1U));
    const auto carried = hn::Add(hn::Add(magnitude, odd), hn::Set(bits, 0xFFFU));
    const V half = hn::Set(d, 0.5F);
    V rounded = hn::BitCast(d, hn::And(carried, hn::Set(bits, ~0x1FFFU)));
    rounded = hn::IfThenElse(hn::Lt(absolute, hn::Set(d, 0x1p-14F)), hn::Sub(hn::Add(absolute, half), half), rounded);
    // Half way from 65504 to 65536, and beyond, and NaN.
    const auto finite = hn::Lt(absolute, hn::Set(d, 65520.0F));
    const V signs = hn::BitCast(d, sign);
    if constexpr (kOrdinary) {
      rounded = hn::Or(hn::IfThenElse(finite, rounded, hn::Set(d, kOrdinaryInfinity)), signs);
      return hn::Add(rounded, hn::Zero(d));  // -0 + 0 = +0
    } else {
      const auto quiet = hn::And(hn::Or(magnitude, hn::Set(bits, 0x400000U)), hn::Set(bits, ~0x1FFFU));
      const V infinity = hn::BitCast(d, hn::Set(bits, 0x7F800000U));
      const V special = hn::IfThenElse(hn::IsNaN(value), hn::BitCast(d, quiet), infinity);
      return hn::Or(hn::IfThenElse(finite, rounded, special), signs);
    }
  }
};

/// To nearest, ties away from zero: half a unit is added to the 13 bits that fp16 does not have, and they are cut off.
/// 65520 becomes 65536, and so does all that is larger, and NaN, from a cast of fp32.
struct HalfAway {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V value) const {
    const hn::RebindToUnsigned<D> bits;
    const hn::RebindToSigned<D> whole_numbers;
    const auto word = hn::BitCast(bits, value);
    const auto sign = hn::And(word, hn::Set(bits, 0x80000000U));
    const V infinity = hn::Set(d, kOrdinaryInfinity), smallest_normal = hn::Set(d, 0x1p-14F);
    const V given = hn::BitCast(d, hn::Xor(word, sign));
    const V absolute = hn::IfThenElse(hn::Lt(given, infinity), given, infinity);
    const auto carried = hn::Add(hn::BitCast(bits, absolute), hn::Set(bits, 0x1000U));
    const V normal = hn::BitCast(d, hn::And(carried, hn::Set(bits, ~0x1FFFU)));
    // Scaling is exact, and so are the whole part and what is left of it: adding 0.5 before cutting would round.
    const V scaled = hn::Mul(hn::Min(absolute, smallest_normal), hn::Set(d, 0x1p24F));
    const V whole = hn::ConvertTo(d, hn::ConvertTo(whole_numbers, scaled));
    const V up = hn::IfThenElseZero(hn::Ge(hn::Sub(scaled, whole), hn::Set(d, 0.5F)), hn::Set(d, 1.0F));
    const V subnormal = hn::Mul(hn::Add(whole, up), hn::Set(d, 0x1p-24F));
    const V rounded = hn::IfThenElse(hn::Lt(absolute, smallest_normal), subnormal, normal);
    return hn::Add(hn::Or(rounded, hn::BitCast(d, sign)), hn::Zero(d));  // -0 + 0 = +0
  }
};

/// Calls use(rounding) with the rounding that a store to a tensor of that type does.
template <class Use>
HWY_INLINE void WithRounding(HalfFormat format, mil::DType dtype, const Use& use) {
  if (dtype != mil::DType::fp16) return use(Unrounded());
  if (format.rounding == Rounding::half_away) return use(HalfAway());
  if (format.specials == Specials::ordinary) return use(NearestEven<true>());
  use(NearestEven<false>());
}

/// out[i] = f(d, x[i], y[i]) for vectors; an operand with a step of 0 is one number for all. `out` may be an operand.
template <class F>
HWY_INLINE void MapPairs(const float* x, std::int64_t x_step, const float* y, std::int64_t y_step, float* out,
                         std::int64_t n, const F& f) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto load = [&](const float* p, std::int64_t step, std::int64_t i)
                        HWY_ATTR { return step == 0 ? hn::Set(d, *p) : hn::LoadU(d, p + i); };
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(f(d, load(x, x_step, i), load(y, y_step, i)), d, out + i);
  if (i == n) return;
  HWY_ALIGN float left[hn::MaxLanes(d)] = {}, right[hn::MaxLanes(d)] = {};
  const auto bytes = sizeof(float) * static_cast<std::size_t>(n - i);
  std::memcpy(left, x_step == 0 ? x : x + i, x_step == 0 ? sizeof(float) : bytes);
  std::memcpy(right, y_step == 0 ? y : y + i, y_step == 0 ? sizeof(float) : bytes);
  hn::Store(f(d, load(left, x_step, 0), load(right, y_step, 0)), d, left);
  std::memcpy(out + i, left, bytes);
}

/// out[i] = f(d, x[i]).
template <class F>
HWY_INLINE void MapRow(const float* x, float* out, std::int64_t n, const F& f) {
  MapPairs(x, 1, x, 1, out, n, [&](auto d, auto value, auto) HWY_ATTR { return f(d, value); });
}

}  // namespace aneval::emulator::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
