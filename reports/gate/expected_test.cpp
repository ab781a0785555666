#include "reports/gate/expected.h"

#include <gmock/gmock.h>

#include "common/test_support.h"

namespace aneval::gate {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string error_in(std::string_view text) {
  const Error error = error_of([&] { expected_changes_of(text, "c.csv"); });
  EXPECT_EQ(error.code(), ExitCode::bad_input);
  return error.what();
}

TEST(ExpectedChanges, ReadsQuotedFieldsAndBothLineEnds) {
  const auto changes = expected_changes_of("name,reason\r\nwoFwd*,\"one, \"\"two\"\"\"\r\n\n\"a,b\",why\n", "c.csv");
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].name, "woFwd*");
  EXPECT_EQ(changes[0].reason, "one, \"two\"");
  EXPECT_EQ(changes[1].name, "a,b");
  EXPECT_THAT(expected_changes_of("name,reason\n", "c.csv"), IsEmpty());
}

TEST(ExpectedChanges, ErrorsNameTheLine) {
  EXPECT_THAT(error_in(""), AllOf(HasSubstr("c.csv:1"), HasSubstr("empty")));
  EXPECT_THAT(error_in("name;reason\n"), AllOf(HasSubstr("c.csv:1"), HasSubstr("header")));
  EXPECT_THAT(error_in("name,reason\na,b\nc\n"), AllOf(HasSubstr("c.csv:3"), HasSubstr("1 fields")));
  EXPECT_THAT(error_in("name,reason\na,b,c\n"), HasSubstr("3 fields"));
  EXPECT_THAT(error_in("name,reason\na,\n"), AllOf(HasSubstr("c.csv:2"), HasSubstr("'a' has no reason")));
  EXPECT_THAT(error_in("name,reason\n,b\n"), HasSubstr("name is empty"));
  EXPECT_THAT(error_in("name,reason\na,b\na,c\n"), AllOf(HasSubstr("c.csv:3"), HasSubstr("'a' appears twice")));
  for (const char* line : {"\"a,b", "\"a\"x,b", "a\"b,c"})
    EXPECT_THAT(error_in(std::string("name,reason\n") + line + "\n"), HasSubstr("quote")) << line;
}

Outcome two_regressions() {
  Outcome outcome;
  for (const char* kernel : {"woFwd", "qBwd", "kvBwd"}) {
    Finding f;
    f.key.kernel = kernel;
    f.key.metric = "bytes";
    f.benchmark = std::string(kernel) + "/eval/tiny";
    f.kind = Kind::exact;
    f.verdict = f.key.kernel == "kvBwd" ? Verdict::unchanged : Verdict::regressed;
    outcome.findings.push_back(f);
  }
  return outcome;
}

TEST(Acknowledge, ByNameBenchmarkOrPrefix) {
  for (const char* name : {"woFwd bytes", "woFwd/eval/tiny", "woFwd*", "woFwd/ev*"}) {
    Outcome outcome = two_regressions();
    acknowledge(outcome, {{name, "meant"}});
    EXPECT_EQ(outcome.findings[0].expected, "meant") << name;
    EXPECT_FALSE(outcome.findings[0].gating);
    EXPECT_TRUE(outcome.findings[1].gating);
    EXPECT_THAT(outcome.warnings, IsEmpty());
    EXPECT_EQ(exit_code(outcome, false), ExitCode::deterministic);
    acknowledge(outcome, {{"*", "all of it"}});
    EXPECT_EQ(exit_code(outcome, false), ExitCode::ok);
    EXPECT_TRUE(outcome.findings[2].expected.empty()) << "it did not change";
  }
}

TEST(Acknowledge, UnusedEntriesAreWarnings) {
  Outcome outcome = two_regressions();
  acknowledge(outcome, {{"kvBwd bytes", "did not change"}, {"woFwd", "no prefix without *"}});
  EXPECT_THAT(outcome.warnings, ElementsAre(HasSubstr("'kvBwd bytes'"), HasSubstr("'woFwd'")));
  EXPECT_EQ(outcome.count(Verdict::regressed), 2U);
  Outcome refused;
  refused.refusals = {"chip"};
  acknowledge(refused, {{"x", "y"}});
  EXPECT_THAT(refused.warnings, IsEmpty());
}

}  // namespace
}  // namespace aneval::gate
