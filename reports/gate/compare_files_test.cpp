#include "reports/gate/compare_files.h"

#include <gmock/gmock.h>

#include <cmath>

#include "common/random.h"
#include "reports/gate/test_rows.h"

namespace aneval::gate {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// Processes with five repetitions each, log-normal with a spread of 1 % between processes and within them.
std::vector<Record> timed(double ns, std::int64_t processes, std::uint64_t seed, const std::string& kernel = "woFwd") {
  std::vector<Record> rows;
  Random random(seed, kernel);
  for (std::int64_t proc = 0; proc < processes; ++proc) {
    std::vector<float> noise(6);
    random.fill_normal(noise, 0.01);
    for (std::int64_t rep = 0; rep < 5; ++rep)
      rows.push_back(value_row(kernel, "eval", "time",
                               ns * std::exp(noise[0] + noise[static_cast<std::size_t>(rep) + 1]), proc, rep));
  }
  return rows;
}

Finding timing(const Outcome& outcome) {
  for (const Finding& f : outcome.findings)
    if (f.kind == Kind::timing) return f;
  ADD_FAILURE() << "no timing";
  return {};
}

Outcome compared(const std::vector<Record>& base, const std::vector<Record>& now) {
  return compare_sides(side_of(base), side_of(now), true);
}

TEST(CompareFiles, ManyProcessesAreTestedAndFailNothing) {
  const Outcome slower = compared(timed(1e6, 12, 1), timed(1.2e6, 12, 2));
  const Finding f = timing(slower);
  EXPECT_EQ(f.verdict, Verdict::regressed);
  EXPECT_NEAR(*f.change, 0.2, 0.02);
  EXPECT_LT(*f.low, *f.change);
  EXPECT_GT(*f.high, *f.change);
  EXPECT_LT(*f.p, 1e-4);
  EXPECT_EQ(f.tolerance, 0.03);
  EXPECT_FALSE(f.gating);
  EXPECT_EQ(exit_code(slower, true), ExitCode::ok);
  EXPECT_THAT(slower.warnings, IsEmpty());
  EXPECT_EQ(timing(compared(timed(1.2e6, 12, 1), timed(1e6, 12, 2))).verdict, Verdict::improved);
}

TEST(CompareFiles, AgainstItselfNothingChanged) {
  const auto rows = timed(1e6, 12, 1);
  const Outcome outcome = compared(rows, rows);
  EXPECT_EQ(timing(outcome).verdict, Verdict::unchanged);
  EXPECT_GT(*timing(outcome).p, 0.9);
  EXPECT_EQ(exit_code(outcome, true), ExitCode::ok);
}

TEST(CompareFiles, FewProcessesAreInconclusiveAndSayWhatTheyCouldFind) {
  const Outcome outcome = compared(timed(1e6, 3, 1), timed(1.2e6, 3, 2));
  EXPECT_EQ(timing(outcome).verdict, Verdict::inconclusive);
  EXPECT_TRUE(std::isinf(*timing(outcome).detectable));
  EXPECT_EQ(exit_code(outcome, true), ExitCode::ok) << "advisory, also with --strict";
}

TEST(CompareFiles, OneProcessIsAComparisonOfMedians) {
  const Outcome far = compared(timed(1e6, 1, 1), timed(1.2e6, 1, 2)),
                near = compared(timed(1e6, 1, 1), timed(1e6, 1, 1));
  EXPECT_EQ(timing(far).verdict, Verdict::inconclusive);
  EXPECT_FALSE(timing(far).p);
  EXPECT_EQ(timing(near).verdict, Verdict::unchanged);
  EXPECT_THAT(far.warnings, Contains(HasSubstr("1 of 1 timings have one process on a side")));
}

TEST(CompareFiles, MoreProcessesThanTheExactTestTakes) {
  EXPECT_EQ(timing(compared(timed(1e6, 230, 1), timed(1.1e6, 230, 2))).verdict, Verdict::regressed);
}

TEST(CompareFiles, ControlsAreNoFindingsAndTakeTheMomentOut) {
  // The machine was 10 % slower when NEW was measured, and so were the controls.
  const auto measured = [](double factor, double woFwd, std::uint64_t seed) {
    auto rows = timed(factor * woFwd, 12, seed);
    for (const char* name : {"chain", "copy", "chase"})
      for (Record row : timed(factor * 5e4, 12, seed, name)) {
        row.phase = "control";
        rows.push_back(std::move(row));
      }
    return rows;
  };
  const Outcome same = compared(measured(1, 1e6, 1), measured(1.1, 1e6, 2));
  EXPECT_THAT(same.findings, SizeIs(1));
  EXPECT_EQ(timing(same).verdict, Verdict::unchanged);
  const Outcome slower = compared(measured(1, 1e6, 1), measured(1.1, 1.08e6, 2));
  EXPECT_EQ(timing(slower).verdict, Verdict::regressed);
  EXPECT_NEAR(*timing(slower).change, 0.08, 0.02);
}

TEST(CompareFiles, ABenchmarkOfAnotherVersionIsAnotherBenchmark) {
  auto base = timed(1e6, 12, 1), now = timed(1.5e6, 12, 2);
  for (auto* rows : {&base, &now}) {
    Record row = value_row("woFwd", "eval", "benchmark", rows == &base ? 1 : 2);
    row.text = "woFwd/eval/tiny";
    rows->push_back(row);
  }
  const Finding f = timing(compared(base, now));
  EXPECT_EQ(f.verdict, Verdict::not_comparable);
  EXPECT_THAT(f.note, HasSubstr("versions differ"));
  EXPECT_EQ(exit_code(compared(base, now), true), ExitCode::missing) << "nothing else was compared";
}

TEST(CompareFiles, ATimeThatNoClockGivesIsAnError) {
  for (const double ns : {0.0, -1.0}) {
    const Outcome outcome = compared({value_row("woFwd", "eval", "time", 5)}, {value_row("woFwd", "eval", "time", ns)});
    EXPECT_EQ(timing(outcome).verdict, Verdict::error);
    EXPECT_THAT(timing(outcome).note, HasSubstr("is no time"));
    EXPECT_EQ(exit_code(outcome, false), ExitCode::missing);
  }
  Side base = side_of({value_row("woFwd", "eval", "time", 5)}), now = base;
  now.samples.begin()->second.processes.begin()->second = {std::nan("")};
  EXPECT_EQ(timing(compare_sides(base, now, true)).verdict, Verdict::error);
}

TEST(CompareFiles, WarnsOfRepetitions) {
  auto many = timed(1e6, 2, 1), one = std::vector{many.front(), many.at(5)};
  EXPECT_THAT(compared(many, one).warnings,
              ElementsAre(AllOf(HasSubstr("1 of 1"), HasSubstr("10 of 2 processes and 2 of 2")),
                          HasSubstr("single repetition in a process")));
  EXPECT_THAT(compared(timed(1e6, 2, 1), timed(1e6, 3, 1)).warnings,
              Contains(HasSubstr("other numbers of repetitions on the two sides, all of which are used")));
}

TEST(CompareFiles, ATimeOfAStepThatVanished) {
  Record whole = value_row("layer", "eval", "time", 5), step = value_row("layer", "eval", "time", 2);
  step.item = "step";
  const Outcome gone = compared({whole, step}, {whole}), added = compared({whole}, {whole, step});
  EXPECT_EQ(gone.count(Verdict::removed), 1U);
  EXPECT_EQ(exit_code(gone, false), ExitCode::missing);
  EXPECT_EQ(added.count(Verdict::added), 1U);
  EXPECT_EQ(exit_code(added, false), ExitCode::ok);
}

TEST(CompareFiles, WithoutTimingThereIsNone) {
  const Side side = side_of({value_row("woFwd", "eval", "time", 5), value_row("woFwd", "eval", "bytes", 5)});
  const Outcome outcome = compare_sides(side, side, false);
  ASSERT_THAT(outcome.findings, SizeIs(1));
  EXPECT_EQ(outcome.findings[0].kind, Kind::exact);
}

TEST(CompareFiles, NothingInCommonIsAFailure) {
  EXPECT_EQ(exit_code(compared({value_row("a", "eval", "bytes", 5)}, {value_row("a", "eval", "headroom", 5)}), false),
            ExitCode::missing);
  EXPECT_EQ(exit_code(compared({}, {}), false), ExitCode::missing);
}

TEST(CompareFiles, RefusesOtherSettings) {
  struct Case {
    std::string RunContext::* field;
    const char* name;
  };
  for (const Case& c : {Case{&RunContext::chip, "chip 'Apple M4' and 'x'"},
                        {&RunContext::os, "os 'macOS 26.3.1 (25D2128)' and 'x'"},
                        {&RunContext::build, "build 'release-gcc12-avx2' and 'x'"},
                        {&RunContext::backend, "backend 'emulator' and 'x'"},
                        {&RunContext::profile, "profile 'h16' and 'x'"}}) {
    const Record base = value_row("woFwd", "eval", "bytes", 5);
    Record now = base;
    now.run.*c.field = "x";
    Outcome outcome = compared({base}, {now});
    EXPECT_THAT(outcome.refusals, ElementsAre(HasSubstr(c.name)));
    EXPECT_THAT(outcome.findings, IsEmpty());
    EXPECT_EQ(exit_code(outcome, false), ExitCode::refused);
    now.run.proc = 1;
    outcome = compared({base}, {base, now});
    EXPECT_THAT(outcome.refusals,
                ElementsAre(AllOf(HasSubstr("new side (r.csv) has rows of several settings"), HasSubstr(c.name))));
  }
}

TEST(CompareFiles, AnotherMachineIsAWarningAnotherCommitIsTheReason) {
  const Record base = value_row("woFwd", "eval", "bytes", 5);
  Record now = base;
  now.run.commit = "c1";
  EXPECT_THAT(compared({base}, {now}).warnings, IsEmpty());
  now.run.machine = "other";
  const Outcome outcome = compared({base}, {now});
  EXPECT_THAT(outcome.warnings, ElementsAre(HasSubstr("machine 'm' and 'other'")));
  EXPECT_THAT(outcome.refusals, IsEmpty());
  EXPECT_THAT(outcome.facts, Contains(testing::Pair("new", HasSubstr("commit c1"))));
}

TEST(CompareFiles, RefusesAnotherSchema) {
  const TemporaryFolder folder;
  write_file(folder / "a.csv", csv_text({value_row("woFwd", "eval", "bytes", 5)}));
  write_file(folder / "b.csv", std::string_view("schema,more\n2,3\n"));
  const Outcome outcome = compare_files({folder / "a.csv"}, {folder / "b.csv"}, true);
  EXPECT_THAT(outcome.refusals, ElementsAre("the sides have schema '1' and '2'"));
  EXPECT_EQ(error_of([&] { compare_files({folder / "b.csv"}, {folder / "b.csv"}, true); }).code(), ExitCode::bad_input);
}

}  // namespace
}  // namespace aneval::gate
