// Searches and whole sweeps on costs that are made up: what is tried, what survives being killed, what wins.
#include "tuning/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/files.h"
#include "tuning/merge.h"
#include "tuning/table.h"

namespace aneval::tuning {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kSmall = R"("model": "Qwen3-0.6B")";

SweepFile sweep_of(const std::string& parameters, const std::string& more = "") {
  SweepFile file = parse_sweep(
      "{\"parameters\": {" + parameters + ", " + kSmall + "}" + (more.empty() ? "" : ", " + more) + "}", "sweep.json");
  file.set_profile("ieee");
  return file;
}

/// Three forms of sdpaBwd2 and threads: 2 (row_sum) x 2 (packing: the same program, slots lie along channels) x 2 x 3.
SweepFile backward_sweep(const std::string& more = "") {
  return sweep_of(
      R"("kernel": ["sdpaBwd2", "woFwd"], "row_sum": "all", "packing": "all", "score_scale": "all", "threads": [1, 2, 3])",
      more);
}

double cost_of(const Point& point) {
  double cost = 1e6;
  if (point.c.variant.row_sum == ane::RowSum::matmul) cost *= 0.8;
  if (point.c.variant.score_scale == ane::ScoreScale::folded) cost *= 0.9;
  return cost * (1 - 0.05 * static_cast<double>(point.threads - 1));
}

PointResult measured(const Point& point) {
  PointResult result;
  result.time_ns = cost_of(point);
  result.error = point.c.variant.row_sum == ane::RowSum::matmul ? 2e-3 : 1e-3;
  result.compiles = 3;
  result.seconds = 1;
  result.program = "p" + std::to_string(static_cast<int>(result.time_ns));
  return result;
}

class SweepTest : public ::testing::Test {
 protected:
  SweepTest()
      : out_(fs::temp_directory_path() / ("aneval-sweep-" + std::to_string(::getpid()) + "-" +
                                          ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(out_);
  }
  ~SweepTest() override { fs::remove_all(out_); }

  SweepOptions options(SweepFile file) {
    SweepOptions options;
    options.file = std::move(file);
    options.out = out_;
    options.setting = R"({"build": "test"})";
    options.evaluate = [this](const Point& point) {
      tried_.push_back(point_text(point));
      return measured(point);
    };
    return options;
  }
  std::string error_of(const SweepOptions& options) {
    try {
      (void)run_sweep(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  fs::path out_;
  std::vector<std::string> tried_;
};

TEST_F(SweepTest, TriesEveryDifferentPointOnce) {
  const SweepOutcome outcome = run_sweep(options(backward_sweep()));
  EXPECT_TRUE(outcome.exhaustive);
  // sdpaBwd2: row_sum x scale x threads; packing moves nothing of it. woFwd: packing x threads.
  EXPECT_EQ(outcome.points.size(), 2u * 2 * 3 + 2 * 3);
  EXPECT_EQ(outcome.points.size() + static_cast<std::size_t>(outcome.same), 2u * 2 * 2 * 2 * 3);
  std::set<std::string> once(tried_.begin(), tried_.end());
  EXPECT_EQ(once.size(), tried_.size());
  ASSERT_EQ(outcome.contests.size(), 2u);
  const auto& bwd = outcome.contests[0].contest.best.c.kernel == "sdpaBwd2" ? outcome.contests[0] : outcome.contests[1];
  EXPECT_EQ(knobs_text(bwd.contest.best), "score_scale=folded;row_sum=matmul;threads=3");
  EXPECT_DOUBLE_EQ(bwd.contest.plain_result.time_ns, 1e6);
}

TEST_F(SweepTest, TheDefaultIsMeasuredThoughTheSweepDoesNotListIt) {
  const SweepOutcome outcome = run_sweep(options(sweep_of(R"("kernel": "sdpaBwd2", "row_sum": ["matmul"])")));
  ASSERT_EQ(outcome.contests.size(), 1u);
  EXPECT_TRUE(outcome.contests[0].opposed);
  EXPECT_EQ(outcome.points.size(), 2u);
}

TEST_F(SweepTest, PointsThatCannotRunAreNotTried) {
  SweepFile file = sweep_of(R"("kernel": ["ffnDown", "ffnFused", "layer"], "ffn": "all", "seq": [64, 70])");
  const SweepOutcome outcome = run_sweep(options(file));
  for (const std::string& text : tried_) {
    EXPECT_EQ(text.find("kernel=ffnDown") != std::string::npos && text.find("ffn=") == std::string::npos, false)
        << text;
    EXPECT_EQ(text.find("kernel=ffnFused") != std::string::npos && text.find("ffn=") != std::string::npos, false)
        << text;
  }
  EXPECT_FALSE(outcome.refused.empty());
  SweepFile on_engine = parse_sweep(
      R"({"parameters": {"kernel": "woFwd", "model": "Qwen3-0.6B", "seq": [70], "profile": ["h13"]}})", "s");
  EXPECT_THAT(error_of(options(on_engine)), AllOf(HasSubstr("none of its 1 points can run"), HasSubstr("rule [")));
}

TEST_F(SweepTest, PointsThatAProfileHasNoRuleForAreNotTried) {
  const SweepOutcome outcome =
      run_sweep(options(sweep_of(R"("kernel": "woFwd", "weights": ["dynamic", "w8a8"], "profile": "h13")")));
  ASSERT_EQ(outcome.refused.size(), 1u);
  EXPECT_THAT(outcome.refused.begin()->second, HasSubstr("h13"));
  EXPECT_EQ(tried_.size(), 1u);
  EXPECT_THAT(tried_, ::testing::Each(::testing::Not(HasSubstr("w8a8"))));
}

TEST_F(SweepTest, ConstraintsThatLeaveNothingAreAnError) {
  EXPECT_THAT(
      error_of(options(sweep_of(R"("kernel": "woFwd", "pad": ["none", "32"], "packing": "all")",
                                R"("constraints": [{"when": {"pad": "none"}, "then": {"packing": "weights_first"}},
                                                           {"when": {"pad": "none"}, "then": {"packing": "acts_first"}},
                                                           {"then": {"pad": "none"}}])"))),
      AllOf(HasSubstr("none of its 4 points"), HasSubstr("constraint")));
}

TEST_F(SweepTest, ASearchFindsTheBestWithinItsBudgetAndRepeatsNothing) {
  const std::string more = R"("budget": {"points": 14}, "search": {"method": "random", "seed": 3})";
  const SweepOutcome outcome = run_sweep(options(backward_sweep(more)));
  EXPECT_FALSE(outcome.exhaustive);
  EXPECT_LE(outcome.points.size(), 14u);
  EXPECT_EQ(std::set<std::string>(tried_.begin(), tried_.end()).size(), tried_.size());
  for (const ContestOutcome& contest : outcome.contests) {
    EXPECT_TRUE(contest.opposed);
    if (contest.contest.best.c.kernel != "sdpaBwd2") continue;
    EXPECT_LT(contest.contest.best_result.time_ns, 0.75e6);
  }
}

// woFwd has no row sum: whatever the others are, its program is the default's, and is called so.
TEST_F(SweepTest, PointsAreToldAsSimplyAsTheyCanBe) {
  const SweepOutcome outcome = run_sweep(options(sweep_of(
      R"("kernel": ["woFwd", "sdpaWoFwd"], "row_sum": ["matmul"], "silu_backward": ["kernel"], "wo": "all", "packing": "all")",
      R"("search": {"method": "random"}, "budget": {"points": 50})")));
  std::set<std::string> knobs;
  for (const auto& [point, result] : outcome.points) knobs.insert(point.c.kernel + " " + knobs_text(point));
  EXPECT_THAT(knobs, ::testing::ElementsAre("sdpaWoFwd default", "sdpaWoFwd packing=weights_first", "woFwd default",
                                            "woFwd packing=weights_first"));
  for (const ContestOutcome& contest : outcome.contests) {
    EXPECT_TRUE(contest.opposed);
    EXPECT_EQ(contest.contest.plain.c.variant.wo == ane::OutputProjection::fused,
              contest.contest.plain.c.kernel == "sdpaWoFwd");
  }
}

TEST_F(SweepTest, BudgetsEndIt) {
  EXPECT_EQ(run_sweep(options(backward_sweep(R"("budget": {"compiles": 7})"))).points.size(), 3u);
  fs::remove_all(out_);
  const SweepOutcome outcome = run_sweep(options(backward_sweep(R"("budget": {"seconds": 4})")));
  EXPECT_EQ(outcome.points.size(), 4u);
  EXPECT_EQ(outcome.ended, "budget of seconds");
}

// Killed after every number of points, also in the middle of a line: the same points, none twice, the same result.
TEST_F(SweepTest, GoesOnAfterACrashAsIfNothingHadHappened) {
  for (const char* more : {"", R"("budget": {"points": 14}, "search": {"method": "random", "seed": 3})"}) {
    fs::remove_all(out_);
    tried_.clear();
    SweepOptions plain = options(backward_sweep(more));
    const SweepOutcome undisturbed = run_sweep(plain);
    const std::vector<std::string> all = tried_;
    for (std::size_t killed_at = 0; killed_at < all.size(); ++killed_at) {
      fs::remove_all(out_);
      tried_.clear();
      SweepOptions crashing = plain;
      crashing.evaluate = [&](const Point& point) {
        if (tried_.size() == killed_at) throw std::runtime_error("killed");
        tried_.push_back(point_text(point));
        return measured(point);
      };
      EXPECT_THROW((void)run_sweep(crashing), std::runtime_error);
      std::ofstream(out_ / "journal.jsonl", std::ios::app) << "{\"point\": \"cut by the cra";
      SweepOptions resumed = plain;
      resumed.resume = true;
      const SweepOutcome outcome = run_sweep(resumed);
      EXPECT_TRUE(outcome.repaired);
      EXPECT_EQ(tried_, all) << killed_at;
      ASSERT_EQ(outcome.points.size(), undisturbed.points.size());
      for (std::size_t i = 0; i < outcome.contests.size(); ++i)
        EXPECT_EQ(point_text(outcome.contests[i].contest.best), point_text(undisturbed.contests[i].contest.best));
    }
  }
}

TEST_F(SweepTest, JournalsOfOthersAreRefused) {
  const SweepOptions first = options(backward_sweep());
  (void)run_sweep(first);
  EXPECT_THAT(error_of(first), HasSubstr("--resume"));
  SweepOptions other = options(backward_sweep(R"("search": {"seed": 9})"));
  other.resume = true;
  EXPECT_THAT(error_of(other), AllOf(HasSubstr("is of another sweep"), HasSubstr("search")));
  SweepOptions rebuilt = first;
  rebuilt.resume = true;
  rebuilt.setting = R"({"build": "other"})";
  EXPECT_THAT(error_of(rebuilt), AllOf(HasSubstr("build"), HasSubstr("other")));
  std::ofstream(out_ / "journal.jsonl", std::ios::app) << "{\"point\": 3}\n";
  SweepOptions again = first;
  again.resume = true;
  EXPECT_THAT(error_of(again), HasSubstr("is no line of a sweep's journal"));
}

TEST_F(SweepTest, TwoOnOneJournalAreRefused) {
  SweepOptions outer = options(backward_sweep());
  std::string inner;
  outer.evaluate = [&](const Point& point) {
    SweepOptions second = options(backward_sweep());
    second.resume = true;
    if (inner.empty()) inner = error_of(second);
    return measured(point);
  };
  (void)run_sweep(outer);
  EXPECT_THAT(inner, HasSubstr("journal.jsonl"));
}

TEST_F(SweepTest, ShardsAreAllPointsOnceAndMergeIntoTheSame) {
  const SweepOutcome whole = run_sweep(options(backward_sweep()));
  std::vector<fs::path> folders;
  std::size_t points = 0;
  for (std::int64_t i = 1; i <= 3; ++i) {
    SweepOptions shard = options(backward_sweep());
    shard.shard = {i, 3};
    shard.out = out_ / std::to_string(i);
    folders.push_back(shard.out);
    points += run_sweep(shard).points.size();
  }
  EXPECT_EQ(points, whole.points.size());
  const MergedSweep merged = merge_journals(folders);
  EXPECT_EQ(merged.duplicates, 0);
  EXPECT_TRUE(merged.conflicts.empty());
  ASSERT_EQ(merged.points.size(), whole.points.size());
  const auto contests = contests_of(merged.points, std::nullopt);
  for (std::size_t i = 0; i < contests.size(); ++i)
    EXPECT_EQ(point_text(contests[i].contest.best), point_text(whole.contests[i].contest.best));
}

TEST_F(SweepTest, ShardsWithoutPointsAndBudgetsBelowAllOfThemAreErrors) {
  const std::string one = R"("kernel": ["woFwd"], "seq": [32])";
  SweepOptions empty = options(sweep_of(one));
  empty.shard = {2, 2};
  EXPECT_THAT(error_of(empty), HasSubstr("--shard 2/2: has none of the 1 points"));
  EXPECT_THAT(error_of(options(sweep_of(R"("kernel": ["woFwd"], "seq": [32, 64])",
                                        R"("budget": {"points": 1}, "search": {"method": "exhaustive"})"))),
              HasSubstr("budget.points: 1 points are not all 2"));
}

TEST_F(SweepTest, MergesTellDuplicatesAndConflicts) {
  std::vector<fs::path> folders;
  for (const char* name : {"a", "b"}) {
    SweepOptions one = options(backward_sweep());
    one.out = out_ / name;
    one.evaluate = [name](const Point& point) {
      PointResult result = measured(point);
      if (*name == 'b' && point.threads == 2 && point.c.kernel == "woFwd") {
        result.status = Status::wrong_result;
        result.reason = "made up";
      }
      return result;
    };
    (void)run_sweep(one);
    folders.push_back(one.out);
  }
  const MergedSweep merged = merge_journals(folders);
  EXPECT_EQ(merged.duplicates, 18);
  ASSERT_EQ(merged.conflicts.size(), 2u);
  EXPECT_THAT(merged.conflicts[0], AllOf(HasSubstr("kernel=woFwd"), HasSubstr("ok and wrong_result")));
  EXPECT_THROW((void)merge_journals({folders[0], folders[0]}), Error);
}

TEST_F(SweepTest, WrongPointsNeverWin) {
  SweepOptions wrong = options(backward_sweep());
  wrong.evaluate = [](const Point& point) {
    PointResult result = measured(point);
    if (point.c.variant.row_sum == ane::RowSum::matmul) {
      result.status = Status::wrong_result;
      result.reason = "made up";
    }
    return result;
  };
  for (const ContestOutcome& contest : run_sweep(wrong).contests)
    EXPECT_EQ(contest.contest.best.c.variant.row_sum, ane::RowSum::reduce);
}

TEST_F(SweepTest, AWinnerMayBeToldHowWrongItMayBe) {
  SweepOptions strict = options(backward_sweep(R"("confirm": {"error_ratio": 1.5})"));
  for (const ContestOutcome& contest : run_sweep(strict).contests)
    EXPECT_EQ(contest.contest.best.c.variant.row_sum, ane::RowSum::reduce);  // matmul's error is twice as large here
}

/// A process' time: the point's, one moment that controls feel as well, and noise of its own.
std::vector<double> noisy(double ns, Random& random) {
  const double moment = 0.1 * random.normal();
  std::vector<double> values = {std::log(ns) + moment + 0.01 * random.normal()};
  for (int control = 0; control < 8; ++control) values.push_back(std::log(1e5) + moment + 0.005 * random.normal());
  return values;
}

TEST_F(SweepTest, ALeadIsConfirmedOnlyWhenItIsReal) {
  for (const bool real : {true, false}) {
    fs::remove_all(out_);
    SweepOptions confirmed = options(backward_sweep());
    Random random(1, "noise");
    confirmed.measure = [&](const Point& point) { return noisy(real ? cost_of(point) : 1e6, random); };
    const SweepOutcome outcome = run_sweep(confirmed);
    for (const ContestOutcome& contest : outcome.contests) {
      EXPECT_TRUE(contest.win.measured);
      EXPECT_EQ(contest.win.confirmed, real)
          << contest.contest.context << ' ' << contest.win.gain << ' ' << contest.win.p;
      EXPECT_EQ(contest.win.blocks, 9u);
    }
    const auto entries = entries_of(outcome, {}, false);
    for (const Entry& entry : entries) EXPECT_EQ(entry.verdict, real ? Verdict::faster : Verdict::kept);
    // Again from the journal: nothing is measured twice.
    SweepOptions resumed = confirmed;
    resumed.resume = true;
    resumed.measure = [](const Point&) -> std::vector<double> { throw std::logic_error("measured again"); };
    const SweepOutcome again = run_sweep(resumed);
    for (std::size_t i = 0; i < again.contests.size(); ++i)
      EXPECT_EQ(again.contests[i].win.p, outcome.contests[i].win.p);
  }
}

TEST_F(SweepTest, AProductTooLargeToEnumerateNeedsABudget) {
  std::string kernels, more;
  for (const ane::VariantChoice& choice : ane::variant_choices())
    more += ", \"" + std::string(choice.key) + "\": \"all\"";
  const std::string parameters =
      R"("kernel": "all", "seq": {"from": 32, "to": 512, "step": 32}, "threads": [1,2,3,4,5,6,7,8])" + more;
  EXPECT_THAT(error_of(options(sweep_of(parameters))), HasSubstr("budget"));
  EXPECT_THAT(error_of(options(sweep_of(parameters, R"("search": {"method": "exhaustive"})"))),
              HasSubstr("search.method: exhaustive, but the product has"));
  SweepOptions shard = options(sweep_of(parameters, R"("budget": {"points": 40})"));
  shard.shard = {1, 2};
  EXPECT_THAT(error_of(shard), HasSubstr("is not enumerated"));
  const SweepOutcome outcome = run_sweep(options(sweep_of(parameters, R"("budget": {"points": 40})")));
  EXPECT_EQ(outcome.points.size(), 40u);
  EXPECT_EQ(std::set<std::string>(tried_.begin(), tried_.end()).size(), tried_.size());
}

}  // namespace
}  // namespace aneval::tuning
