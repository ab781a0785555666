#include "reports/gate/deterministic.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "reports/gate/rules.h"
#include "reports/gate/test_rows.h"

namespace aneval::gate {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<Finding> judged(const std::vector<Record>& base, const std::vector<Record>& now) {
  return judge_deterministic(side_of(base).samples, side_of(now).samples);
}

Finding only(const std::vector<Finding>& findings) {
  EXPECT_THAT(findings, SizeIs(1));
  return findings.empty() ? Finding() : findings.front();
}

Finding metric(const std::string& name, double base, double now) {
  return only(judged({value_row("woFwd", "eval", name, base)}, {value_row("woFwd", "eval", name, now)}));
}

TEST(Exact, FewerIsBetterAndMoreFails) {
  EXPECT_EQ(metric("dispatches", 3, 3).verdict, Verdict::unchanged);
  const Finding worse = metric("dispatches", 3, 4);
  EXPECT_EQ(worse.verdict, Verdict::regressed);
  EXPECT_EQ(worse.kind, Kind::exact);
  EXPECT_TRUE(worse.gating);
  EXPECT_DOUBLE_EQ(*worse.change, 1.0 / 3);
  const Finding better = metric("dispatches", 3, 2);
  EXPECT_EQ(better.verdict, Verdict::improved);
  EXPECT_THAT(better.note, HasSubstr("update the baseline"));
  EXPECT_EQ(metric("defects_found", 3, 4).verdict, Verdict::improved);
  EXPECT_EQ(metric("defects_found", 3, 2).verdict, Verdict::regressed);
  EXPECT_EQ(metric("layers", 3, 2).verdict, Verdict::regressed);
  EXPECT_EQ(metric("layers", 2, 3).verdict, Verdict::regressed);
}

TEST(Exact, WhatIsNoCountIsAnError) {
  for (const double value : {2.5, 0x1p54, -0x1p60})
    for (const bool base : {true, false}) {
      const Finding f = base ? metric("bytes", value, 3) : metric("bytes", 3, value);
      EXPECT_EQ(f.verdict, Verdict::error) << value;
      EXPECT_THAT(f.note, HasSubstr("whole number"));
    }
  EXPECT_EQ(metric("bytes", 0x1p53, 0x1p53).verdict, Verdict::unchanged);
}

TEST(Exact, HashesAreTheSame) {
  const auto hashes = [](const std::string& a, const std::string& b) {
    return only(judged({text_row("woFwd", "program_hash", a)}, {text_row("woFwd", "program_hash", b)}));
  };
  EXPECT_EQ(hashes("aa", "aa").verdict, Verdict::unchanged);
  const Finding other = hashes("aa", "bb");
  EXPECT_EQ(other.verdict, Verdict::regressed);
  EXPECT_EQ(other.base_text, "aa");
  EXPECT_EQ(other.now_text, "bb");
}

TEST(Exact, ValuesThatDifferOnOneSideAreAnError) {
  const std::vector<Record> same = {value_row("woFwd", "eval", "bytes", 1)};
  const std::vector<Record> mixed = {value_row("woFwd", "eval", "bytes", 1, 0),
                                     value_row("woFwd", "eval", "bytes", 2, 1)};
  EXPECT_EQ(only(judged(same, mixed)).verdict, Verdict::error);
  EXPECT_THAT(only(judged(mixed, same)).note, HasSubstr("1 and 2 on the base side"));
  Record a = text_row("woFwd", "program_hash", "aa"), b = text_row("woFwd", "program_hash", "bb");
  b.run.proc = 1;
  EXPECT_THAT(only(judged({a}, {a, b})).note, HasSubstr("aa and bb on the new side"));
}

TEST(Exact, StepsOfARunCountTogether) {
  const auto steps = [](std::vector<double> counts) {
    std::vector<Record> rows;
    for (const double count : counts) {
      rows.push_back(value_row("", "train_step", "compile_count", count));
      rows.back().step = static_cast<std::int64_t>(rows.size());
    }
    return rows;
  };
  EXPECT_EQ(only(judged(steps({10, 0, 0}), steps({0, 0, 10}))).verdict, Verdict::unchanged);
  EXPECT_EQ(only(judged(steps({10, 0, 0}), steps({10, 1, 0}))).verdict, Verdict::regressed);
  EXPECT_EQ(only(judged(steps({10, 0, 0}), steps({10, 1, 0}))).now, 11);
}

TEST(Tolerance, ContractBaseAndSlack) {
  EXPECT_EQ(metric("bound_ratio", 0.5, 0.59).verdict, Verdict::unchanged);  // 0.5·1.1 + 0.05
  EXPECT_EQ(metric("bound_ratio", 0.5, 0.61).verdict, Verdict::regressed);
  EXPECT_EQ(metric("bound_ratio", 0.99, 1.01).verdict, Verdict::regressed);
  EXPECT_THAT(metric("bound_ratio", 0.99, 1.01).note, HasSubstr("contract of 1"));
  EXPECT_EQ(metric("bound_ratio", 1.01, 1.01).verdict, Verdict::regressed);
  EXPECT_EQ(metric("bound_ratio", 0.5, 0.4).verdict, Verdict::improved);
  EXPECT_EQ(metric("bound_ratio", 0.5, 0.45).verdict, Verdict::unchanged);
}

TEST(Tolerance, DecibelsAndCosinesAreBetterWhenHigher) {
  EXPECT_EQ(metric("snr_db", 60, 59.6).verdict, Verdict::unchanged);
  EXPECT_EQ(metric("snr_db", 60, 59.4).verdict, Verdict::regressed);
  EXPECT_EQ(metric("snr_db", 60, 60.6).verdict, Verdict::improved);
  EXPECT_EQ(metric("cosine", 1, 0.9996).verdict, Verdict::unchanged);
  EXPECT_EQ(metric("cosine", 1, 0.9994).verdict, Verdict::regressed);
}

TEST(Tolerance, TheSlackOfAbsoluteErrorsIsAShareOfTheReference) {
  const auto error = [](double base, double now, std::optional<double> scale) {
    std::vector<Record> a = {value_row("woFwd", "eval", "max_abs", base)},
                        b = {value_row("woFwd", "eval", "max_abs", now)};
    if (scale) a.push_back(value_row("woFwd", "eval", "reference_rms", *scale));
    return only(judged(a, b)).verdict;
  };
  EXPECT_EQ(error(0, 0x1p-12, 1), Verdict::unchanged);
  EXPECT_EQ(error(0, 0x1p-10, 1), Verdict::regressed);
  EXPECT_EQ(error(0, 0x1p-10, 4), Verdict::unchanged);
  EXPECT_EQ(error(0, 0x1p-20, {}), Verdict::regressed) << "a case that was exact has no slack";
}

TEST(Tolerance, WhatIsNotFiniteFails) {
  SampleMap base = side_of({value_row("woFwd", "eval", "rms", 1)}).samples, now = base;
  for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    now.begin()->second.processes.begin()->second = {value};
    EXPECT_EQ(only(judge_deterministic(base, now)).verdict, Verdict::regressed);
    EXPECT_EQ(only(judge_deterministic(now, now)).verdict, Verdict::regressed);
    EXPECT_EQ(only(judge_deterministic(now, base)).verdict, Verdict::improved);
  }
}

