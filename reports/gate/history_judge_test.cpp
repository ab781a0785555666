#include "reports/gate/history_judge.h"

#include <gmock/gmock.h>

#include "reports/gate/history_append.h"
#include "reports/gate/history_test_support.h"

namespace aneval::gate {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

/// A history of runs whose rows a function makes.
class Histories : public testing::Test {
 protected:
  using RowsOfRun = std::function<std::vector<Record>(const RunContext& run, int number)>;

  /// Runs [begin, end).
  void append(int begin, int end, const RowsOfRun& rows_of_run) {
    for (int number = begin; number < end; ++number) {
      write_file(folder_ / "r.results", file_of(rows_of_run(run_context(number), number)));
      append_runs(folder_ / "h", {folder_ / "r.results"});
    }
  }
  Outcome outcome(const std::vector<Acknowledgement>& acknowledged = {}) {
    const HistoryOptions options;
    history_ = read_history(folder_ / "h");
    judgement_ = judge_history(history_, acknowledged, options);
    return history_outcome(history_, judgement_, options);
  }
  static std::string fact(const Outcome& outcome, const std::string& name) {
    std::string all;
    for (const auto& [what, said] : outcome.facts)
      if (what == name) all += said;
    return all;
  }
  double noise() { return std::exp(0.01 * random_.normal()); }

