// Single conversions against a definition of rounding that shares nothing with them: the value divided by the spacing
// of fp16 numbers at that value, rounded to a whole number.
#include "ane/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace aneval::ane {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// fp16 bits of a value that is not NaN. std::nearbyint rounds ties to even; scaling by powers of two is exact.
half_t defined_half(double value) {
  const auto sign = static_cast<half_t>(std::signbit(value) ? 0x8000 : 0);
  const double a = std::fabs(value);
  if (a >= 65520.0) return sign | kHalfInfinity;  // half a spacing beyond the largest number
  const int exponent = a < 0x1p-14 ? -14 : std::ilogb(a);
  const auto steps = static_cast<int>(std::nearbyint(std::ldexp(a, 10 - exponent)));
  // steps 2048 is the next power of two: its encoding follows by carrying.
  const int bits = exponent == -14 ? steps : ((exponent + 15) << 10) + steps - 1024;
  return static_cast<half_t>(sign | bits);
}

double defined_value(half_t bits) {
  const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  const double magnitude = exponent == 31  ? kInfinity
                           : exponent == 0 ? std::ldexp(mantissa, -24)
                                           : std::ldexp(1024 + mantissa, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

bool is_nan(half_t bits) { return (bits & 0x7FFF) > kHalfInfinity; }

/// Both formats of the value and of its neighbours one fp32 and one fp64 spacing away.
void expect_rounding_around(double value) {
  const auto near = static_cast<float>(value);
  const float floats[] = {near, std::nextafter(near, -INFINITY), std::nextafter(near, INFINITY)};
  for (const float x : floats) ASSERT_EQ(to_half(x), defined_half(static_cast<double>(x))) << x;
  const double doubles[] = {value, std::nextafter(value, -kInfinity), std::nextafter(value, kInfinity)};
  for (const double x : doubles) ASSERT_EQ(to_half(x), defined_half(x)) << x;
}

TEST(Half, EveryHalfWidensToItsValue) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<half_t>(i);
    if (is_nan(bits)) continue;
    const auto wide = static_cast<double>(to_float(bits));
    ASSERT_EQ(wide, defined_value(bits)) << i;
    ASSERT_EQ(std::signbit(wide), (bits & 0x8000) != 0) << i;
    ASSERT_EQ(to_half(to_float(bits)), bits) << i;
  }
}

TEST(Half, RoundsToNearestEvenAroundEveryHalfAndEveryMidpoint) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<half_t>(i);
    if ((bits & 0x7FFF) >= kHalfInfinity) continue;
    const double value = defined_value(bits);
    expect_rounding_around(value);
    expect_rounding_around(value + std::copysign(half_ulp(value) / 2, value));
    if (HasFatalFailure()) return;
  }
}

TEST(Half, KnownPatterns) {
  EXPECT_EQ(to_half(1.0F), 0x3C00);
  EXPECT_EQ(to_half(-2.0F), 0xC000);
  EXPECT_EQ(to_half(-0.0F), 0x8000);
  EXPECT_EQ(to_half(65504.0F), 0x7BFF);
  EXPECT_EQ(to_half(65519.996F), 0x7BFF);
  EXPECT_EQ(to_half(65520.0F), kHalfInfinity);
  EXPECT_EQ(to_half(-std::numeric_limits<float>::infinity()), 0xFC00);
  EXPECT_EQ(to_half(0x1p-24F), 0x0001);
  EXPECT_EQ(to_half(0x1p-25F), 0x0000);  // a tie: to the even zero
  EXPECT_EQ(to_half(0x1.000002p-25F), 0x0001);
  EXPECT_EQ(to_half(0x1.8p-24F), 0x0002);  // a tie between 1 and 2
  EXPECT_EQ(to_half(std::numeric_limits<float>::denorm_min()), 0x0000);
  EXPECT_EQ(to_half(std::numeric_limits<double>::denorm_min()), 0x0000);
  EXPECT_EQ(to_half(-std::numeric_limits<double>::max()), 0xFC00);
}

TEST(Half, DoubleIsRoundedOnce) {
  // Each value lies so near a midpoint of two halves that fp32 takes it for the midpoint and then goes the other way.
  const struct {
    double value;
    half_t once, twice;
  } traps[] = {
      {1.0 + 0x1p-11 + 0x1p-40, 0x3C01, 0x3C00},           // just above the tie between 1 and its even neighbour
      {1.0 + 0x1.8p-10 - 0x1p-40, 0x3C01, 0x3C02},         // just below the tie that goes up
      {0x1p-25 + 0x1p-60, 0x0001, 0x0000},                 // above half of the smallest subnormal
      {65520.0 - 0x1p-20, 0x7BFF, kHalfInfinity},          // below the overflow threshold
      {-(0x1p-14 - 0x1p-25 + 0x1p-50), 0x8400, 0x8400},    // a tie to the smallest normal, either way
      {-(0x1p-14 - 0x1.8p-24 - 0x1p-50), 0x83FE, 0x83FE},  // just beyond a tie among subnormals
      {0x1p-24 + 0x1p-25 - 0x1p-55, 0x0001, 0x0002},       // below the tie between 1 and 2 subnormal steps
  };
  for (const auto& trap : traps) {
    EXPECT_EQ(to_half(trap.value), trap.once) << trap.value;
    EXPECT_EQ(to_half(static_cast<float>(trap.value)), trap.twice) << trap.value;
  }
}

TEST(Half, NansStayNansAndBecomeQuiet) {
  EXPECT_EQ(to_half(std::bit_cast<float>(0x7F800001u)), 0x7E00);  // signalling, payload below what a half holds
  EXPECT_EQ(to_half(std::bit_cast<float>(0xFFC02000u)), 0xFE01);  // sign and upper payload kept
  EXPECT_EQ(to_half(std::bit_cast<double>(0x7FF0000000000001u)), 0x7E00);
  EXPECT_EQ(to_half(std::bit_cast<double>(0xFFF8040000000000u)), 0xFE01);
  for (std::uint32_t i = 0x7C01; i < 0x8000; ++i) {
    const std::uint32_t wide = std::bit_cast<std::uint32_t>(to_float(static_cast<half_t>(i)));
    ASSERT_EQ(wide, 0x7FC00000u | ((i & 0x3FF) << 13));
  }
}

TEST(Half, SpacingIsTheDistanceToTheNextHalf) {
  for (std::uint32_t i = 0; i < kHalfInfinity - 1; ++i) {
    const double value = defined_value(static_cast<half_t>(i)), next = defined_value(static_cast<half_t>(i + 1));
    ASSERT_EQ(half_ulp(value), next - value) << i;
    ASSERT_EQ(half_ulp(-value), next - value) << i;
    ASSERT_EQ(half_ulp(std::nextafter(next, 0.0)), next - value) << i;
  }
  EXPECT_EQ(half_ulp(1e30), 32.0);
  EXPECT_EQ(half_ulp(kInfinity), 32.0);
  EXPECT_TRUE(std::isnan(half_ulp(std::numeric_limits<double>::quiet_NaN())));
}

}  // namespace
}  // namespace aneval::ane
