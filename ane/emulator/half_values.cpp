#include "ane/emulator/half_values.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace aneval::emulator {
namespace {

constexpr std::int64_t kPiece = 512;
constexpr std::uint32_t kSign = 0x80000000U;

/// The spacing of fp16's subnormals, and the smallest number that is none.
constexpr float kSmallest = 0x1p-24F, kSmallestNormal = 0x1p-14F;

/// Nearest, ties away from zero: half a unit is added to the 13 bits that fp16 does not have, and they are cut off. The
/// carry into the exponent is the right one, and 65520 becomes 65536. Below 2^-14 the spacing no longer shrinks.
float half_away(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const float given = std::bit_cast<float>(bits & ~kSign);
  const float absolute = given < kOrdinaryInfinity ? given : kOrdinaryInfinity;  // a NaN too, from a cast of fp32
  const float rounded = std::bit_cast<float>((std::bit_cast<std::uint32_t>(absolute) + 0x1000U) & ~0x1FFFU);
  // Scaling is exact, and so are the whole part and what is left of it: adding 0.5 before cutting would round.
  const float scaled = (absolute < kSmallestNormal ? absolute : kSmallestNormal) * 0x1p24F;
  const auto whole = static_cast<float>(static_cast<std::int32_t>(scaled));
  const float subnormal = (whole + (scaled - whole >= 0.5F ? 1.0F : 0.0F)) * kSmallest;
  const float result = absolute < kSmallestNormal ? subnormal : rounded;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(result) | (bits & kSign)) + 0.0F;  // −0 + 0 = +0
}

void to_nearest_even(Specials specials, float* values, std::int64_t n) {
  std::array<ane::half_t, kPiece> bits;
  for (std::int64_t begin = 0; begin < n; begin += kPiece) {
    const std::int64_t count = std::min(kPiece, n - begin);
    ane::to_half(values + begin, bits.data(), count);
    decode_halves(specials, bits.data(), values + begin, count);
  }
  if (specials == Specials::ieee) return;
  for (std::int64_t i = 0; i < n; ++i) {
    // −0 + 0 = +0; a NaN (from a cast of fp32) would be a number beyond infinity.
    const float value = values[i] + 0.0F;
    values[i] = std::abs(value) > kOrdinaryInfinity ? std::copysign(kOrdinaryInfinity, value) : value;
  }
}

}  // namespace

void round_to_half(HalfFormat format, float* values, std::int64_t n) {
  if (format.rounding == Rounding::nearest_even) return to_nearest_even(format.specials, values, n);
  for (std::int64_t i = 0; i < n; ++i) values[i] = half_away(values[i]);
}

float round_to_half(HalfFormat format, double value) {
  float one = narrow(value);
  round_to_half(format, &one, 1);
  return one;
}

void decode_halves(Specials specials, const ane::half_t* bits, float* values, std::int64_t n) {
  if (specials == Specials::ieee) return ane::to_float(bits, values, n);
  // fp16's exponent and significand as fp32's, without regard to their meaning, are the number times 2^-112.
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t magnitude = static_cast<std::uint32_t>(bits[i] & 0x7FFFU) << 13;
    const std::uint32_t sign = static_cast<std::uint32_t>(bits[i] & 0x8000U) << 16;
    values[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F) | sign);
  }
}

void encode_halves(Specials specials, const float* values, ane::half_t* bits, std::int64_t n) {
  if (specials == Specials::ieee) return ane::to_half(values, bits, n);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t word = std::bit_cast<std::uint32_t>(values[i]);
    const float small = std::bit_cast<float>(word & ~kSign) * 0x1p-112F;
    bits[i] = static_cast<ane::half_t>((std::bit_cast<std::uint32_t>(small) >> 13) | ((word & kSign) >> 16));
  }
}

float narrow(double value) {
  const float nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || std::isnan(value)) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::abs(static_cast<double>(nearest)) > std::abs(value)) --bits;
  return std::bit_cast<float>(bits | 1U);
}

}  // namespace aneval::emulator
