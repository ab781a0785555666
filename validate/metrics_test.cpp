// Metrics against values worked out by hand.
#include "validate/metrics.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace aneval::validate {
namespace {

TEST(Metrics, AreThoseOfTheirDefinitions) {
  const std::array<float, 4> got = {1.0F, 2.5F, -3.0F, 0.0F};
  const std::array<double, 4> ref = {1.0, 2.0, -4.0, 0.0};
  const Metrics m = compute_metrics(got, ref);
  EXPECT_DOUBLE_EQ(m.max_abs, 1.0);
  EXPECT_DOUBLE_EQ(m.rms, std::sqrt(1.25 / 4));
  EXPECT_DOUBLE_EQ(m.nmse, 1.25 / 21);
  EXPECT_DOUBLE_EQ(m.snr_db, -10 * std::log10(1.25 / 21));
  EXPECT_DOUBLE_EQ(m.cosine, 18.0 / std::sqrt(16.25 * 21));
  // fp16 spacings: 2^-10 at 1, 2^-9 at 2, 2^-8 at 4, 2^-24 at 0.
  EXPECT_DOUBLE_EQ(m.max_ulp, 256.0);
  EXPECT_DOUBLE_EQ(m.p99_ulp, 256.0);
}

TEST(Metrics, NonFiniteElementsAreCountedAndLeftOut) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const std::array<float, 4> got = {nan, inf, -inf, 1.5F};
  const std::array<double, 4> ref = {0, 0, 0, 1};
  const Metrics m = compute_metrics(got, ref);
  EXPECT_EQ(m.nan_count, 1);
  EXPECT_EQ(m.inf_count, 2);
  EXPECT_DOUBLE_EQ(m.max_abs, 0.5);
}

TEST(Metrics, AnExactBlockHasNoFiniteSignalToNoiseRatio) {
  const std::array<float, 2> got = {1, 2};
  const std::array<double, 2> ref = {1, 2};
  const Metrics m = compute_metrics(got, ref);
  EXPECT_DOUBLE_EQ(m.cosine, 1);
  for (const MetricValue& value : metric_values(m)) {
    EXPECT_TRUE(std::isfinite(value.value)) << value.metric;
    EXPECT_NE(value.metric, "snr_db");
  }
}

TEST(Metrics, PercentileIsTheNearestRank) {
  std::vector<float> got(200, 1.0F);
  const std::vector<double> ref(200, 1.0);
  got[0] = 1 + 10 * 0x1p-10F;
  got[1] = 1 + 5 * 0x1p-10F;
  got[2] = 1 + 3 * 0x1p-10F;
  const Metrics m = compute_metrics(got, ref);
  EXPECT_DOUBLE_EQ(m.max_ulp, 10);
  EXPECT_DOUBLE_EQ(m.p99_ulp, 3);  // 198 of 200 elements are at or below it
}

TEST(Metrics, CountsWhatVanishedAndSaysWhatIsLost) {
  // Zero where fp16 holds something (2^-24), where it does not (2^-25), and where zero is right.
  const std::vector<float> got = {0, 0, 0, 1, 1, 1, 1, 1};
  const std::vector<double> reference = {0x1p-24, 0x1p-25, 0, 1, 1, 1, 1, 1};
  const Metrics m = compute_metrics(got, reference);
  EXPECT_DOUBLE_EQ(m.underflow_fraction, 1.0 / 8);
  EXPECT_DOUBLE_EQ(m.zero_fraction, 2.0 / 7);
  EXPECT_NE(mostly_lost(m), "");
  EXPECT_EQ(mostly_lost(compute_metrics(std::vector<float>{1, 1.09F}, std::vector<double>{1, 1})), "");
  EXPECT_NE(mostly_lost(compute_metrics(std::vector<float>{1, 1.15F}, std::vector<double>{1, 1})), "");
}

}  // namespace
}  // namespace aneval::validate
