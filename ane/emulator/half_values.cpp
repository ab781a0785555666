#include "ane/emulator/half_values.h"

#include <bit>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/emulator/half_values.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "ane/emulator/half_rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::HWY_NAMESPACE {

void RoundRow(HalfFormat format, float* values, std::int64_t n) {
  WithRounding(format, mil::DType::fp16, [&](const auto& round) HWY_ATTR { MapRow(values, values, n, round); });
}

/// fp16's exponent and significand as fp32's, without regard to their meaning, are the number times 2^-112.
void DecodeOrdinary(const ane::half_t* HWY_RESTRICT bits, float* HWY_RESTRICT values, std::int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> words;
  const hn::Rebind<ane::half_t, decltype(d)> halves;
  const auto decoded = [&](const ane::half_t* p) HWY_ATTR {
    const auto wide = hn::PromoteTo(words, hn::LoadU(halves, p));
    const auto magnitude = hn::ShiftLeft<13>(hn::And(wide, hn::Set(words, 0x7FFFU)));
    const auto number = hn::Mul(hn::BitCast(d, magnitude), hn::Set(d, 0x1p112F));
    return hn::Or(number, hn::BitCast(d, hn::ShiftLeft<16>(hn::And(wide, hn::Set(words, 0x8000U)))));
  };
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(decoded(bits + i), d, values + i);
  if (i == n) return;
  HWY_ALIGN ane::half_t rest[hn::MaxLanes(d)] = {};
  HWY_ALIGN float numbers[hn::MaxLanes(d)];
  std::memcpy(rest, bits + i, sizeof(ane::half_t) * static_cast<std::size_t>(n - i));
  hn::Store(decoded(rest), d, numbers);
  std::memcpy(values + i, numbers, sizeof(float) * static_cast<std::size_t>(n - i));
}

void EncodeOrdinary(const float* HWY_RESTRICT values, ane::half_t* HWY_RESTRICT bits, std::int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> words;
  const hn::RebindToSigned<decltype(d)> numbers;
  const hn::Rebind<ane::half_t, decltype(d)> halves;
  const auto encoded = [&](const float* p) HWY_ATTR {
    const auto word = hn::BitCast(words, hn::LoadU(d, p));
    const auto sign = hn::And(word, hn::Set(words, 0x80000000U));
    const auto small = hn::Mul(hn::BitCast(d, hn::Xor(word, sign)), hn::Set(d, 0x1p-112F));
    const auto magnitude = hn::ShiftRight<13>(hn::BitCast(words, small));
    return hn::DemoteTo(halves, hn::BitCast(numbers, hn::Or(magnitude, hn::ShiftRight<16>(sign))));
  };
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) hn::StoreU(encoded(values + i), halves, bits + i);
  if (i == n) return;
  HWY_ALIGN float rest[hn::MaxLanes(d)] = {};
  HWY_ALIGN ane::half_t patterns[hn::MaxLanes(d)];
  std::memcpy(rest, values + i, sizeof(float) * static_cast<std::size_t>(n - i));
  hn::Store(encoded(rest), halves, patterns);
  std::memcpy(bits + i, patterns, sizeof(ane::half_t) * static_cast<std::size_t>(n - i));
}

}  // namespace aneval::emulator::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::emulator {

HWY_EXPORT(RoundRow);
HWY_EXPORT(DecodeOrdinary);
HWY_EXPORT(EncodeOrdinary);

void round_to_half(HalfFormat format, float* values, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(RoundRow)(format, values, n);
}

float round_to_half(HalfFormat format, double value) {
  float one = narrow(value);
  round_to_half(format, &one, 1);
  return one;
}

void decode_halves(Specials specials, const ane::half_t* bits, float* values, std::int64_t n) {
  if (specials == Specials::ieee) return ane::to_float(bits, values, n);
  HWY_DYNAMIC_DISPATCH(DecodeOrdinary)(bits, values, n);
}

void encode_halves(Specials specials, const float* values, ane::half_t* bits, std::int64_t n) {
  if (specials == Specials::ieee) return ane::to_half(values, bits, n);
  HWY_DYNAMIC_DISPATCH(EncodeOrdinary)(values, bits, n);
}

float narrow(double value) {
  const float nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || std::isnan(value)) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::abs(static_cast<double>(nearest)) > std::abs(value)) --bits;
  return std::bit_cast<float>(bits | 1U);
}

}  // namespace aneval::emulator
#endif
