#include "reports/gate/paired.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "common/random.h"

namespace aneval::gate {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;

const double kNone = std::numeric_limits<double>::quiet_NaN();

/// `count` processes of each build whose metrics lie around 10, with noise of `sd`; metric m of B is shifted.
Processes noisy(std::size_t count, std::size_t metrics, double sd, std::size_t m, double shift,
                std::uint64_t seed = 3) {
  Random random(seed);
  Processes processes;
  for (auto* side : {&processes.a, &processes.b})
    for (std::size_t i = 0; i < count; ++i) {
      side->emplace_back(metrics);
      for (std::size_t k = 0; k < metrics; ++k) side->back()[k] = 10 + sd * random.normal();
      if (side == &processes.b && m < metrics) side->back()[m] += shift;
    }
  return processes;
}

Metrics with_tolerance(std::size_t subjects, std::size_t controls, double tolerance) {
  Metrics metrics;
  for (std::size_t i = 0; i < subjects; ++i) metrics.subjects.push_back(i);
  for (std::size_t i = 0; i < controls; ++i) metrics.controls.push_back(subjects + i);
  metrics.tolerances.assign(subjects + controls, tolerance);
  return metrics;
}

TEST(CommonMode, IsWhatTheControlsOfAProcessShare) {
  Processes processes{.a = {{5, 1, 2, 3}, {5.5, 1.5, 2.5, 3.5}}, .b = {{6, 1, 2, 3}, {6.2, 1.2, 2.2, 3.2}}};
  EXPECT_TRUE(remove_common_mode(processes, {1, 2, 3}));
  // Medians of the controls over the four processes: 1.1, 2.1, 3.1.
  EXPECT_THAT(processes.a[0][0], DoubleNear(5.1, 1e-12));
  EXPECT_THAT(processes.a[1][0], DoubleNear(5.1, 1e-12));
  EXPECT_THAT(processes.b[0][0], DoubleNear(6.1, 1e-12));
  EXPECT_THAT(processes.b[1][0], DoubleNear(6.1, 1e-12));
}

TEST(CommonMode, OneControlThatWentWrongChangesNothing) {
  Processes processes{.a = {{5, 1, 2, 9}}, .b = {{5, 1, 2, 3}}};
  EXPECT_TRUE(remove_common_mode(processes, {1, 2, 3}));
  EXPECT_EQ(processes.a[0][0], 5);
}

TEST(CommonMode, NothingHappensWhenAProcessHasNoControl) {
  Processes processes{.a = {{5, 1}}, .b = {{6, kNone}}};
  EXPECT_FALSE(remove_common_mode(processes, {1}));
  EXPECT_EQ(processes.a[0][0], 5);
  EXPECT_FALSE(remove_common_mode(processes, {}));
}

TEST(ChangeOf, LeavesProcessesWithoutAValueOut) {
  RankSum ranks;
  const Processes processes{.a = {{1.0}, {kNone}, {1.2}}, .b = {{2.0}, {2.1}, {2.2}}};
  const auto change = change_of(processes, 0, ranks, {});
  ASSERT_TRUE(change);
  EXPECT_EQ(change->a, 2u);
  EXPECT_EQ(change->b, 3u);
  EXPECT_NEAR(change->p_slower, 0.1, 1e-12) << "one order of ten";
  EXPECT_FALSE(change_of(Processes{.a = {{kNone}}, .b = {{1.0}}}, 0, ranks, {}));
}

TEST(ChangeOf, TheSpreadIsThatOfANormalDistribution) {
  RankSum ranks;
  double sum = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Processes processes = noisy(15, 1, 0.02, 0, 0.5, seed);  // a shift between the sides is no spread
    sum += change_of(processes, 0, ranks, {})->spread / 40;
  }
  EXPECT_NEAR(sum, 0.02, 0.02 * 0.1);
}

TEST(FirstStage, EqualBuildsThatTieEverywhereRaiseNothing) {
  RankSum ranks;
  const Processes processes{.a = std::vector(6, std::vector<double>(30, 4.0)),
                            .b = std::vector(6, std::vector<double>(30, 4.0))};
  const FirstStage stage = first_stage(processes, with_tolerance(22, 8, 0.03), ranks, {});
  EXPECT_THAT(stage.suspects(), IsEmpty());
  EXPECT_EQ(stage.changes[0]->p_slower, 1);
  EXPECT_EQ(stage.changes[0]->shift.high, 0);
  EXPECT_FALSE(stage.suite_suspected);
}

TEST(FirstStage, SuspectsAreWhatMoves) {
  RankSum ranks;
  Processes processes = noisy(6, 30, 0.002, 4, 0.05);
  for (auto& process : processes.b) process[7] -= 0.05;
  const FirstStage stage = first_stage(processes, with_tolerance(22, 8, 0.03), ranks, {});
  EXPECT_THAT(stage.suspects(), ElementsAre(4, 7));
  EXPECT_TRUE(stage.slower[4]);
  EXPECT_TRUE(stage.faster[7]);
  EXPECT_FALSE(stage.faster[4]);
  EXPECT_NEAR(stage.changes[4]->shift.estimate, 0.05, 0.01);
  EXPECT_EQ(stage.changes[25], std::nullopt) << "controls are not judged";
}

TEST(SecondStage, ConfirmsOnFreshDataOnly) {
  RankSum ranks;
  const Metrics metrics = with_tolerance(22, 8, 0.03);
  const FirstStage first = first_stage(noisy(6, 30, 0.002, 4, 0.05), metrics, ranks, {});
  const Confirmed again = second_stage(noisy(15, 30, 0.002, 4, 0.05, 8), metrics, first, ranks, {});
  EXPECT_TRUE(again.slower[4]);
  EXPECT_FALSE(again.faster[4]);
  const Confirmed gone = second_stage(noisy(15, 30, 0.002, 99, 0, 8), metrics, first, ranks, {});
  EXPECT_THAT(gone.slower, testing::Each(false));
}

