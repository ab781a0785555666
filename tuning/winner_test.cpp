// What is made of measurements: wins judged together, Pareto fronts, regrets.
#include "tuning/winner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tuning/sweep_file.h"
#include "tuning/tradeoff.h"

namespace aneval::tuning {
namespace {

/// Five pairs whose best is a tenth faster, or as fast, without a doubt: 5 values a side can give p = 1/252.
std::vector<Block> five_blocks(double ratio) {
  std::vector<Block> blocks;
  for (int i = 0; i < 5; ++i) {
    const double plain = std::log(1e6) + 1e-4 * i;
    blocks.push_back({{plain}, {plain + std::log(ratio) + 1e-5 * i}});
  }
  return blocks;
}

// A lead that convinces alone is what chance gives one of many contests: 1/252 is below alpha = 0.01, and above 0.01/3.
TEST(Winner, ContestsAreJudgedTogether) {
  const auto alone = judge_wins({five_blocks(0.9)});
  EXPECT_TRUE(alone[0].confirmed);
  EXPECT_NEAR(alone[0].p, 1.0 / 252, 1e-9);
  EXPECT_NEAR(alone[0].gain, 0.1, 1e-3);
  for (const Win& win : judge_wins({five_blocks(0.9), five_blocks(1), five_blocks(1)})) {
    EXPECT_TRUE(win.measured);
    EXPECT_FALSE(win.confirmed) << win.p;
  }
}

TEST(Winner, IsFasterByTheToleranceAtLeast) {
  const auto wins = judge_wins({five_blocks(0.98)});
  EXPECT_LT(wins[0].p, 0.01);
  EXPECT_FALSE(wins[0].confirmed);
}

TEST(Winner, WithoutMeasurementsNothingIsConfirmed) {
  const auto wins = judge_wins({{}, {Block{}, Block{}, Block{}}});
  for (const Win& win : wins) EXPECT_FALSE(win.measured || win.confirmed);
}

TEST(Tradeoff, FrontHasWhatNothingBeatsInBoth) {
  const auto point = [](double time, double error, Status status = Status::ok) {
    PointResult result;
    result.time_ns = time, result.error = error, result.status = status;
    return std::pair{Point{}, result};
  };
  const std::vector<std::pair<Point, PointResult>> all = {
      point(3, 1), point(1, 5), point(2, 5), point(2, 4), point(0.5, 0, Status::wrong_result), point(4, 1)};
  std::vector<const std::pair<Point, PointResult>*> pointers;
  for (const auto& each : all) pointers.push_back(&each);
  EXPECT_THAT(pareto_front(pointers), ::testing::ElementsAre(&all[1], &all[3], &all[0]));
}

TEST(Tradeoff, RegretIsWhatTheOthersBestCostsHere) {
  std::vector<std::pair<Point, PointResult>> points;
  for (const char* profile : {"h13", "h16"})
    for (const bool matmul : {false, true}) {
      Point point = parse_sweep(R"({"parameters": {"kernel": "sdpaBwd2", "model": "Qwen3-0.6B"}})", "s").point(0);
      point.profile = profile;
      point.c.variant.row_sum = matmul ? ane::RowSum::matmul : ane::RowSum::reduce;
      PointResult result;
      result.time_ns = std::string(profile) == "h13" ? (matmul ? 100 : 120) : (matmul ? 150 : 100);
      points.emplace_back(point, result);
    }
  const auto all = regrets(points);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].from, "h13");
  EXPECT_EQ(all[0].on, "h16");
  EXPECT_DOUBLE_EQ(all[0].ratio, 1.5);
  EXPECT_DOUBLE_EQ(all[1].ratio, 1.2);
}

}  // namespace
}  // namespace aneval::tuning