TEST(Tolerance, ABlockThatBecameExactHasNoDecibels) {
  const Record exact = value_row("woFwd", "eval", "max_abs", 0), inexact = value_row("woFwd", "eval", "max_abs", 0.1),
               snr = value_row("woFwd", "eval", "snr_db", 60);
  std::vector<Finding> f = judged({inexact, snr}, {exact});
  ASSERT_THAT(f, SizeIs(2));
  EXPECT_EQ(f[1].key.metric, "snr_db");
  EXPECT_EQ(f[1].verdict, Verdict::improved);
  f = judged({inexact, snr}, {inexact});
  ASSERT_THAT(f, SizeIs(2));
  EXPECT_EQ(f[1].verdict, Verdict::removed);
}

TEST(Contract, EveryChangeOfStatus) {
  struct Case {
    Status base, now;
    Verdict verdict;
    bool gating = true;
  };
  const std::vector<Case> cases = {
      {Status::ok, Status::degraded, Verdict::regressed},
      {Status::ok, Status::wrong_result, Verdict::regressed},
      {Status::ok, Status::nonfinite, Verdict::regressed},
      {Status::ok, Status::not_on_engine, Verdict::regressed},
      {Status::degraded, Status::unstable, Verdict::regressed},
      {Status::ok, Status::run_error, Verdict::error},
      {Status::ok, Status::compile_timeout, Verdict::error},
      {Status::ok, Status::skipped, Verdict::error},
      {Status::degraded, Status::ok, Verdict::improved},
      {Status::run_error, Status::ok, Verdict::improved},
      {Status::wrong_result, Status::degraded, Verdict::improved},
      {Status::skipped, Status::ok, Verdict::improved},
      {Status::skipped, Status::wrong_result, Verdict::regressed},
      {Status::degraded, Status::degraded, Verdict::unchanged},
      {Status::wrong_result, Status::wrong_result, Verdict::error, false},
      {Status::run_error, Status::run_error, Verdict::error, false},
      {Status::run_error, Status::wrong_result, Verdict::error, false},
  };
  for (const Case& c : cases) {
    const Finding f = only(judged({status_row("woFwd", c.base)}, {status_row("woFwd", c.now)}));
    EXPECT_EQ(f.verdict, c.verdict) << status_name(c.base) << " " << status_name(c.now);
    EXPECT_EQ(f.gating, c.gating) << status_name(c.base) << " " << status_name(c.now);
    EXPECT_EQ(f.kind, Kind::contract);
    EXPECT_EQ(f.now_text, status_name(c.now));
    EXPECT_THAT(f.note, HasSubstr("because"));
  }
  EXPECT_THAT(judged({status_row("woFwd", Status::constraint)}, {status_row("woFwd", Status::skipped)}), IsEmpty());
}