TEST(SecondStage, WhatIsSmallerThanTheToleranceIsNoRegression) {
  RankSum ranks;
  const Metrics metrics = with_tolerance(22, 8, 0.05);
  const FirstStage first = first_stage(noisy(6, 30, 0.001, 4, 0.04), metrics, ranks, {});
  ASSERT_TRUE(first.slower[4]);
  const Confirmed confirmed = second_stage(noisy(15, 30, 0.001, 4, 0.04), metrics, first, ranks, {});
  EXPECT_LT(confirmed.changes[4]->p_slower, 1e-6) << "significant, all the same";
  EXPECT_FALSE(confirmed.slower[4]);
}

TEST(Suite, AUniformSlowdownIsFoundWithControls) {
  RankSum ranks;
  Processes processes = noisy(6, 30, 0.004, 99, 0);
  for (auto& process : processes.b)
    for (std::size_t m = 0; m < 22; ++m) process[m] += 0.025;
  const Metrics metrics = with_tolerance(22, 8, 0.06);  // too little for every single metric
  const FirstStage first = first_stage(processes, metrics, ranks, {});
  EXPECT_TRUE(first.suite_suspected);
  EXPECT_EQ(first.suspects().size(), 22u) << "all are measured again";
  EXPECT_TRUE(first.slower[3] && first.faster[3]) << "whichever way each of them went";
  EXPECT_NEAR(first.suite->shift.estimate, 0.025, 0.005);
  Processes fresh = noisy(15, 30, 0.004, 99, 0, 12);
  for (auto& process : fresh.b)
    for (std::size_t m = 0; m < 22; ++m) process[m] += 0.025;
  const Confirmed confirmed = second_stage(fresh, metrics, first, ranks, {});
  EXPECT_TRUE(confirmed.suite_slower);
  EXPECT_FALSE(confirmed.suite_faster);
  EXPECT_THAT(confirmed.slower, testing::Each(false));
}

TEST(Suite, WithoutControlsTheMedianMasksItButTheSuiteTestFires) {
  RankSum ranks;
  Processes processes = noisy(6, 22, 0.004, 99, 0);
  for (auto& process : processes.b)
    for (double& x : process) x += 0.05;
  const FirstStage first = first_stage(processes, with_tolerance(22, 0, 0.03), ranks, {});
  EXPECT_FALSE(first.controlled);
  EXPECT_LT(std::fabs(first.changes[3]->shift.estimate), 0.01) << "the metric's own change is masked";
  EXPECT_TRUE(first.suite_suspected);
}

TEST(Suite, OneMetricIsNoSuite) {
  RankSum ranks;
  const FirstStage first = first_stage(noisy(6, 9, 0.001, 0, 0.05), with_tolerance(1, 8, 0.03), ranks, {});
  EXPECT_FALSE(first.suite);
  EXPECT_THAT(first.suspects(), ElementsAre(0));
}

TEST(SingleStage, FindsWithNineProcessesAndCannotWithEight) {
  RankSum ranks;
  const Metrics metrics = with_tolerance(200, 8, 0.03);
  EXPECT_TRUE(single_stage(noisy(9, 208, 0.002, 4, 0.05), metrics, ranks, {}).slower[4]);
  // 1/C(16, 8) = 7.8e-5 exceeds 0.01/200.
  EXPECT_FALSE(single_stage(noisy(8, 208, 0.002, 4, 0.05), metrics, ranks, {}).slower[4]);
}

TEST(DetectableChange, IsWhatSimulatedRunsFind) {
  RankSum ranks;
  const Thresholds t;
  const double sd = 0.02, tolerance = 0.03;
  const double change = detectable_change(sd, tolerance, 6, 15, 1, ranks, t);
  const Metrics metrics = with_tolerance(1, 0, tolerance);
  int found = 0;
  const int runs = 600;
  for (int run = 0; run < runs; ++run) {
    const auto seed = static_cast<std::uint64_t>(run);
    const FirstStage first = first_stage(noisy(6, 1, sd, 0, std::log1p(change), seed), metrics, ranks, t);
    if (!first.slower[0]) continue;
    found += second_stage(noisy(15, 1, sd, 0, std::log1p(change), seed + 10'000), metrics, first, ranks, t).slower[0];
  }
  // Both stages have 90 %, and their sizes are of the same order, so the run's power lies between 0.81 and 0.9;
  // standard error 0.015.
  EXPECT_GT(found, runs * (0.81 - 0.045));
  EXPECT_LT(found, runs * (0.93 + 0.045));
}

TEST(DetectableChange, IsInfiniteWhenNothingCanBeSignificant) {
  RankSum ranks;
  EXPECT_TRUE(std::isinf(detectable_change(0.001, 0.03, 8, 200, ranks, {}))) << "8 against 8, 200 metrics";
  EXPECT_TRUE(std::isfinite(detectable_change(0.001, 0.03, 9, 200, ranks, {})));
  EXPECT_TRUE(std::isinf(detectable_change(0.001, 0.03, 6, 3, 1, ranks, {}))) << "3 against 3 is 0.05 at best";
  EXPECT_GE(detectable_change(0, 0.03, 6, 15, 1, ranks, {}), 0.03 - 1e-12) << "never below the tolerance";
}

}  // namespace
}  // namespace aneval::gate
