// The scalar model against numbers measured on engines ("Apple-Neural-Engine-Microarchitecture-Study-M6",
// data/06_numerics, M4 and M6), and its decoding against every fp16 number.
#include "ane/emulator/fixed_point.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "ane/emulator/product_test_support.h"

namespace aneval::emulator::fixed_point {
namespace {

TEST(FixedPoint, DecodesEveryHalf) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const Operand operand = decode(engine_value(bits));
    const int exponent = static_cast<int>(bits >> 10 & 31U);
    const auto fraction = static_cast<std::int64_t>(bits & 1023U);
    const std::int64_t magnitude = exponent == 0 ? fraction : 1024 + fraction;
    ASSERT_EQ(operand.significand, bits >= 0x8000 ? -magnitude : magnitude) << bits;
    ASSERT_EQ(operand.exponent, std::max(exponent, 1) - 15) << bits;
  }
}

struct Measured {
  std::vector<float> x, y;
  float expected;
};

TEST(FixedPoint, ReproducesWhatWasMeasured) {
  const std::vector<Measured> rows = {
      // the limit
      {{16384, 16376}, {1, 1}, 32768},
      {{16384, 16384}, {1, 1}, kOverflowed},
      {{30000, 2768}, {1, 1}, kOverflowed},
      {{-32768}, {1}, -kOverflowed},
      // the grid and the products that are dropped
      {{0x1p-16F}, {1}, 0x1p-16F},
      {{0x1p-17F}, {1}, 0x1p-16F},
      {{0x1p-18F}, {1}, 0},
      {{0x1.8p-16F}, {1}, 0x1p-15F},
      {{0x1.8p-17F}, {1}, 0x1p-16F},
      {{0x1.8p-18F}, {1}, 0},
      {{1024, 0x1p-16F, -1024}, {1, 1, 1}, 0x1p-16F},
      {{1024, 0x1p-18F, -1024}, {1, 1, 1}, 0},
      // the rounding of results
      {{2048, 1}, {1, 1}, 2050},
      {{-2048, -1}, {1, 1}, -2050},
      {{2050, 1}, {1, 1}, 2052},
      {{1, 0x1p-11F, -0x1p-13F}, {1, 1, 1}, 1},
      {{-1, -0x1p-12F, -0x1p-13F}, {1, 1, 1}, -1},
  };
  for (const Measured& row : rows)
    EXPECT_EQ(dot(static_cast<std::int64_t>(row.x.size()), row.x.data(), 1, row.y.data(), 1), row.expected)
        << row.x.at(0);
}

TEST(FixedPoint, OverflowStaysWhateverFollows) {
  const std::vector<float> x = {30000, 30000, -30000, -30000, -30000}, ones(x.size(), 1.0F);
  EXPECT_EQ(dot(5, x.data(), 1, ones.data(), 1), kOverflowed);
  EXPECT_EQ(dot(5, x.data(), 1, ones.data(), 1, -30000.0F), -kOverflowed);  // 30000, 0, then down
}

TEST(FixedPoint, TheBiasComesFirstAndCounts) {
  const std::vector<float> x = {-131008, 1}, ones = {1, 1};
  EXPECT_EQ(dot(1, x.data() + 1, 1, ones.data(), 1, 32752.0F), 32752.0F);
  EXPECT_EQ(dot(2, x.data(), 1, ones.data(), 1, 65504.0F), kOverflowed);
  EXPECT_EQ(dot(1, x.data() + 1, 1, ones.data(), 1, 0x1p-17F), 1.0F);
  EXPECT_EQ(units(0x1.8p-17F), 1);
  EXPECT_EQ(units(-0x1p-17F), -1);
  EXPECT_EQ(units(0x1.FFCp-18F), 0);
}

TEST(FixedPoint, ZeroHasNoSign) {
  const std::vector<float> x = {-0.0F, -0x1p-20F}, ones = {1, 1};
  EXPECT_FALSE(std::signbit(dot(2, x.data(), 1, ones.data(), 1, -0.0F)));
}

}  // namespace
}  // namespace aneval::emulator::fixed_point
