#include "reports/gate/mann_whitney.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "common/random.h"

namespace aneval::gate {
namespace {

double choose(std::size_t n, std::size_t k) {
  double result = 1;
  for (std::size_t i = 1; i <= k; ++i) result = result * static_cast<double>(n - k + i) / static_cast<double>(i);
  return result;
}

/// Counts the orders of n and m values one by one.
double counted_tail(std::size_t n, std::size_t m, std::size_t least) {
  std::size_t orders = 0, reached = 0;
  for (std::size_t mask = 0; mask < std::size_t{1} << (n + m); ++mask) {
    std::size_t ones = 0, u = 0, zeros = 0;
    for (std::size_t i = 0; i < n + m; ++i) {
      if ((mask >> i & 1) == 0) {
        ++zeros;
      } else {
        ++ones;
        u += zeros;
      }
    }
    if (ones != n) continue;
    ++orders;
    reached += u >= least;
  }
  return static_cast<double>(reached) / static_cast<double>(orders);
}

TEST(RankSum, EveryTailIsWhatCountingAllOrdersGives) {
  RankSum ranks;
  for (std::size_t n = 1; n <= 6; ++n)
    for (std::size_t m = 1; m <= 6; ++m)
      for (std::size_t u = 0; u <= n * m + 1; ++u)
        EXPECT_NEAR(ranks.upper_tail(n, m, u), counted_tail(n, m, u), 1e-14) << n << " " << m << " " << u;
}

TEST(RankSum, FourAgainstFourIsThePublishedTable) {
  // Numbers of orders with U = 0 … 16, out of 70 (Mann and Whitney 1947, table I, n = m = 4).
  const std::vector<int> orders = {1, 1, 2, 3, 5, 5, 7, 7, 8, 7, 7, 5, 5, 3, 2, 1, 1};
  RankSum ranks;
  double tail = 0;
  for (std::size_t u = 17; u-- > 0;) {
    tail += orders[u] / 70.0;
    EXPECT_NEAR(ranks.upper_tail(4, 4, u), tail, 1e-14) << u;
  }
}

TEST(RankSum, TheSmallestPIsOneOrderOutOfAll) {
  RankSum ranks;
  for (const std::size_t r : {6U, 8U, 9U, 10U, 12U, 15U, 21U})
    EXPECT_NEAR(ranks.upper_tail(r, r, r * r) * choose(2 * r, r), 1, 1e-12) << r;
  // The floors that decide how many processes a metric needs (two-sided 4.1e-5 at nine).
  EXPECT_NEAR(ranks.upper_tail(8, 8, 64), 7.77e-5, 1e-7);
  EXPECT_NEAR(2 * ranks.upper_tail(9, 9, 81), 4.11e-5, 1e-7);
  EXPECT_NEAR(ranks.upper_tail(4, 40, 160), 7.4e-6, 1e-7);
}

TEST(RankSum, IsSymmetricAndSumsToOne) {
  RankSum ranks;
  for (const auto& [n, m] : {std::pair<std::size_t, std::size_t>{15, 15}, {4, 200}, {30, 7}})
    for (std::size_t u = 0; u <= n * m; ++u) {
      EXPECT_NEAR(ranks.upper_tail(n, m, u) + ranks.upper_tail(n, m, n * m - u + 1), 1, 1e-12) << n << " " << u;
      EXPECT_NEAR(ranks.upper_tail(n, m, u), ranks.upper_tail(m, n, u), 1e-12);
    }
}

TEST(RankSum, ItsMeanAndVarianceAreTheClosedForms) {
  RankSum ranks;
  const std::size_t n = 15, m = 12;
  double mean = 0, square = 0;
  for (std::size_t u = 0; u <= n * m; ++u) {
    const double p = ranks.upper_tail(n, m, u) - ranks.upper_tail(n, m, u + 1), x = static_cast<double>(u);
    mean += p * x;
    square += p * x * x;
  }
  EXPECT_NEAR(mean, n * m / 2.0, 1e-9);
  EXPECT_NEAR(square - mean * mean, n * m * (n + m + 1) / 12.0, 1e-7);
}

TEST(RankSum, TiesNeverHelp) {
  RankSum ranks;
  const std::vector<double> same(9, 1.0);
  EXPECT_EQ(ranks.p_above(same, same, 0), 1);
  EXPECT_NEAR(ranks.p_above({1, 2, 3}, {4, 5, 6}, 0), 0.05, 1e-14);
  EXPECT_GT(ranks.p_above({1, 2, 3}, {3, 4, 5}, 0), 0.05);
  EXPECT_GT(ranks.p_above({1, 2, 3}, {4, 5, 6}, 1), 0.05) << "4 - 1 is tied with 3";
  EXPECT_EQ(ranks.p_above({}, {1}, 0), 1);
}

TEST(Shift, IsTheMedianDifference) {
  RankSum ranks;
  const Shift shift = ranks.shift({1, 2, 4}, {11, 13, 17}, 0.899);
  EXPECT_EQ(shift.estimate, 11) << "differences 7 9 9 10 11 12 13 15 16";
  // P(U <= 0) = 1/20: the extremes bound 90 %, less what rounding takes.
  EXPECT_EQ(shift.low, 7);
  EXPECT_EQ(shift.high, 16);
  EXPECT_TRUE(std::isinf(ranks.shift({1, 2, 4}, {11, 13, 17}, 0.95).low)) << "3 against 3 cannot reach 97.5 %";
}

TEST(Shift, ItsIntervalCoversTheTruthAsOftenAsItSays) {
  RankSum ranks;
  Random random(7);
  int covered = 0;
  const int runs = 4000;
  for (int run = 0; run < runs; ++run) {
    std::vector<double> a(6), b(6);
    for (double& x : a) x = random.normal();
    for (double& x : b) x = random.normal() + 0.3;
    const Shift shift = ranks.shift(a, b, 0.95);
    covered += shift.low <= 0.3 && 0.3 <= shift.high;
  }
  // Exact coverage: 1 - 2 P(U <= 5) = 0.9589 for 6 against 6; the standard error of 4000 runs is 0.0031.
  EXPECT_NEAR(covered / static_cast<double>(runs), 1 - 2 * (1 - ranks.upper_tail(6, 6, 6)), 4 * 0.0031);
}

TEST(RankSum, RefusesWhatWouldTakeForever) {
  RankSum ranks;
  EXPECT_THROW(ranks.upper_tail(1000, 1000, 5), std::logic_error);
  EXPECT_THROW(ranks.shift({}, {1}, 0.95), std::logic_error);
}

}  // namespace
}  // namespace aneval::gate
