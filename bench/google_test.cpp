#include "bench/google.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <sstream>

#include "common/files.h"
#include "common/test_support.h"

namespace aneval::bench {
namespace {

using testing::HasSubstr;

void expect_wrong(const std::string& flag, const std::string& message) {
  const Error error = error_of([&] { GoogleFlags flags({flag}); });
  EXPECT_EQ(error.code(), ExitCode::bad_input) << flag;
  EXPECT_THAT(error.what(), HasSubstr(message));
}

TEST(GoogleFlags, ValuesThatMakeNoSense) {
  expect_wrong("--benchmark_repetitions=0", "is not a number of repetitions");
  expect_wrong("--benchmark_repetitions=-3", "is not a number of repetitions");
  expect_wrong("--benchmark_repetitions=many", "--benchmark_repetitions=");
  expect_wrong("--benchmark_min_time=0", "is not a time above 0");
  expect_wrong("--benchmark_min_time=-1s", "is not a time above 0");
  expect_wrong("--benchmark_min_time=nan", "is not a time above 0");
  expect_wrong("--benchmark_min_time=soon", "--benchmark_min_time=");
  expect_wrong("--benchmark_format=xml", "format 'xml': unknown");
  expect_wrong("--benchmark_out=/nonexistent/folder/b.json", "does not exist");
  expect_wrong("--benchmark_out_format=json", "give --benchmark_out=FILE too");
}

TEST(GoogleFlags, TheLastValueCounts) {
  const GoogleFlags flags({"--benchmark_min_time=0.1", "--benchmark_min_time=0.05s", "--benchmark_list_tests"});
  // Written as this version of Google Benchmark reads it.
  EXPECT_THAT(flags.value("min_time"), testing::AnyOf("0.05", "0.05s"));
  EXPECT_TRUE(flags.list_only());
  EXPECT_FALSE(GoogleFlags({"--benchmark_list_tests=false"}).list_only());
  EXPECT_EQ(GoogleFlags({}).value("filter"), "");
}

TEST(GoogleFlags, TheEnvironmentCountsWhereTheCommandLineIsSilent) {
  ::setenv("BENCHMARK_OUT_FORMAT", "csv", 1);
  EXPECT_EQ(GoogleFlags({"--benchmark_out=/dev/null"}).value("out_format"), "csv");
  EXPECT_EQ(GoogleFlags({"--benchmark_out=/dev/null", "--benchmark_out_format=json"}).value("out_format"), "json");
  ::unsetenv("BENCHMARK_OUT_FORMAT");
}

TEST(GoogleFlags, UnknownFlagsAreNamed) {
  const GoogleFlags flags({"--benchmark_filtre=x"});
  EXPECT_THAT(error_of([&] { flags.initialize(); }).what(), HasSubstr("--benchmark_filtre=x"));
}

TEST(Filter, ChoosesAsGoogleBenchmarkDoes) {
  EXPECT_TRUE(Filter("").chooses("woFwd/eval"));
  EXPECT_TRUE(Filter("all").chooses("woFwd/eval"));
  EXPECT_TRUE(Filter("eval").chooses("woFwd/eval"));
  EXPECT_FALSE(Filter("^eval").chooses("woFwd/eval"));
  EXPECT_TRUE(Filter("(wo|w1)Fwd/(eval|read)$").chooses("woFwd/eval"));
  EXPECT_FALSE(Filter("-eval").chooses("woFwd/eval"));
  EXPECT_TRUE(Filter("-eval").chooses("woFwd/read"));
}

TEST(Filter, NoRegularExpression) {
  EXPECT_THAT(error_of([] { Filter filter("(("); }).what(), HasSubstr("is no regular expression"));
}

TEST(Reporters, JsonNamesNoHost) {
  const GoogleFlags flags({"--benchmark_out=/dev/null"});
  const auto reporter = file_reporter(flags, "label \"7\"");
  ASSERT_NE(reporter, nullptr);
  std::ostringstream out;
  reporter->SetOutputStream(&out);
  benchmark::BenchmarkReporter::Context context;
  EXPECT_TRUE(reporter->ReportContext(context));
  EXPECT_THAT(out.str(), HasSubstr(R"("host_name": "label \"7\"",)"));
  const std::string host = benchmark::SystemInfo::Get().name;
  EXPECT_THAT(out.str(), testing::Not(HasSubstr("\"host_name\": \"" + host + "\"")));
}

TEST(Reporters, NoFileNoReporter) { EXPECT_EQ(file_reporter(GoogleFlags({}), "m"), nullptr); }

}  // namespace
}  // namespace aneval::bench
