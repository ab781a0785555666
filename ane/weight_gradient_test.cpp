// dw += dout · actᵀ against sums in double, for sizes around every blocking; threads must not change a bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <vector>

#include "ane/cpu_ops.h"
#include "ane/every_target.h"

namespace aneval::ane {
namespace {

constexpr double kRoundoff = 0x1p-24;  // of fp32

std::vector<float> random_floats(std::int64_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = static_cast<float>(static_cast<std::int32_t>(generator())) * 0x1p-30F;
  return values;
}

struct Sizes {
  std::int64_t out, in, seq;
};

void expect_gradient(const Sizes& sizes) {
  const auto [out, in, seq] = sizes;
  const std::vector<float> dout = random_floats(out * seq, 1), act = random_floats(in * seq, 2),
                           before = random_floats(out * in, 3);
  constexpr std::size_t kGuard = 512;  // more than the rows of a register block can reach beyond the last
  std::vector<float> dw = before;
  dw.resize(before.size() + kGuard, 77.0F);
  accumulate_weight_gradient(dout, act, out, in, seq, std::span(dw).first(before.size()));
  ASSERT_EQ(std::count(dw.begin() + out * in, dw.end(), 77.0F), static_cast<std::int64_t>(kGuard));
  for (std::int64_t o = 0; o < out; ++o)
    for (std::int64_t i = 0; i < in; ++i) {
      const auto index = static_cast<std::size_t>(o * in + i);
      double sum = static_cast<double>(before[index]), magnitude = std::fabs(sum);
      for (std::int64_t s = 0; s < seq; ++s) {
        const double product = static_cast<double>(dout[static_cast<std::size_t>(o * seq + s)]) *
                               static_cast<double>(act[static_cast<std::size_t>(i * seq + s)]);
        sum += product;
        magnitude += std::fabs(product);
      }
      // Each term passes a product's rounding, at most 256 additions of its block and one per block (Higham 2002, 3.1).
      const auto roundings = static_cast<double>(1 + std::min<std::int64_t>(seq, 256) + (seq + 255) / 256);
      ASSERT_LE(std::fabs(static_cast<double>(dw[index]) - sum), 1.01 * roundings * kRoundoff * magnitude)
          << out << " x " << in << " x " << seq << " at " << o << ", " << i;
    }
}

TEST(WeightGradient, SizesAroundEveryBlock) {
  on_every_target([] {
    for (const std::int64_t out : {1, 3, 4, 5, 9})
      for (const std::int64_t in : {1, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 130})
        for (const std::int64_t seq : {1, 2, 255, 256, 257, 600}) {
          expect_gradient({out, in, seq});
          if (testing::Test::HasFatalFailure()) return;
        }
  });
}

TEST(WeightGradient, BitsDependOnWhetherATargetFusesAndOnNothingElse) {
  const Sizes sizes = {9, 130, 600};
  const std::vector<float> dout = random_floats(sizes.out * sizes.seq, 1), act = random_floats(sizes.in * sizes.seq, 2);
  // Of x·y − float(x·y) a target that fuses leaves what was rounded away.
  const float x = 1.1F, y = 1.3F, product = x * y;
  const std::vector<float> one_and_x = {1, x}, minus_product_and_y = {-product, y};
  std::map<bool, std::set<std::vector<float>>> results;  // one target in a native build, all of them in a portable one
  on_every_target([&] {
    std::vector<float> rest(1, 0.0F), dw(static_cast<std::size_t>(sizes.out * sizes.in), 0.0F);
    accumulate_weight_gradient(one_and_x, minus_product_and_y, 1, 1, 2, rest);
    accumulate_weight_gradient(dout, act, sizes.out, sizes.in, sizes.seq, dw);
    results[rest[0] != 0].insert(dw);
  });
  for (const auto& [fuses, bits] : results) EXPECT_EQ(bits.size(), 1U) << "fuses: " << fuses;
}

TEST(WeightGradient, AccumulatesExactWholeNumbers) {
  // 2 x 3 times 3 tokens, by hand.
  const std::vector<float> dout = {1, 2, 3, -1, 0, 4}, act = {1, 1, 1, 2, 0, -2, 0, 5, 0};
  std::vector<float> dw = {10, 20, 30, 40, 50, 60};
  accumulate_weight_gradient(dout, act, 2, 3, 3, dw);
  EXPECT_EQ(dw, (std::vector<float>{10 + 6, 20 - 4, 30 + 10, 40 + 3, 50 - 10, 60 + 0}));
}

TEST(WeightGradient, ThreadsDoNotChangeABit) {
  const std::int64_t out = 37, in = 333, seq = 300;
  const std::vector<float> dout = random_floats(out * seq, 4), act = random_floats(in * seq, 5);
  std::vector<float> alone(static_cast<std::size_t>(out * in), 0.25F), together = alone;
  accumulate_weight_gradient(dout, act, out, in, seq, alone);
  ThreadPool pool(3);
  accumulate_weight_gradient(dout, act, out, in, seq, together, &pool);
  EXPECT_EQ(alone, together);
}

TEST(WeightGradient, WrongSizesAreMistakesOfTheCaller) {
  std::vector<float> six(6), four(4);
  EXPECT_THROW(accumulate_weight_gradient(six, six, 2, 2, 3, six), std::logic_error);
  EXPECT_THROW(accumulate_weight_gradient(six, four, 2, 2, 3, four), std::logic_error);
  EXPECT_THROW(accumulate_weight_gradient(four, six, 2, 2, 3, four), std::logic_error);
}

}  // namespace
}  // namespace aneval::ane
