#include "reports/gate/fresh_runs.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <stdexcept>

#include "common/random.h"
#include "reports/gate/history_noise.h"

namespace aneval::gate {
namespace {

std::vector<double> noise(Random& random, std::size_t n, double level) {
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i) values.push_back(level + 0.01 * random.normal());
  return values;
}

TEST(FreshRuns, ThePOfCompleteSeparationIsTheSmallestOfItsSize) {
  Random random(1);
  RankSum ranks;
  const auto p = [&](std::size_t before) {
    return compare_fresh(noise(random, before, 10), noise(random, 4, 10.5), ranks, {}).p_slower;
  };
  EXPECT_NEAR(p(40), 1.0 / 135751, 1e-12);  // 44 over 4
  EXPECT_NEAR(p(20), 1.0 / 10626, 1e-11);   // 24 over 4
}

TEST(FreshRuns, BaselineIsTheLastLevel) {
  Random random(2);
  RankSum ranks;
  std::vector<double> before = noise(random, 30, 10);
  for (const double value : noise(random, 25, 10.2)) before.push_back(value);
  const FreshRuns same = compare_fresh(before, noise(random, 4, 10.2), ranks, {});
  EXPECT_EQ(same.begins.size(), 2U);
  EXPECT_NEAR(static_cast<double>(same.baseline), 25, 1);
  EXPECT_NEAR(same.middle, 10.2, 0.01);
  EXPECT_NEAR(same.spread, 0.01, 0.006);
  EXPECT_EQ(fresh_verdicts({same}, {0.05}, {}).front(), Verdict::unchanged);
}

TEST(FreshRuns, TooFewRunsSayNothing) {
  Random random(3);
  RankSum ranks;
  const FreshRuns no_baseline = compare_fresh(noise(random, 19, 10), noise(random, 4, 12), ranks, {});
  EXPECT_FALSE(no_baseline.shift);
  const FreshRuns few_fresh = compare_fresh(noise(random, 40, 10), noise(random, 3, 12), ranks, {});
  EXPECT_FALSE(few_fresh.shift);
  const FreshRuns none = compare_fresh({}, noise(random, 4, 12), ranks, {});
  EXPECT_EQ(none.baseline, 0U);
  for (const Verdict verdict : fresh_verdicts({no_baseline, few_fresh, none}, {0.05, 0.05, 0.05}, {}))
    EXPECT_EQ(verdict, Verdict::inconclusive);
  EXPECT_TRUE(std::isinf(detectable_change(few_fresh, 0.05, 1, ranks, {})));
}

TEST(FreshRuns, AllThreeConditionsAreNeeded) {
  const auto metric = [](double p, double estimate, double share) {
    FreshRuns m;
    m.shift = Shift{estimate, estimate - 0.01, estimate + 0.01};
    m.p_slower = p;
    m.slower_share = share;
    return m;
  };
  const auto verdict = [&](double p, double estimate, double share) {
    return fresh_verdicts({metric(p, estimate, share)}, {0.05}, {}).front();
  };
  EXPECT_EQ(verdict(0.001, 0.06, 0.95), Verdict::regressed);
  EXPECT_EQ(verdict(0.02, 0.06, 0.95), Verdict::inconclusive);
  EXPECT_EQ(verdict(0.001, 0.045, 0.95), Verdict::inconclusive);
  EXPECT_EQ(verdict(0.001, 0.06, 0.85), Verdict::inconclusive);
  EXPECT_EQ(verdict(0.001, 0.03, 0.95), Verdict::unchanged);
  // and Benjamini-Hochberg: the same p among 100 metrics
  std::vector<FreshRuns> many(100, metric(1, 0, 0.5));
  many[0] = metric(0.001, 0.06, 0.95);
  EXPECT_EQ(fresh_verdicts(many, std::vector<double>(100, 0.05), {}).front(), Verdict::inconclusive);
}

TEST(FreshRuns, FasterIsTheMirrorOfSlower) {
  Random random(4);
  RankSum ranks;
  const FreshRuns faster = compare_fresh(noise(random, 40, 10), noise(random, 4, 9.9), ranks, {});
  EXPECT_EQ(fresh_verdicts({faster}, {0.05}, {}).front(), Verdict::improved);
  EXPECT_LT(faster.p_faster, 1e-5);
  EXPECT_EQ(faster.faster_share, 1);
}

TEST(FreshRuns, ValuesThatAreNotFiniteAreRefused) {
  RankSum ranks;
  const double bad = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(compare_fresh({1, 2, bad}, {1}, ranks, {}), std::invalid_argument);
  EXPECT_THROW(compare_fresh({1, 2, 3}, {bad}, ranks, {}), std::invalid_argument);
}

/// Per kind of noise: the least power that 20 runs with 3 changed metrics each show when the true one is that of
/// history_simulation, less three standard deviations.
struct Expected {
  const char* noise;
  double seven, ten;
};

void PrintTo(const Expected& expected, std::ostream* out) { *out << expected.noise; }

double least(double power) { return power - 3 * std::sqrt(std::max(power * (1 - power), 0.01) / 60); }

class HistoryNoises : public testing::TestWithParam<Expected> {};

// At most 0.33 % of the runs may be wrong: three of 60 would be.
TEST_P(HistoryNoises, FalseAlarmsAreRare) {
  const HistoryRates rates = simulate_history(find_history_noise(GetParam().noise), 60, 0, 0, 11);
  EXPECT_LE(rates.runs_with_false_alarm, 2U);
}

TEST_P(HistoryNoises, SlowdownsAreFound) {
  const HistoryNoise& kind = find_history_noise(GetParam().noise);
  EXPECT_GE(simulate_history(kind, 20, 3, 0.07, 12).power(), least(GetParam().seven));
  EXPECT_GE(simulate_history(kind, 20, 3, 0.10, 13).power(), least(GetParam().ten));
}

INSTANTIATE_TEST_SUITE_P(Kinds, HistoryNoises,
                         testing::Values(Expected{"gauss", 1, 1}, Expected{"t3", 0.98, 0.98},
                                         Expected{"bimodal", 0.01, 1}, Expected{"spiky", 0.75, 0.76},
                                         Expected{"ar1", 0.98, 1}),
                         [](const auto& kind) { return std::string(kind.param.noise); });

// Without the multiple testing and the tolerance the same histories raise alarms: the test above can fail.
TEST(FreshRunsProof, AWeakerDecisionRaisesAlarms) {
  HistoryOptions weak;
  weak.thresholds.fdr = 0.9;
  weak.thresholds.least_shift = 0;
  weak.least_change = 0;
  weak.superiority = 0;
  EXPECT_GT(simulate_history(find_history_noise("ar1"), 10, 0, 0, 11, weak).runs_with_false_alarm, 5U);
}

}  // namespace
}  // namespace aneval::gate
