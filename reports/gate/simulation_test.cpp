// What the gate's decisions are worth, shown on simulated runs with fixed seeds; and that the tests notice when one of
// its rules is broken. gate_simulation runs more of the same and prints the table of docs/gate.md.
#include "reports/gate/simulation.h"

#include <gmock/gmock.h>

#include <cmath>

namespace aneval::gate {

/// For GoogleTest's messages.
void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

namespace {

constexpr std::size_t kMetrics = 200, kChanged = 3;

/// Of 1500 runs up to eight may raise an alarm with a 95 % upper bound below 1 % (0.96 %).
constexpr std::size_t kRuns = 1500;

/// Runs with three changed metrics each. A power that is p in truth is measured as less than p - 3 sqrt(p (1-p) / 300)
/// once in 700 times; seeds are fixed, so the test is right or wrong for good.
constexpr std::size_t kPowerRuns = 100;
double least(double wanted) { return wanted - 3 * std::sqrt(wanted * (1 - wanted) / (kPowerRuns * kChanged)); }

class EveryNoise : public testing::TestWithParam<Scenario> {};
INSTANTIATE_TEST_SUITE_P(Gate, EveryNoise, testing::ValuesIn(scenarios()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(EveryNoise, AlarmsInFewerThanOneOfAHundredUnchangedRuns) {
  RankSum ranks;
  const Rates rates = simulate(GetParam(), {}, {}, kRuns, 11, ranks);
  EXPECT_LE(upper_bound(rates.runs_with_false_alarm, rates.runs), 0.01)
      << rates.runs_with_false_alarm << " of " << rates.runs;
}

struct Power {
  std::string_view scenario;
  double slowdown, wanted;
};
class Finds : public testing::TestWithParam<Power> {};
INSTANTIATE_TEST_SUITE_P(Gate, Finds,
                         testing::Values(Power{"quiet", .05, .95}, Power{"heavy", .05, .95}, Power{"drift", .05, .95},
                                         Power{"ane_large", .05, .95}, Power{"bimodal", .10, .95},
                                         Power{"noisy", .10, .60}, Power{"ane_small", .20, .55},
                                         Power{"uneven", .10, .90}),
                         [](const auto& test) { return std::string(test.param.scenario); });

TEST_P(Finds, WhatGotSlower) {
  RankSum ranks;
  const auto& [scenario, slowdown, wanted] = GetParam();
  const Rates rates = simulate(find_scenario(scenario), {}, {kChanged, slowdown}, kPowerRuns, 12, ranks);
  EXPECT_GE(rates.power(), least(wanted));
}

TEST(Simulation, AUniformSlowdownIsConfirmedForTheSuite) {
  RankSum ranks;
  for (const char* name : {"quiet", "heavy", "bimodal", "drift", "ane_large"}) {
    const Rates rates = simulate(find_scenario(name), {}, {kMetrics, 0.05}, 20, 13, ranks);
    EXPECT_GE(rates.suite_alarms, 17u) << name << ": wanted .95 of 20, less three standard deviations";
  }
}

TEST(Simulation, OneStageOfNineBlocksFindsTenPercent) {
  RankSum ranks;
  const Rates rates = simulate_single(find_scenario("quiet"), {}, {kChanged, 0.10}, 9, kPowerRuns, 14, ranks);
  EXPECT_GE(rates.power(), least(0.95));
}

// Mutations: with a rule of the gate broken, the checks above do not hold.

TEST(Mutation, RepetitionsTakenForProcessesRaiseAlarms) {
  RankSum ranks;
  const Rates rates = simulate(find_scenario("noisy"), {.raw_samples = true}, {}, 100, 11, ranks);
  EXPECT_GT(rates.runs_with_false_alarm, 5u) << "of 100, where 1500 may have eight";
}

TEST(Mutation, OneBuildAfterTheOtherRaisesAlarms) {
  RankSum ranks;
  const Rates rates = simulate(find_scenario("uneven"), {.sequential = true}, {}, 100, 11, ranks);
  EXPECT_GT(rates.runs_with_false_alarm, 5u);
}

TEST(Mutation, WithoutControlsDriftHidesRegressions) {
  RankSum ranks;
  const Rates rates =
      simulate(find_scenario("drift"), {.keep_common_mode = true}, {kChanged, 0.05}, kPowerRuns, 12, ranks);
  EXPECT_LT(rates.power(), 0.5);
}

/// What libraries use for samples that are not tiny.
class NormalApproximation : public RankSum {
 public:
  double upper_tail(std::size_t n, std::size_t m, std::size_t u) override {
    const double pairs = static_cast<double>(n * m);
    const double sd = std::sqrt(pairs * static_cast<double>(n + m + 1) / 12);
    return std::erfc((static_cast<double>(u) - 0.5 - pairs / 2) / sd / std::sqrt(2.0)) / 2;
  }
};

TEST(Mutation, TheNormalApproximationFindsNothing) {
  NormalApproximation ranks;
  const Rates rates = simulate_single(find_scenario("quiet"), {}, {kChanged, 0.10}, 9, kPowerRuns, 14, ranks);
  EXPECT_EQ(rates.found, 0u);
}

TEST(UpperBound, IsTheClosedFormWithoutEvents) {
  EXPECT_NEAR(upper_bound(0, 1500), 1 - std::pow(0.05, 1 / 1500.0), 1e-12);
  // Clopper and Pearson's one-sided limits, from tables: 3 of 1500 and 1 of 600.
  EXPECT_NEAR(upper_bound(3, 1500), 0.00516, 1e-4);
  EXPECT_NEAR(upper_bound(1, 600), 0.00788, 1e-4);
  EXPECT_EQ(upper_bound(5, 5), 1);
}

}  // namespace
}  // namespace aneval::gate