TEST(Contract, AValidatedCaseThatHoldsIsAFinding) {
  const std::vector<Record> rows = {status_row("woFwd", Status::ok, "validate"),
                                    value_row("woFwd", "validate", "nan_count", 0)};
  EXPECT_THAT(judged(rows, rows), SizeIs(2));
}

TEST(Presence, AThingThatIsMissingIsOneFinding) {
  const std::vector<Record> one = {value_row("woFwd", "eval", "bytes", 1)};
  std::vector<Record> two = one;
  two.push_back(value_row("qBwd", "eval", "bytes", 1));
  two.push_back(value_row("qBwd", "eval", "time", 1));
  two.push_back(value_row("qBwd", "eval", "dispatches", 1));
  for (const bool removed : {true, false}) {
    const std::vector<Finding> f = removed ? judged(two, one) : judged(one, two);
    ASSERT_THAT(f, SizeIs(2));
    const Finding& missing = f[0].kind == Kind::contract ? f[0] : f[1];
    EXPECT_EQ(missing.verdict, removed ? Verdict::removed : Verdict::added);
    EXPECT_EQ(missing.name(), "tiny seq 12 qBwd eval");
  }
}

TEST(Presence, AFailedThingIsOneFinding) {
  const std::vector<Finding> f =
      judged({value_row("woFwd", "eval", "bytes", 1), value_row("woFwd", "eval", "dispatches", 1)},
             {status_row("woFwd", Status::run_timeout)});
  EXPECT_EQ(only(f).verdict, Verdict::error);
}

TEST(Presence, RowsThatNobodyJudgesAreNothing) {
  EXPECT_THAT(judged({value_row("woFwd", "profile", "acc_peak", 1)}, {value_row("", "power", "headroom", 1)}),
              IsEmpty());
}

TEST(IsTimed, NotTheDurationOfAValidation) {
  EXPECT_TRUE(is_timed({.phase = "eval", .metric = "time"}));
  EXPECT_FALSE(is_timed({.phase = "validate", .metric = "time"}));
  EXPECT_FALSE(is_timed({.phase = "self_test", .metric = "time"}));
  EXPECT_FALSE(is_timed({.phase = "eval", .metric = "cpu_time"}));
}

}  // namespace
}  // namespace aneval::gate