  TemporaryFolder folder_;
  Random random_{1};
  History history_;
  HistoryJudgement judgement_;
};

TEST_F(Histories, SlowerLastRunsAreSaidAndFailNothing) {
  append(0, 34, [&](const RunContext& run, int number) {
    const double slow = number >= 30 ? 1.10 : 1;
    return std::vector{row(run, "woFwd", "eval", "time", 1e6 * slow * noise()),
                       row(run, "qBwd", "eval", "time", 2e6 * noise())};
  });
  const Outcome result = outcome();
  ASSERT_EQ(result.findings.size(), 2U);
  const Finding &q = result.findings[0], &w = result.findings[1];
  EXPECT_EQ(q.verdict, Verdict::unchanged);
  EXPECT_EQ(w.verdict, Verdict::regressed);
  EXPECT_FALSE(w.gating);
  EXPECT_NEAR(*w.change, 0.10, 0.02);
  EXPECT_LT(*w.low, *w.change);
  EXPECT_NEAR(*w.base, 1e6, 1e4);
  EXPECT_NEAR(*w.now, 1.1e6, 2e4);
  EXPECT_NEAR(*w.p, 1.0 / 46376, 1e-9);  // 34 over 4
  EXPECT_GT(*w.detectable, 0.05);
  EXPECT_LT(*w.detectable, 0.08);
  EXPECT_EQ(exit_code(result, true), ExitCode::ok);
  EXPECT_THAT(result.warnings, testing::ElementsAre(HasSubstr("2 timings have runs without controls")));
}

TEST_F(Histories, ChangesOfLevelHaveCommitsAndMedians) {
  append(0, 60, [&](const RunContext& run, int number) {
    return std::vector{row(run, "woFwd", "eval", "time", 1e6 * (number >= 25 ? 1.2 : 1) * noise())};
  });
  Outcome result = outcome();
  ASSERT_EQ(judgement_.series[0].changes.size(), 1U);
  const ChangePoint change = judgement_.series[0].changes[0];
  EXPECT_EQ(change.run, 25U);
  EXPECT_EQ(change.from_commit, run_context(24).commit);
  EXPECT_EQ(change.to_commit, run_context(25).commit);
  EXPECT_EQ(change.time_utc, run_context(25).time_utc);
  EXPECT_NEAR(change.before, 1e6, 1e4);
  EXPECT_NEAR(change.after, 1.2e6, 1.2e4);
  EXPECT_EQ(judgement_.series[0].baseline, 31U);  // the level since, without the fresh runs
  EXPECT_EQ(result.findings[0].verdict, Verdict::unchanged);
  EXPECT_THAT(result.findings[0].note, HasSubstr(run_context(24).commit + ".." + run_context(25).commit));
  EXPECT_THAT(fact(result, "changes of level"), HasSubstr("1 in 1 of 1 metrics, 0 acknowledged"));

  // Accepted at the commit or near it; elsewhere it is none of its business.
  result = outcome({{"tiny seq 12 woFwd eval time", run_context(26).commit, "wider tiles"}});
  EXPECT_EQ(judgement_.series[0].changes[0].acknowledged, "wider tiles");
  EXPECT_THAT(result.findings[0].note, HasSubstr("acknowledged: wider tiles"));
  EXPECT_THAT(fact(result, "changes of level"), HasSubstr("1 acknowledged"));
  for (const Acknowledgement& other :
       {Acknowledgement{"tiny*", run_context(40).commit, "x"}, Acknowledgement{"qBwd", run_context(25).commit, "x"}}) {
    result = outcome({other});
    EXPECT_EQ(judgement_.series[0].changes[0].acknowledged, "");
    EXPECT_THAT(result.warnings, testing::Contains(HasSubstr("did not change at " + other.commit)));
  }
}

TEST_F(Histories, ASlowerMachineIsNoSlowerBuild) {
  const auto rows = [&](bool controls) {
    return [this, controls](const RunContext& run, int number) {
      const double machine = number >= 30 ? 1.15 : 1;
      std::vector<Record> result = {row(run, "woFwd", "eval", "time", 1e6 * machine * noise())};
      for (const char* name : {"a", "b", "c"})
        if (controls) result.push_back(row(run, name, "control", "time", 5e4 * machine * noise()));
      return result;
    };
  };
  append(0, 34, rows(true));
  Outcome result = outcome();
  ASSERT_EQ(result.findings.size(), 1U);  // controls are no findings
  EXPECT_EQ(result.findings[0].verdict, Verdict::unchanged);
  EXPECT_THAT(result.warnings, IsEmpty());
  EXPECT_THAT(fact(result, "m1, Apple M4, apple h16"), HasSubstr("3 controls"));
  // What is stored is what was measured.
  for (const HistorySeries& s : history_.lanes[0].series)
    if (s.key.kernel == "woFwd") {
      EXPECT_GT(*s.points[33].value, 1.1e6);
    }

  std::filesystem::remove_all(folder_ / "h");
  append(0, 34, rows(false));
  EXPECT_EQ(outcome().findings[0].verdict, Verdict::regressed);
}

TEST_F(Histories, RunsOfOneMomentAreNotFresh) {
  append(0, 36, [&](const RunContext& given, int number) {
    RunContext run = given;
    if (number >= 33) run.time_utc = "2026-02-01T00:0" + std::to_string(number - 33) + ":00Z";  // a minute apart
    return std::vector{row(run, "woFwd", "eval", "time", 1e6 * (number >= 33 ? 1.2 : 1) * noise())};
  });
  const Outcome result = outcome();
  // One of the three counts; the other three fresh runs are older and as they always were.
  EXPECT_NE(result.findings[0].verdict, Verdict::regressed);
  EXPECT_EQ(judgement_.series[0].fresh, 4U);
  EXPECT_THAT(result.warnings, testing::Contains(HasSubstr("2 of the last runs are less than 10 minutes")));
}

TEST_F(Histories, DeterministicChangesAreExactAndSaid) {
  append(0, 12, [&](const RunContext& run, int number) {
    std::vector<Record> rows = {row(run, "woFwd", "eval", "dispatches", number >= 10 ? 2 : 1),
                                row(run, "qBwd", "eval", "dispatches", number >= 3 ? 1 : 2),
                                row(run, "kvBwd", "eval", "dispatches", number >= 11 ? 1 : 2),
                                row(run, "woFwd", "validate", "max_ulp", number >= 11 ? 2.1 : 2.0),
                                row(run, "woFwd", "compile", "program_hash", {}, number >= 9 ? "bb" : "aa")};
    return rows;
  });
  const Outcome result = outcome();
  std::map<std::string, const Finding*> found;
  for (const Finding& f : result.findings) found[f.key.kernel + " " + f.key.metric] = &f;
  ASSERT_EQ(found.size(), 5U);
  EXPECT_EQ(found["woFwd dispatches"]->verdict, Verdict::regressed);
  EXPECT_THAT(found["woFwd dispatches"]->note,
              HasSubstr(run_context(9).commit + ".." + run_context(10).commit + " (2026-01-01T10:00:00Z): 1 -> 2"));
  EXPECT_EQ(found["qBwd dispatches"]->verdict, Verdict::unchanged);  // long ago
  EXPECT_THAT(found["qBwd dispatches"]->note, HasSubstr("2 -> 1"));
  EXPECT_EQ(found["kvBwd dispatches"]->verdict, Verdict::improved);
  EXPECT_EQ(found["woFwd max_ulp"]->verdict, Verdict::unchanged);  // within its tolerance
  EXPECT_EQ(found["woFwd program_hash"]->verdict, Verdict::not_comparable);
  EXPECT_THAT(found["woFwd program_hash"]->note, HasSubstr("aa -> bb"));
  EXPECT_EQ(exit_code(result, true), ExitCode::ok);
}

// An error of fp16 may grow by a tenth and half a spacing of what is stored: of values around 4 that is 0.002.
TEST_F(Histories, ErrorsMayGrowByHalfASpacingOfTheValues) {
  append(0, 12, [&](const RunContext& run, int number) {
    const double error = number >= 10 ? 0.0060 : 0.0040;
    return std::vector{
        row(run, "woFwd", "validate", "max_abs", error), row(run, "woFwd", "validate", "reference_rms", 4.0),
        row(run, "qBwd", "validate", "max_abs", error), row(run, "qBwd", "validate", "reference_rms", 0.25),
        row(run, "kvBwd", "validate", "max_abs", error)};
  });
  const Outcome result = outcome();
  std::map<std::string, Verdict> found;
  for (const Finding& f : result.findings)
    if (f.key.metric == "max_abs") found[f.key.kernel] = f.verdict;
  EXPECT_EQ(found, (std::map<std::string, Verdict>{
                       {"woFwd", Verdict::unchanged}, {"qBwd", Verdict::regressed}, {"kvBwd", Verdict::regressed}}));
}

TEST_F(Histories, FreshRunsThatWereAcceptedSaySo) {
  append(0, 34, [&](const RunContext& run, int number) {
    return std::vector{row(run, "woFwd", "eval", "time", 1e6 * (number >= 30 ? 1.1 : 1) * noise())};
  });
  const Outcome result = outcome({{"tiny seq 12 woFwd eval time", run_context(30).commit, "exact sums"}});
  EXPECT_EQ(result.findings[0].verdict, Verdict::regressed);
  EXPECT_THAT(result.findings[0].note, HasSubstr("acknowledged: exact sums"));
}

TEST_F(Histories, AnotherVersionOfABenchmarkIsANewSeries) {
  append(0, 34, [&](const RunContext& run, int number) {
    return std::vector{row(run, "woFwd", "eval", "benchmark", number >= 30 ? 2 : 1, "kernel/woFwd/eval"),
                       row(run, "woFwd", "eval", "time", 1e6 * (number >= 30 ? 3 : 1) * noise())};
  });
  const Outcome result = outcome();
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0].verdict, Verdict::inconclusive);  // in one series it had regressed
  EXPECT_EQ(judgement_.series[0].baseline, 0U);
  EXPECT_THAT(result.findings[0].note,
              HasSubstr("a new series since version 2 of its benchmark at " + run_context(30).commit));
}

