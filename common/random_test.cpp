// Golden values come from an implementation of the same definitions in Python. Statistical limits are z standard
// errors with z = 5: a sound generator exceeds one with probability 6e-7, and the seeds are fixed.
#include "common/random.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace aneval {
namespace {

constexpr double kLimit = 5;
constexpr std::int64_t kDraws = 1'000'000;

double standard_error(double variance) { return std::sqrt(variance / static_cast<double>(kDraws)); }

TEST(Random, BitsAreGolden) {
  Random random(42);
  for (const std::uint64_t expected :
       {0x15780b2e0c2ec716u, 0x6104d9866d113a7eu, 0xae17533239e499a1u, 0xecb8ad4703b360a1u})
    EXPECT_EQ(random.bits(), expected);
}

TEST(Random, UniformNormalAndLogAreGolden) {
  Random uniform(42), normal(42);
  for (const double expected : {0x1.5780b2e0c2ec0p-4, 0x1.84136619b444ep-2}) EXPECT_EQ(uniform.uniform(), expected);
  for (const double expected :
       {-0x1.73d2feb0fb377p-1, -0x1.b088028693f9cp-3, 0x1.c5e21f7812a4ep-3, 0x1.0ba8bb0c5fa51p-1})
    EXPECT_EQ(normal.normal(), expected);
  EXPECT_EQ(portable_log(0.1), -0x1.26bb1bbb55515p+1);
  EXPECT_EQ(portable_log(3.0), 0x1.193ea7aad030bp+0);
  EXPECT_EQ(portable_log(1e300), 0x1.5963447f87fb5p+9);
  EXPECT_EQ(portable_log(5e-324), -0x1.74385446d71c3p+9);
}

// 7u of ours (random.h) and at most 1 ulp = 2u of libm's, u = 2^-53.
TEST(Random, LogIsAccurate) {
  constexpr double kBound = 9 * 0x1p-53;
  Random random(1);
  double worst = 0;
  const auto check = [&](double x) {
    const double expected = std::log(x);
    worst = std::max(worst, std::abs(portable_log(x) - expected) / std::abs(expected));
  };
  for (int i = 0; i < 300'000; ++i) {
    const double uniform = random.uniform();
    check(uniform + 0x1p-54);                                                     // what normal() asks for
    check(1 + (uniform - 0.5) * std::ldexp(1.0, -static_cast<int>(i % 50) - 1));  // the zero at 1
    check(std::ldexp(1 + uniform, static_cast<int>(random.below(2000)) - 1000));
  }
  EXPECT_LE(worst, kBound);
  EXPECT_EQ(portable_log(1.0), 0.0);
  EXPECT_NEAR(portable_log(std::numeric_limits<double>::denorm_min()), -744.4400719213812, 1e-12);
}

TEST(Random, UniformMoments) {
  Random random(2);
  double sum = 0, square = 0, lowest = 1, highest = 0;
  for (std::int64_t i = 0; i < kDraws; ++i) {
    const double x = random.uniform();
    sum += x, square += x * x;
    lowest = std::min(lowest, x), highest = std::max(highest, x);
  }
  const double n = static_cast<double>(kDraws);
  EXPECT_NEAR(sum / n, 0.5, kLimit * standard_error(1.0 / 12));
  EXPECT_NEAR(square / n, 1.0 / 3, kLimit * standard_error(1.0 / 5 - 1.0 / 9));
  EXPECT_GE(lowest, 0);
  EXPECT_LT(highest, 1);
}

TEST(Random, NormalMomentsAndDistribution) {
  Random random(3);
  std::vector<double> values(kDraws);
  double moments[5] = {};
  for (double& x : values) {
    x = random.normal();
    for (int power = 1; power <= 4; ++power) moments[power] += std::pow(x, power) / static_cast<double>(kDraws);
  }
  // Variances of x, x², x³, x⁴ for a standard normal x.
  EXPECT_NEAR(moments[1], 0, kLimit * standard_error(1));
  EXPECT_NEAR(moments[2], 1, kLimit * standard_error(2));
  EXPECT_NEAR(moments[3], 0, kLimit * standard_error(15));
  EXPECT_NEAR(moments[4], 3, kLimit * standard_error(96));

  // Dvoretzky-Kiefer-Wolfowitz: P(sup |F_n - F| > e) <= 2 exp(-2 n e²), here 1e-6.
  std::sort(values.begin(), values.end());
  const double n = static_cast<double>(kDraws), limit = std::sqrt(std::log(2 / 1e-6) / (2 * n));
  double distance = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    distance =
        std::max(distance, std::abs((static_cast<double>(i) + 0.5) / n - 0.5 * std::erfc(-values[i] / std::sqrt(2.0))));
  EXPECT_LT(distance, limit);
}

TEST(Random, BelowIsUnbiased) {
  Random random(4);
  std::vector<std::int64_t> counts(7);
  for (std::int64_t i = 0; i < kDraws; ++i) ++counts.at(static_cast<std::size_t>(random.below(7)));
  for (const std::int64_t count : counts)
    EXPECT_NEAR(static_cast<double>(count) / static_cast<double>(kDraws), 1.0 / 7, kLimit * standard_error(6.0 / 49));
  // Reducing 64 bits to 3·2^61 values without rejection would draw the lower 2^62 of them with probability 3/4.
  constexpr std::int64_t kThird = std::int64_t{1} << 61;
  std::int64_t low = 0;
  for (std::int64_t i = 0; i < kDraws; ++i) low += random.below(3 * kThird) < 2 * kThird;
  EXPECT_NEAR(static_cast<double>(low) / static_cast<double>(kDraws), 2.0 / 3, kLimit * standard_error(2.0 / 9));
  EXPECT_EQ(random.below(1), 0);
  EXPECT_THROW(random.below(0), std::invalid_argument);
}

TEST(Random, StreamsAreReproducibleAndIndependent) {
  Random wq(7, "wq"), wq_again(7, "wq"), wk(7, "wk"), other_seed(8, "wq");
  double with_other_name = 0, with_other_seed = 0;
  for (std::int64_t i = 0; i < kDraws; ++i) {
    const double x = wq.normal();
    ASSERT_EQ(x, wq_again.normal());
    with_other_name += x * wk.normal() / static_cast<double>(kDraws);
    with_other_seed += x * other_seed.normal() / static_cast<double>(kDraws);
  }
  EXPECT_NEAR(with_other_name, 0, kLimit * standard_error(1));
  EXPECT_NEAR(with_other_seed, 0, kLimit * standard_error(1));
  EXPECT_NE(Random(7, "wq").bits(), Random(7).bits());
}

TEST(Random, FillNormalScalesTheSameNumbers) {
  std::vector<float> values(1000);
  Random(5).fill_normal(values, 0.02, 1.5);
  Random random(5);
  for (const float value : values) EXPECT_EQ(value, static_cast<float>(1.5 + 0.02 * random.normal()));
}

}  // namespace
}  // namespace aneval
