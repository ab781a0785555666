// The statistical gates: their limits against known quantiles, what passes and what does not.
#include "validate/gates.h"

#include <gtest/gtest.h>

#include "common/random.h"

namespace aneval::validate {
namespace {

// χ²_n(1 − 1e-6)/n, times the slack: quantiles by numeric integration of the density.
TEST(SpreadLimit, IsTheQuantileOfChiSquareWithItsSlack) {
  const struct {
    double n, quantile, tolerance;
  } known[] = {{1, 23.928127, 0.08},
               {4, 33.376842, 0.03},
               {16, 58.324390, 0.008},
               {256, 378.287799, 3e-4},
               {10000, 10686.689830, 1e-5}};
  for (const auto& [n, quantile, tolerance] : known) {
    const double exact = kModelSlack * std::sqrt(quantile / n);
    EXPECT_GE(spread_limit(n), exact);
    EXPECT_LE(spread_limit(n), exact * (1 + tolerance)) << n;
  }
}

TEST(DeviationLimit, GrowsWithTheLogarithmOfTheElements) {
  EXPECT_NEAR(deviation_limit(1), std::sqrt(2 * std::log(2e6)), 1e-12);
  EXPECT_NEAR(deviation_limit(1'000'000), std::sqrt(2 * std::log(2e12)), 1e-12);
}

struct Block {
  std::vector<float> device;
  std::vector<double> reference;
  std::vector<Shadow> shadow;

  SpreadJudgement judge() const { return judge_spread(device, reference, shadow, 1e-12, 1e-12); }
};

/// Errors that are what the shadows say: normal, with a bias of 3σ.
Block block(std::size_t n, double sigma = 0.01) {
  Random random(5, "block");
  Block b;
  for (std::size_t i = 0; i < n; ++i) {
    Shadow s;
    s.value = random.normal();
    s.bound = 1;
    s.bias = static_cast<float>(3 * sigma);
    s.variance = static_cast<float>(sigma * sigma);
    b.reference.push_back(s.value);
    b.device.push_back(static_cast<float>(s.centre() + sigma * random.normal()));
    b.shadow.push_back(s);
  }
  return b;
}

TEST(SpreadGates, PassErrorsThatAreAsTheShadowsSay) {
  const SpreadJudgement j = block(1000).judge();
  EXPECT_TRUE(j.holds());
  EXPECT_NEAR(j.rms, 1, 0.1);
  EXPECT_EQ(j.elements, 1000);
  EXPECT_NEAR(j.predicted_error, 0.01 * std::sqrt(10), 1e-6);
}

TEST(SpreadGates, FindOneElementThatDeviates) {
  Block b = block(1000);
  b.device[77] += 0.1F;
  const SpreadJudgement j = b.judge();
  EXPECT_EQ(j.violations, 1);
  EXPECT_EQ(j.worst, 77U);
  EXPECT_LE(j.rms, j.rms_limit);
}

TEST(SpreadGates, FindABlockWhoseBiasIsMissing) {
  Block b = block(1000);
  for (Shadow& s : b.shadow) s.bias = 0;
  const SpreadJudgement j = b.judge();
  EXPECT_EQ(j.violations, 0);
  EXPECT_GT(j.rms, j.rms_limit);
  EXPECT_FALSE(j.holds());
}

TEST(SpreadGates, DemandEqualityWhereTheValueIsKnown) {
  Block b = block(10);
  b.shadow[3].variance = 0;
  b.shadow[3].bias = 0.25F;
  b.device[3] = static_cast<float>(b.reference[3] = 1.0) + 0.25F;
  EXPECT_EQ(b.judge().violations, 0);
  EXPECT_EQ(b.judge().known, 1);
  b.device[3] = 1.2499F;
  EXPECT_EQ(b.judge().violations, 1);
  EXPECT_EQ(b.judge().worst, 3U);
}

TEST(SpreadGates, NanNeverPasses) {
  for (const bool known : {false, true}) {
    Block b = block(10);
    if (known) b.shadow[4].variance = 0;
    b.device[4] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(b.judge().holds());
    EXPECT_EQ(b.judge().worst, 4U);
  }
}

TEST(SpreadGates, LeaveWhatMayOverflowAndWhatHasNoSpreadToTheBounds) {
  Block b = block(10);
  b.shadow[1].plus_infinity = true;
  b.shadow[2].variance = std::numeric_limits<float>::infinity();
  b.shadow[3].variance = std::numeric_limits<float>::quiet_NaN();
  for (const std::size_t i : {1U, 2U, 3U}) b.device[i] += 100;
  EXPECT_TRUE(b.judge().holds());
  EXPECT_EQ(b.judge().elements, 7);
}

TEST(IndependentErrors, AreAsManyAsElementsUnlessTheyShareARow) {
  std::vector<Shadow> shadow = block(100).shadow;
  EXPECT_NEAR(independent_errors(shadow), 100, 1e-9);
  for (std::size_t i = 0; i < shadow.size(); ++i) {
    shadow[i].variance = 0;
    shadow[i].shared[0] = {i % 2 == 0 ? 0.5F : -0.5F, static_cast<std::uint32_t>(i / 25 + 1)};
  }
  EXPECT_NEAR(independent_errors(shadow), 4, 1e-9);
}

// Behind two rows an element's error is a point of a plane: of 25 that all have other directions there, two are
// independent. Were the directions' signs left out, it would be fewer.
TEST(IndependentErrors, OfTwoRowsAreTwo) {
  constexpr double kPi = 3.14159265358979;
  std::vector<Shadow> shadow = block(100).shadow;
  for (std::size_t i = 0; i < shadow.size(); ++i) {
    const double angle = static_cast<double>(i % 25) * kPi / 25;
    const auto row = static_cast<std::uint32_t>(2 * (i / 25) + 1);
    shadow[i].variance = 0;
    shadow[i].shared = {{{static_cast<float>(std::cos(angle)), row}, {static_cast<float>(std::sin(angle)), row + 1}}};
  }
  EXPECT_NEAR(independent_errors(shadow), 8, 1e-6);
}

}  // namespace
}  // namespace aneval::validate