TEST_F(Histories, NewConditionsAreSaidAndOldOnesEnd) {
  const auto rows = [&](const std::string& os) {
    return [this, os](const RunContext& given, int) {
      RunContext run = given;
      run.os = os;
      return std::vector{row(run, "woFwd", "eval", "time", 1e6 * noise())};
    };
  };
  append(0, 30, rows("macOS 26"));
  append(30, 32, rows("macOS 27"));
  Outcome result = outcome();
  EXPECT_EQ(result.findings.size(), 2U);  // both may go on
  EXPECT_THAT(fact(result, "new series"), HasSubstr("os 'macOS 26' -> 'macOS 27' with run run30"));
  append(32, 38, rows("macOS 27"));
  result = outcome();
  ASSERT_EQ(result.findings.size(), 1U);
  EXPECT_EQ(result.findings[0].verdict, Verdict::inconclusive);
  EXPECT_THAT(result.findings[0].note, HasSubstr("4 runs of a baseline, 20 are needed"));
}

TEST_F(Histories, WhatIsGoneOrFailsIsSaid) {
  append(0, 40, [&](const RunContext& run, int number) {
    std::vector<Record> rows = {row(run, "woFwd", "eval", "time", 1e6 * noise())};
    if (number < 30) rows.push_back(row(run, "qBwd", "eval", "time", 1e6));
    if (number == 39) {
      rows[0].value.reset();
      rows[0].status = Status::run_error;
      rows[0].reason = "the device failed";
    }
    return rows;
  });
  const Outcome result = outcome();
  ASSERT_EQ(result.findings.size(), 2U);
  EXPECT_EQ(result.findings[0].verdict, Verdict::removed);
  EXPECT_THAT(result.findings[0].note, HasSubstr("in none of the last 10 runs"));
  EXPECT_EQ(result.findings[1].verdict, Verdict::error);
  EXPECT_THAT(result.findings[1].note, HasSubstr("run_error in run run39"));
}

TEST_F(Histories, OnlyTheLastRunsAreLookedAt) {
  append(0, 230, [&](const RunContext& run, int number) {
    return std::vector{row(run, "woFwd", "eval", "time", 1e6 * (number < 25 ? 2 : 1) * noise())};
  });
  outcome();
  EXPECT_EQ(judgement_.series[0].baseline, 196U);
  EXPECT_THAT(judgement_.series[0].changes, IsEmpty());
}

}  // namespace
}  // namespace aneval::gate
