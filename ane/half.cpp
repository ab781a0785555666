// Single values: fp16 from and to fp32 and fp64 in integer arithmetic, the same on every machine.
#include "ane/half.h"

#include <bit>
#include <cmath>
#include <limits>

namespace aneval::ane {
namespace {

/// Rounds a binary IEEE number of `MantissaBits` stored bits to fp16: nearest, ties to even.
template <class Bits, int MantissaBits, int Bias>
half_t round_to_half(Bits bits) {
  constexpr int kTotalBits = static_cast<int>(sizeof(Bits)) * 8, kDropped = MantissaBits - 10;
  constexpr Bits kOne = 1, kMagnitude = (kOne << (kTotalBits - 1)) - 1;
  constexpr Bits kMantissa = (kOne << MantissaBits) - 1;
  constexpr Bits kInfinity = kMagnitude & ~kMantissa;
  constexpr Bits kTooLarge = Bits{Bias + 16} << MantissaBits;   // 2^16, what rounds to it carries by itself
  constexpr Bits kMinNormal = Bits{Bias - 14} << MantissaBits;  // 2^-14

  const Bits sign = (bits >> (kTotalBits - 16)) & 0x8000;
  const Bits a = bits & kMagnitude;
  if (a > kInfinity) return static_cast<half_t>(sign | 0x7E00 | ((a >> kDropped) & 0x3FF));
  if (a >= kTooLarge) return static_cast<half_t>(sign | kHalfInfinity);
  if (a >= kMinNormal) {
    const Bits ties_to_even = (a >> kDropped) & 1;
    const Bits rounded = a + ((kOne << (kDropped - 1)) - 1) + ties_to_even;
    return static_cast<half_t>(sign | ((rounded >> kDropped) - (Bits{Bias - 15} << 10)));
  }
  // Subnormal result: the significand is counted in units of 2^-24.
  const int shift = Bias - 14 + kDropped - static_cast<int>(a >> MantissaBits);
  if (shift > MantissaBits + 1) return static_cast<half_t>(sign);  // below 2^-25
  const Bits significand = (a & kMantissa) | (kOne << MantissaBits);
  const Bits quotient = significand >> shift, rest = significand & ((kOne << shift) - 1), middle = kOne << (shift - 1);
  const Bits up = rest > middle || (rest == middle && (quotient & 1)) ? 1 : 0;
  return static_cast<half_t>(sign | (quotient + up));
}

}  // namespace

half_t to_half(float value) { return round_to_half<std::uint32_t, 23, 127>(std::bit_cast<std::uint32_t>(value)); }

half_t to_half(double value) { return round_to_half<std::uint64_t, 52, 1023>(std::bit_cast<std::uint64_t>(value)); }

float to_float(half_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1Fu, mantissa = bits & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;  // exact
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  if (exponent == 31) {
    const std::uint32_t quiet = mantissa ? 0x400000u : 0u;
    return std::bit_cast<float>(sign | 0x7F800000u | quiet | (mantissa << 13));
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

double half_ulp(double value) {
  const double a = std::fabs(value);
  if (std::isnan(a)) return std::numeric_limits<double>::quiet_NaN();
  if (a < 0x1p-14) return 0x1p-24;
  if (a >= 32768.0) return 32.0;
  return std::ldexp(1.0, std::ilogb(a) - 10);
}

}  // namespace aneval::ane
