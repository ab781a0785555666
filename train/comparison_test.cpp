#include "train/comparison.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "common/random.h"

namespace aneval::train {
namespace {

using testing::HasSubstr;

/// A falling curve with noise of the given size.
std::vector<double> curve(std::int64_t steps, std::uint64_t seed, double noise, double offset = 0) {
  Random random(seed);
  std::vector<double> losses;
  for (std::int64_t i = 0; i < steps; ++i)
    losses.push_back(2 + 3 * std::exp(-static_cast<double>(i) / 30) + noise * random.normal() + offset);
  return losses;
}

std::vector<std::vector<double>> controls(std::int64_t steps) {
  std::vector<std::vector<double>> all;
  for (std::uint64_t seed = 1; seed <= kControls; ++seed) all.push_back(curve(steps, seed, 0.01));
  return all;
}

TEST(Controls, AFurtherOneOfThemIsWithin) {
  const BandResult result = compare_with_controls(curve(200, 11, 0.01), controls(200));
  EXPECT_EQ(result.verdict, Verdict::within) << result.text();
  // The mean of 20 draws of 0.01.
  EXPECT_NEAR(result.control_sd, 0.01 / std::sqrt(20), 0.01 / std::sqrt(20));
  EXPECT_THAT(result.text(), HasSubstr("trains as fp32"));
}

TEST(Controls, AnOffsetOfFiftyTimesTheirSpreadDiffers) {
  auto losses = curve(200, 11, 0.01);
  for (std::size_t i = 100; i < losses.size(); ++i) losses[i] += 0.1;
  const BandResult result = compare_with_controls(losses, controls(200));
  EXPECT_EQ(result.verdict, Verdict::differs);
  EXPECT_GT(result.deviation, 10);
  ASSERT_TRUE(result.first_exit.has_value());
  EXPECT_LE(*result.first_exit, 109);
  EXPECT_THAT(result.text(), HasSubstr("does not train as fp32"));
}

TEST(Controls, NanIsAsFarAsCanBe) {
  auto losses = controls(40)[0];  // one of them never leaves their band
  losses[30] = std::numeric_limits<double>::quiet_NaN();
  const BandResult result = compare_with_controls(losses, controls(40));
  EXPECT_EQ(result.verdict, Verdict::differs);
  EXPECT_EQ(result.first_exit, 30);
}

TEST(Controls, FewStepsGiveNoVerdict) {
  const BandResult result = compare_with_controls(curve(19, 11, 0.01), controls(19));
  EXPECT_EQ(result.verdict, Verdict::too_short);
  EXPECT_THAT(result.text(), HasSubstr("fewer than 20 steps"));
  EXPECT_THROW(compare_with_controls(curve(19, 1, 0), {curve(19, 2, 0)}), std::logic_error);
  EXPECT_THROW(compare_with_controls(curve(19, 1, 0), controls(18)), std::logic_error);
}

TEST(Gradients, ErrorsByTensor) {
  Parameters reference;
  reference.globals["embedding"] = Tensor({2, 2});
  reference.globals["embedding"].data = {3, 0, 0, 4};
  reference.layers.emplace_back()["wq"] = Tensor({1, 2});
  reference.layers[0]["wq"].data = {1, 0x1p-25F};
  Parameters got = reference;
  got.globals["embedding"].data = {3, 0, 0, 0};
  got.layers[0]["wq"].data = {1, 0};
  const auto errors = compare_gradients(got, reference);
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0].name, "embedding");
  EXPECT_DOUBLE_EQ(errors[0].cosine, 0.6);
  EXPECT_DOUBLE_EQ(errors[0].relative, 0.8);
  EXPECT_EQ(errors[0].underflow_fraction, 0.25);
  EXPECT_EQ(errors[1].name, "layers.0.wq");
  EXPECT_EQ(errors[1].underflow_fraction, 0) << "fp16 could not hold it";
  EXPECT_DOUBLE_EQ(errors[1].relative, 0x1p-25);
}

}  // namespace
}  // namespace aneval::train
