// Rounding, decoding and encoding of fp16 values carried as floats, against definitions in double.
#include "ane/emulator/half_values.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "ane/every_target.h"
#include "common/random.h"

namespace aneval::emulator {
namespace {

constexpr HalfFormat kAway{Rounding::half_away, Specials::ordinary}, kEven{Rounding::nearest_even, Specials::ordinary};

/// Nearest by definition: a whole number of spacings, ties away from zero.
double away(double value) {
  const double magnitude = std::abs(value);
  const int exponent = magnitude == 0 ? -14 : std::max(-14, std::ilogb(magnitude));
  const double spacing = std::ldexp(1.0, exponent - 10);
  const double rounded = std::floor(magnitude / spacing + 0.5) * spacing;
  return rounded == 0 ? 0.0 : std::copysign(std::min(rounded, 65536.0), value);
}

std::vector<float> interesting() {
  std::vector<float> values = {
      0.0F,       -0.0F,        0x1p-25F,     -0x1p-25F, 0x1.fffffep-26F, 0x1p-24F,  0x1.8p-24F,
      0x1p-14F,   0x1.ffcp-15F, 0x1.ffep-15F, 2049.0F,   -4098.0F,        65504.0F,  65519.0F,
      65519.996F, 65520.0F,     1e9F,         131008.0F, -1e30F,          0x1p-149F, 3.0F};
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {  // every fp16 number, and what lies half a spacing beyond
    const float value = ane::to_float(static_cast<ane::half_t>(bits));
    if (!std::isfinite(value)) continue;
    const auto half = static_cast<float>(ane::half_ulp(static_cast<double>(value)) / 2);
    for (const float next :
         {value, value + half, std::nextafterf(value + half, 0), std::nextafterf(value + half, 1e9F)})
      values.push_back(next);
  }
  Random random(11);
  for (int i = 0; i < 100000; ++i) {
    const auto word = static_cast<std::uint32_t>(random.below(std::int64_t{1} << 32));
    if (const float value = std::bit_cast<float>(word); std::isfinite(value)) values.push_back(value);
  }
  return values;
}

TEST(HalfValues, TiesGoAwayFromZero) {
  on_every_target([] {
    std::vector<float> values = interesting(), got = values;
    round_to_half(kAway, got.data(), static_cast<std::int64_t>(got.size()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(static_cast<double>(got[i]), away(static_cast<double>(values[i]))) << values[i];
      ASSERT_FALSE(got[i] == 0 && std::signbit(got[i])) << "-0 from " << values[i];
    }
  });
}

TEST(HalfValues, TiesGoToEvenAsTheConversionOfBits) {
  on_every_target([] {
    std::vector<float> values = interesting(), got = values;
    round_to_half(kEven, got.data(), static_cast<std::int64_t>(got.size()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float expected = ane::to_float(ane::to_half(values[i]));
      ASSERT_EQ(got[i], std::isinf(expected) ? std::copysign(65536.0F, values[i]) : expected) << values[i];
      ASSERT_FALSE(got[i] == 0 && std::signbit(got[i])) << "-0 from " << values[i];
    }
    float infinity = 1e6F;
    round_to_half({Rounding::nearest_even, Specials::ieee}, &infinity, 1);
    EXPECT_TRUE(std::isinf(infinity));
  });
}

TEST(HalfValues, NaNsBecomeInfiniteWhereThereAreNone) {
  on_every_target([] {
    for (const HalfFormat format : {kAway, kEven}) {
      float value = NAN;
      round_to_half(format, &value, 1);
      EXPECT_EQ(std::abs(value), 65536.0F);
    }
  });
}

// 2^-25 + 2^-60 is above the tie between 0 and 2^-24; as the nearest float it is the tie.
TEST(HalfValues, DoublesAreRoundedOnce) {
  EXPECT_EQ(round_to_half(kEven, 0x1p-25), 0.0F);
  EXPECT_EQ(round_to_half(kEven, 0x1p-25 + 0x1p-60), 0x1p-24F);
  EXPECT_EQ(round_to_half(kAway, 0x1p-25), 0x1p-24F);
  EXPECT_EQ(round_to_half(kAway, 0x1p-25 - 0x1p-60), 0.0F);
  EXPECT_EQ(round_to_half(kAway, 2049 - 0x1p-40), 2048.0F);
  EXPECT_EQ(round_to_half(kAway, 2049), 2050.0F);
}

TEST(HalfValues, EveryBitPatternSurvivesDecodingAndEncoding) {
  on_every_target([] {
    for (const Specials specials : {Specials::ieee, Specials::ordinary}) {
      for (std::uint32_t word = 0; word < 65536; ++word) {
        const auto bits = static_cast<ane::half_t>(word);
        float value = 0;
        decode_halves(specials, &bits, &value, 1);
        ane::half_t back = 0;
        encode_halves(specials, &value, &back, 1);
        if (specials == Specials::ieee && std::isnan(value)) continue;  // quieted
        ASSERT_EQ(back, bits);
        if (specials == Specials::ordinary && (bits & 0x7C00) == 0x7C00)
          ASSERT_EQ(std::abs(value), 65536.0F * (1 + static_cast<float>(bits & 0x3FF) / 1024));
        else
          ASSERT_EQ(value, ane::to_float(bits));
      }
    }
  });
}

}  // namespace
}  // namespace aneval::emulator
