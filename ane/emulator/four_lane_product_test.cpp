// The adder against the published reductions of M1, and the vectorised product against the scalar model on every SIMD
// target, bit for bit.
#include "ane/emulator/four_lane_product.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "ane/emulator/four_lane.h"
#include "ane/emulator/product_test_support.h"
#include "ane/every_target.h"

namespace aneval::emulator {
namespace {

std::vector<float> repeated(const std::vector<float>& pattern, int times) {
  std::vector<float> values;
  for (int i = 0; i < times; ++i) values.insert(values.end(), pattern.begin(), pattern.end());
  return values;
}

/// Inputs and results as published for M1: see ane/emulator/four_lane.h.
TEST(FourLane, ReproducesThePublishedReductions) {
  const std::vector<float> ones(1025, 1.0F);
  const auto sum = [&](const std::vector<float>& x) {
    return four_lane::dot(static_cast<std::int64_t>(x.size()), x.data(), 1, ones.data(), 1);
  };
  EXPECT_EQ(sum(repeated({1024, -1024, 1}, 16)), 16.0F);
  EXPECT_EQ(sum(repeated({4096, -4096, 1}, 16)), 4.0F);
  std::vector<float> many = repeated({1}, 1025);
  many[0] = 4096;
  EXPECT_EQ(sum(many), 5116.0F);
}

TEST(FourLane, AddsInTwelveBits) {
  EXPECT_EQ(four_lane::add(4096, 1), 4096);          // 1 is below 2^(12-11)
  EXPECT_EQ(four_lane::add(4096, 3), 4098);          // cut to a multiple of 2
  EXPECT_EQ(four_lane::add(-3, 4096), 4094);         // toward zero
  EXPECT_EQ(four_lane::add(4094, 4), 4098);          // 4098 is even
  EXPECT_EQ(four_lane::add(4095, 4), 4098);          // 4099 cut at 2^(12-11)
  EXPECT_EQ(four_lane::add(0, 1 + 0x1p-20F), 1.0F);  // a sum, even with nothing, is cut
  EXPECT_EQ(four_lane::add(1 + 0x1p-20F, -1), 0x1p-20F);
  EXPECT_FALSE(std::signbit(four_lane::add(-0.0F, -0.0F)));
}

TEST(FourLane, SmallOperandsAreZeroAndLargeSumsInfinite) {
  const std::vector<float> x = {0x1.FFCp-15F, 32752, 16}, y = {2048, 1, 1};
  EXPECT_EQ(four_lane::dot(1, x.data(), 1, y.data(), 1), 0.0F);
  EXPECT_EQ(four_lane::dot(2, x.data(), 1, y.data(), 1), 32752.0F);
  EXPECT_EQ(four_lane::dot(3, x.data(), 1, y.data(), 1), 65536.0F);
  EXPECT_EQ(four_lane::dot(3, x.data(), 1, y.data(), 1, -1.0F), 32768.0F);  // rounded up, not infinite
  EXPECT_EQ(four_lane::dot(2, x.data(), 1, y.data(), 1, -65504.0F), -32752.0F);
  EXPECT_EQ(four_lane::dot(1, x.data() + 1, 1, y.data() + 1, 1, -65520.0F), -65536.0F);
  EXPECT_FALSE(std::signbit(four_lane::result(-0x1p-30F)));
}

struct Case {
  std::int64_t batches = 1, m = 1, k = 1, n = 1;
  Layout x = Layout::rows, y = Layout::rows;
  bool has_bias = false;
};

void expect_exact(const Case& c, const Operand& x, const Operand& y, const std::vector<float>& bias,
                  ThreadPool* three) {
  const auto x_view = x.constant(), y_view = y.constant();
  TensorView<const float> bias_view;
  bias_view.data = bias.data();
  bias_view.shape.push(c.m);
  bias_view.strides.push(1);
  std::vector<float> expected;
  for (std::int64_t b = 0; b < c.batches; ++b)
    for (std::int64_t i = 0; i < c.m; ++i)
      for (std::int64_t j = 0; j < c.n; ++j)
        expected.push_back(four_lane::dot(c.k, x_view.matrix(b) + i * x_view.strides[1], x_view.strides[2],
                                          y_view.matrix(b) + j * y_view.strides[2], y_view.strides[1],
                                          c.has_bias ? bias[static_cast<std::size_t>(i)] : 0.0F));
  on_every_target([&] {
    for (ThreadPool* pool : {static_cast<ThreadPool*>(nullptr), three}) {
      Operand out(c.batches, c.m, c.n);
      four_lane_product(x_view, y_view, c.has_bias ? &bias_view : nullptr, out.view(), pool);
      for (std::size_t i = 0; i < expected.size(); ++i)
        ASSERT_EQ(std::bit_cast<std::uint32_t>(out.values()[i]), std::bit_cast<std::uint32_t>(expected[i]))
            << "element " << i << ": " << out.values()[i] << " instead of " << expected[i] << " in " << c.batches
            << " x " << c.m << " x " << c.k << " x " << c.n;
    }
  });
}

TEST(FourLaneProduct, RandomMatricesOnEveryTarget) {
  ThreadPool three(3);
  constexpr std::uint64_t kCases = kSlowBuild ? 60 : 300;
  for (std::uint64_t seed = 0; seed < kCases; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Case c;
    c.batches = 1 + random.below(2);
    c.m = 1 + random.below(random.below(8) == 0 ? 150 : 12);
    c.n = 1 + random.below(random.below(3) == 0 ? 300 : 40);
    c.k = 1 + random.below(random.below(3) == 0 ? 500 : 12);
    c.x = kLayouts[random.below(std::size(kLayouts))];
    c.y = kLayouts[random.below(std::size(kLayouts))];
    c.has_bias = random.below(2) == 0;
    Operand x(c.batches, c.m, c.k, c.x), y(c.batches, c.k, c.n, c.y);
    std::vector<float> bias(static_cast<std::size_t>(c.m));
    const auto family = seed % 5;
    const auto exponent = [&](int from, int to) {  // any fraction or a short one: ties, and sums that cancel
      const auto field = static_cast<unsigned>(from + random.below(to - from + 1) + 15);
      const auto fraction = static_cast<unsigned>(random.below(2) == 0 ? random.below(1024) : random.below(4) << 8);
      return engine_value(static_cast<unsigned>(random.below(2)) << 15 | field << 10 | fraction);
    };
    const auto value = [&] {
      switch (family) {
        case 0:
          return engine_value(static_cast<unsigned>(random.below(65536)));
        case 1:
          return exponent(-1, 1);
        case 2:
          return exponent(-15, -12);  // around the smallest operand
        case 3:
          return exponent(-8, 7);  // sums around the limit
        default:
          return rounded_half(random.normal());
      }
    };
    for (float& v : x.values()) v = value();
    for (float& v : y.values()) v = value();
    for (float& v : bias) v = exponent(-15, 15);
    expect_exact(c, x, y, bias, &three);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace aneval::emulator
