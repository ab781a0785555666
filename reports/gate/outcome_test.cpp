#include "reports/gate/outcome.h"

#include <gmock/gmock.h>

namespace aneval::gate {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Finding finding(Verdict verdict, Kind kind = Kind::timing, bool gating = true) {
  Finding f;
  f.verdict = verdict;
  f.kind = kind;
  f.gating = gating;
  return f;
}

Outcome outcome(std::vector<Finding> findings) {
  Outcome o;
  o.findings = std::move(findings);
  return o;
}

TEST(ExitCode, OfEveryKindOfOutcome) {
  const auto code = [](std::vector<Finding> f, bool strict = false) {
    return exit_code(outcome(std::move(f)), strict);
  };
  const Finding same = finding(Verdict::unchanged), open = finding(Verdict::inconclusive);
  EXPECT_EQ(code({same}), ExitCode::ok);
  EXPECT_EQ(code({same, finding(Verdict::improved), finding(Verdict::added), finding(Verdict::not_comparable)}),
            ExitCode::ok);
  EXPECT_EQ(code({same, finding(Verdict::regressed)}), ExitCode::check_failed);
  EXPECT_EQ(code({same, finding(Verdict::removed)}), ExitCode::missing);
  EXPECT_EQ(code({same, finding(Verdict::error)}), ExitCode::missing);
  for (const Kind kind : {Kind::exact, Kind::tolerance, Kind::contract})
    EXPECT_EQ(code({same, finding(Verdict::regressed, kind)}), ExitCode::deterministic);
  EXPECT_EQ(code({same, open}), ExitCode::ok);
  EXPECT_EQ(code({same, open}, true), ExitCode::refused);
}

TEST(ExitCode, NothingComparedIsAFailure) {
  EXPECT_EQ(exit_code(outcome({}), false), ExitCode::missing);
  EXPECT_EQ(exit_code(outcome({finding(Verdict::added)}), false), ExitCode::missing);
  EXPECT_EQ(exit_code(outcome({finding(Verdict::not_comparable)}), false), ExitCode::missing);
}

TEST(ExitCode, TheFirstThatAppliesOfRefusedDeterministicMissingSlower) {
  Outcome o =
      outcome({finding(Verdict::regressed), finding(Verdict::removed), finding(Verdict::regressed, Kind::exact)});
  EXPECT_EQ(exit_code(o, false), ExitCode::deterministic);
  o.findings.pop_back();
  EXPECT_EQ(exit_code(o, false), ExitCode::missing);
  o.findings.push_back(finding(Verdict::regressed, Kind::exact));
  o.refusals.push_back("the chips differ");
  EXPECT_EQ(exit_code(o, false), ExitCode::refused);
}

TEST(ExitCode, WhatDoesNotGateFailsNothing) {
  const Finding same = finding(Verdict::unchanged);
  for (const Verdict verdict : {Verdict::regressed, Verdict::removed, Verdict::error, Verdict::inconclusive})
    EXPECT_EQ(exit_code(outcome({same, finding(verdict, Kind::timing, false)}), true), ExitCode::ok);
  EXPECT_EQ(exit_code(outcome({finding(Verdict::regressed, Kind::timing, false)}), false), ExitCode::ok)
      << "something was compared";
}

TEST(Headline, SaysTheWorstFirst) {
  EXPECT_EQ(
      headline(outcome({finding(Verdict::unchanged), finding(Verdict::regressed), finding(Verdict::regressed)}), false),
      "FAILED: 2 timings slower, 1 unchanged");
  EXPECT_THAT(headline(outcome({finding(Verdict::unchanged)}), false), StartsWith("PASSED"));
  EXPECT_THAT(headline(outcome({finding(Verdict::unchanged), finding(Verdict::inconclusive)}), true),
              StartsWith("INCONCLUSIVE"));
  EXPECT_THAT(headline(outcome({}), false), HasSubstr("nothing was compared"));
  Outcome refused;
  refused.refusals = {"chips differ: M1, M4"};
  EXPECT_EQ(headline(refused, false), "REFUSED: chips differ: M1, M4");
}

TEST(Finding, ItsNameIsItsKeyInWords) {
  Finding f;
  f.key = {.model = "Qwen3-0.6B", .kernel = "woFwd", .phase = "eval", .metric = "time", .seq = 256};
  EXPECT_EQ(f.name(), "Qwen3-0.6B seq 256 woFwd eval time");
}

}  // namespace
}  // namespace aneval::gate
