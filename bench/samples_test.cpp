#include "bench/samples.h"

#include <gmock/gmock.h>

#include <numeric>

namespace aneval::bench {
namespace {

TEST(Samples, ShortSeriesAreKeptWhole) { EXPECT_THAT(samples_of({.ns = {3, 1, 2}}), testing::ElementsAre(3, 1, 2)); }

TEST(Samples, LongSeriesBecomeMeansOfConsecutiveIterations) {
  Series series;
  series.ns.resize(64);
  std::iota(series.ns.begin(), series.ns.end(), 0.0);
  const auto samples = samples_of(series);
  ASSERT_EQ(samples.size(), kSamplesPerSeries);
  EXPECT_EQ(samples.front(), 0.5);
  EXPECT_EQ(samples.back(), 62.5);
}

TEST(Samples, EveryIterationCountsOnce) {
  // 1000 iterations in 32 groups of 31 or 32: weighted by their sizes, the samples give the mean back.
  Series series;
  series.ns.resize(1000);
  for (std::size_t i = 0; i < series.ns.size(); ++i) series.ns[i] = static_cast<double>(i * i % 97);
  const auto samples = samples_of(series);
  ASSERT_EQ(samples.size(), kSamplesPerSeries);
  double sum = 0;
  for (std::size_t g = 0; g < samples.size(); ++g)
    sum += samples[g] * static_cast<double>((g + 1) * 1000 / 32 - g * 1000 / 32);
  EXPECT_NEAR(sum, std::accumulate(series.ns.begin(), series.ns.end(), 0.0), 1e-9);
}

Stability after(const std::vector<double>& times) {
  Stability stability;
  for (const double ns : times) stability.add(ns);
  return stability;
}

TEST(Stability, NeedsThreeMediansOfThree) {
  EXPECT_FALSE(after({100, 100, 100, 100}).reached());
  EXPECT_TRUE(after({100, 100, 100, 100, 100}).reached());
}

TEST(Stability, ASingleOutlierDoesNotDelayIt) { EXPECT_TRUE(after({100, 900, 101, 100, 100}).reached()); }

TEST(Stability, TwoOutliersInThreeDo) { EXPECT_FALSE(after({100, 900, 900, 100, 100}).reached()); }

TEST(Stability, ADriftIsNotStable) {
  // 2 % from the first to the third median is the limit.
  EXPECT_FALSE(after({103, 102, 101, 100, 99, 98, 97}).reached() && after({110, 108, 106, 104, 102}).reached());
  EXPECT_FALSE(after({110, 108, 106, 104, 102}).reached());
  EXPECT_TRUE(after({100.8, 100.6, 100.4, 100.2, 100}).reached());
}

TEST(Stability, OnlyTheLastTimesCount) { EXPECT_TRUE(after({900, 500, 200, 100, 100, 100, 100, 100}).reached()); }

}  // namespace
}  // namespace aneval::bench
