#include "reports/gate/segments.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "common/random.h"
#include "common/statistics.h"

namespace aneval::gate {
namespace {

using testing::ElementsAre;

std::vector<double> noise(Random& random, std::size_t n, double sd, double level = 0) {
  std::vector<double> y;
  for (std::size_t i = 0; i < n; ++i) y.push_back(level + sd * random.normal());
  return y;
}

double cost_of(const std::vector<double>& y, std::size_t begin, std::size_t end) {
  const std::vector<double> part(y.begin() + static_cast<std::ptrdiff_t>(begin),
                                 y.begin() + static_cast<std::ptrdiff_t>(end));
  const double middle = median(part);
  double cost = 0;
  for (const double v : part) cost += std::fabs(v - middle);
  return cost;
}

/// Tries every choice of pieces.
void try_all(const std::vector<double>& y, std::size_t least, std::size_t begin, std::size_t pieces, double cost,
             std::vector<double>& best) {
  for (std::size_t end = begin + least; end <= y.size(); ++end) {
    const double with = cost + cost_of(y, begin, end);
    if (end == y.size())
      best[pieces] = std::min(best[pieces], with);
    else
      try_all(y, least, end, pieces + 1, with, best);
  }
}

TEST(Segments, AreTheBestOfAllChoices) {
  Random random(1);
  for (int round = 0; round < 60; ++round) {
    const auto n = static_cast<std::size_t>(1 + random.below(14));
    const auto least = static_cast<std::size_t>(1 + random.below(3));
    std::vector<double> y = noise(random, n, 1);
    if (round % 3 == 0)  // ties
      for (double& v : y) v = std::round(v);
    const auto fits = best_fits(y, least);
    ASSERT_EQ(fits.size(), std::max<std::size_t>(1, n / least));
    if (n < least) continue;
    std::vector<double> best(n + 1, std::numeric_limits<double>::infinity());
    try_all(y, least, 0, 0, 0, best);
    for (std::size_t i = 0; i < fits.size(); ++i) {
      EXPECT_NEAR(fits[i].cost, best[i], 1e-12) << round << " pieces " << i + 1;
      // and it is the cost of the pieces that it names
      double own = 0;
      ASSERT_EQ(fits[i].begins.size(), i + 1);
      for (std::size_t p = 0; p <= i; ++p) {
        const std::size_t end = p == i ? n : fits[i].begins[p + 1];
        ASSERT_GE(end - fits[i].begins[p], least);
        own += cost_of(y, fits[i].begins[p], end);
      }
      EXPECT_NEAR(own, fits[i].cost, 1e-12);
    }
  }
}

TEST(Segments, ChosenIsTheMinimumOverManyPenalties) {
  Random random(2);
  for (int round = 0; round < 40; ++round) {
    std::vector<double> y = noise(random, 40, 0.01);
    for (std::size_t i = 20; i < 40; ++i) y[i] += 0.005 * static_cast<double>(round % 8);
    const auto fits = best_fits(y, 3);
    double least = std::numeric_limits<double>::infinity();
    for (double gamma = 1e-5; gamma < 10; gamma *= 1.01) {
      const Segments* best = &fits[0];
      for (const Segments& fit : fits)
        if (fit.cost + gamma * static_cast<double>(fit.begins.size()) <
            best->cost + gamma * static_cast<double>(best->begins.size()))
          best = &fit;
      least = std::min(least, information(y, *best));
    }
    EXPECT_DOUBLE_EQ(information(y, segment(y, 3)), least) << round;
  }
}

TEST(Segments, InformationIsTheFormula) {
  // One piece, level 1: errors 0, 1, 0.5, -1. Ratios 0.5 (weight 1), -2 (weight 0.5): rho 0.5.
  const std::vector<double> y = {1, 2, 1.5, 0};
  EXPECT_NEAR(information(y, {{0}, {1}, 0}), 4 * std::log(4.0) / 4 + std::log(0.001 + 0 + 1 + 0 + 1.25), 1e-15);
  // Three pieces: a tenth of the smallest step.
  EXPECT_NEAR(information({1, 3, 4}, {{0, 1, 2}, {1, 3, 4}, 0}), 4 * std::log(3.0) + std::log(0.1), 1e-12);
}

TEST(Segments, StepsAreFoundWhereTheyAre) {
  Random random(3);
  int found = 0;
  for (int round = 0; round < 50; ++round) {
    std::vector<double> y = noise(random, 80, 0.01, 13);
    for (std::size_t i = 30; i < 80; ++i) y[i] += 0.10;
    for (std::size_t i = 55; i < 80; ++i) y[i] -= 0.06;
    const Segments fit = segment(y, 6);
    if (fit.begins.size() != 3) continue;
    ++found;
    EXPECT_NEAR(static_cast<double>(fit.begins[1]), 30, 1);
    EXPECT_NEAR(static_cast<double>(fit.begins[2]), 55, 2);
    EXPECT_NEAR(fit.levels[0], 13, 0.01);
    EXPECT_NEAR(fit.levels[1], 13.10, 0.01);
    EXPECT_NEAR(fit.levels[2], 13.04, 0.01);
  }
  EXPECT_GE(found, 47);  // 99 % of many, less three standard deviations
}

TEST(Segments, NoStepInTheLastRuns) {
  std::vector<double> y(40, 1.0);
  for (std::size_t i = 35; i < 40; ++i) y[i] = 2;
  for (const std::size_t begin : segment(y, 6).begins) EXPECT_LE(begin, 34U);
  EXPECT_THAT(segment(std::vector<double>(y.begin(), y.begin() + 36), 6).begins, ElementsAre(0));
  y.push_back(2);
  EXPECT_THAT(segment(y, 6).begins, ElementsAre(0, 35));
}

TEST(Segments, OfEqualValuesThereIsOne) {
  EXPECT_THAT(segment(std::vector<double>(50, 0.1), 6).begins, ElementsAre(0));
  EXPECT_EQ(segment(std::vector<double>(50, 0.1), 6).cost, 0);
  EXPECT_THAT(segment({5}, 6).levels, ElementsAre(5));
}

std::vector<double> correlated(Random& random, std::size_t n, double sd, double rho) {
  std::vector<double> y;
  double e = sd * random.normal();
  for (std::size_t i = 0; i < n; ++i) {
    y.push_back(e);
    e = rho * e + sd * std::sqrt(1 - rho * rho) * random.normal();
  }
  return y;
}

// Of 16000 series none, 1 and 15 (segments.h): three of 400 would be many.
TEST(Segments, NoiseHasNoSteps) {
  for (const double rho : {0.0, 0.7, 0.9}) {
    Random random(4);
    int with_steps = 0;
    for (int round = 0; round < 400; ++round)
      with_steps += segment(correlated(random, 60, 0.01, rho), 6).begins.size() > 1;
    EXPECT_LE(with_steps, 2) << rho;
  }
}

// 5 standard deviations, the noise correlated by 0.7: 95 % of many series; of 100 at least 95 - 3 sqrt(95 · 5 / 100).
TEST(Segments, StepsAreFoundInCorrelatedNoise) {
  Random random(5);
  int found = 0;
  for (int round = 0; round < 100; ++round) {
    std::vector<double> y = correlated(random, 80, 0.01, 0.7);
    for (std::size_t i = 40; i < 80; ++i) y[i] += 0.05;
    const Segments fit = segment(y, 6);
    found += fit.begins.size() == 2 && fit.begins[1] >= 38 && fit.begins[1] <= 42;
  }
  EXPECT_GE(found, 88);
}

TEST(Segments, ValuesThatNoLogarithmHasAreRefused) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(), std::log(0.0), std::log(-1.0)})
    EXPECT_THROW(segment({1, bad, 2}, 1), std::invalid_argument);
  EXPECT_THROW(segment({}, 6), std::invalid_argument);
  EXPECT_THROW(segment({1}, 0), std::invalid_argument);
}

}  // namespace
}  // namespace aneval::gate
