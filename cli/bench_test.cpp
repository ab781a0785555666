// aneval bench and aneval report: what users and scripts see.
#include <signal.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "cli/cli_fixture.h"
#include "common/error.h"
#include "common/test_support.h"
#include "common/vocabulary.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class BenchCommand : public Cli {
 protected:
  ProcessResult bench(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"bench", "--model", path("tiny.json"), "--benchmark_min_time=0.001"});
    return run(arguments);
  }
  void expect_bad(std::vector<std::string> arguments, const std::string& text) const {
    arguments.insert(arguments.begin(), {"bench", "--model", path("tiny.json")});
    expect_bad_input(arguments, text);
  }
  static std::vector<Record> rows_with(const std::vector<Record>& rows, const std::string& metric,
                                       const std::string& phase = {}) {
    std::vector<Record> found;
    for (const Record& row : rows)
      if (row.metric == metric && (phase.empty() || row.phase == phase)) found.push_back(row);
    return found;
  }
};

TEST_F(BenchCommand, WritesRecordsBesideGooglesOwnOutputs) {
  const ProcessResult result =
      bench({"--kernel", "sdpaFwd", "--out", path("b.csv"), "--benchmark_out=" + path("b.json"), "--machine-label",
             "m1", "--run-id", "night", "--proc", "4"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("sdpaFwd/eval/tiny/seq=12/manual_time"));
  EXPECT_THAT(result.out, HasSubstr("emulator h16"));  // every number says where it is from
  EXPECT_THAT(result.err, HasSubstr("PASSED: 6 benchmarks on emulator profile h16: 6 ok, 0 failed"));

  const auto rows = rows_of(path("b.csv"));
  const auto times = rows_with(rows, "time", "eval");
  ASSERT_FALSE(times.empty());
  EXPECT_EQ(times[0].run.run_id, "night");
  EXPECT_EQ(times[0].run.proc, 4);
  EXPECT_EQ(times[0].run.machine, "m1");
  EXPECT_EQ(times[0].run.backend, "emulator");
  EXPECT_EQ(times[0].kernel, "sdpaFwd");
  EXPECT_EQ(rows_with(rows, "compile_count", "eval").at(0).value, 0);
  EXPECT_EQ(rows_with(rows, "compile_count", "compile").at(0).value, 1);
  EXPECT_EQ(rows_with(rows, "output_hash", "eval").at(0).text.size(), 16U);
  EXPECT_EQ(rows_with(rows, "cases_done").at(0).value, 6);

  // The words are those of `aneval list metrics`.
  for (const Record& row : rows) {
    const MetricName* metric = find_metric(row.metric);
    ASSERT_NE(metric, nullptr) << row.metric;
    EXPECT_EQ(row.unit, metric->unit) << row.metric;
  }

  // Google's own file has the same benchmarks, and the mean of our samples is its time.
  const auto json = nlohmann::json::parse(read_text_file(path("b.json")));
  EXPECT_EQ(json["context"]["host_name"], "m1");
  EXPECT_EQ(json["context"]["backend"], "emulator");
  EXPECT_EQ(json["context"]["profile"], "h16");
  ASSERT_EQ(json["benchmarks"].size(), 6U);
  for (const auto& benchmark : json["benchmarks"]) {
    if (!benchmark["name"].get<std::string>().starts_with("sdpaFwd/eval")) continue;
    // A sample is the mean of a group of consecutive iterations when there are more of these than samples.
    const auto iterations = benchmark["iterations"].get<std::size_t>();
    double sum = 0;
    for (std::size_t i = 0; i < times.size(); ++i)
      sum += *times[i].value * static_cast<double>((i + 1) * iterations / times.size() - i * iterations / times.size());
    const double mean = sum / static_cast<double>(iterations);
    EXPECT_NEAR(benchmark["real_time"].get<double>() * 1e3, mean, 1e-6 * mean);
  }
}

TEST_F(BenchCommand, RepetitionsInterleavedAtRandomAllCount) {
  const ProcessResult result =
      bench({"--kernel", "qBwd", "--benchmark_filter=eval|write_acts", "--benchmark_repetitions=3",
             "--benchmark_enable_random_interleaving=true", "--out", path("b.csv")});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto rows = rows_of(path("b.csv"));
  for (const char* phase : {"eval", "write_acts"}) {
    const auto times = rows_with(rows, "time", phase);
    EXPECT_GE(times.size(), 3U);
    for (std::size_t i = 0; i < times.size(); ++i) EXPECT_EQ(times[i].rep, static_cast<std::int64_t>(i));
    EXPECT_GE(rows_with(rows, "warmup_count", phase).at(0).value, 3);
  }
}

TEST_F(BenchCommand, AnOrderSeedShufflesAndLeavesWhatIsCommonInTheSameOrder) {
  const auto order = [&](const std::string& seed, const std::string& filter) {
    std::vector<std::string> arguments = {"--kernel", "qBwd", "--benchmark_filter=" + filter, "--out", path("b.csv")};
    if (!seed.empty()) arguments.insert(arguments.end(), {"--order-seed", seed});
    const ProcessResult result = bench(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    std::vector<std::string> names;
    for (const Record& row : rows_with(rows_of(path("b.csv")), "benchmark")) names.push_back(row.text);
    return names;
  };
  const std::string all = "compile|load|stage|write|eval|read";
  const auto plain = order("", all), first = order("2", all), second = order("3", all);
  ASSERT_EQ(plain.size(), 6U);
  EXPECT_EQ(first, order("2", all));
  EXPECT_TRUE(std::is_permutation(plain.begin(), plain.end(), first.begin(), first.end()));
  EXPECT_NE(first, plain);
  EXPECT_NE(first, second);
  auto some = first;
  std::erase_if(
      some, [](const std::string& name) { return !name.starts_with("qBwd/eval") && !name.starts_with("qBwd/load"); });
  EXPECT_EQ(order("2", "eval|load"), some);
}

TEST_F(BenchCommand, AggregatesOnTheConsoleLeaveTheRecordsWhole) {
  const ProcessResult result = bench({"--kernel", "qBwd", "--benchmark_filter=eval", "--benchmark_repetitions=4",
                                      "--benchmark_report_aggregates_only=true", "--out", path("b.csv")});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("_median"), Not(HasSubstr("manual_time  "))));
  const auto rows = rows_of(path("b.csv"));
  EXPECT_GE(rows_with(rows, "time", "eval").size(), 4U);
  EXPECT_EQ(rows_with(rows, "cpu_time", "eval").size(), 1U);
}

TEST_F(BenchCommand, JsonOnStandardOutputIsJson) {
  const ProcessResult result = bench({"--kernel", "qBwd", "--benchmark_filter=eval", "--benchmark_format=json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(nlohmann::json::accept(result.out)) << result.out;
}

TEST_F(BenchCommand, ListsWithoutRunning) {
  const ProcessResult result = bench({"--benchmark_list_tests=true", "--benchmark_filter=^woFwd/"});
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, StartsWith("woFwd/compile/tiny/seq=12\n"));
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 7);
}

TEST_F(BenchCommand, BadArguments) {
  expect_bad({"--benchmark_filter=nothing_is_called_that"}, "matches none of");
  expect_bad({"--benchmark_filter=(("}, "is no regular expression");
  expect_bad({"--benchmark_repetitions=0"}, "is not a number of repetitions");
  expect_bad({"--benchmark_min_time=-1"}, "is not a time above 0");
  expect_bad({"--benchmark_filtre=x"}, "--benchmark_filtre=x");
  expect_bad({"--frobnicate"}, "is no option of this command");
  expect_bad({"--kernel", "sdpaFw"}, "did you mean 'sdpaFwd'?");
  expect_bad({"--validated", path("none.csv")}, "cannot open");
  write_file(path("notes.txt"), std::string_view("mine\n"));
  expect_bad({"--out", path("notes.txt")}, "is no result file");
  EXPECT_EQ(read_text_file(path("notes.txt")), "mine\n");
  expect_bad({"--out", path("no/such/b.csv")}, "does not exist");
  EXPECT_FALSE(fs::exists(path("notes.txt.partial")));
}

TEST_F(BenchCommand, AWrongProgramFailsWithItsReason) {
  const ProcessResult result = bench(
      {"--kernel", "sdpaFwd", "--variant", "head_map=cyclic_fwd", "--out", path("b.csv"), "--benchmark_filter=eval"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("was judged wrong"));
  EXPECT_THAT(result.err, HasSubstr("FAILED: 1 benchmarks"));
  const auto rows = rows_with(rows_of(path("b.csv")), "time");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].status, Status::wrong_result);
  EXPECT_FALSE(rows[0].value);
}

TEST_F(BenchCommand, ResultsOfValidateSpareTheJudgement) {
  ASSERT_EQ(run({"validate", "--model", path("tiny.json"), "--kernel", "woFwd", "--out", path("v.csv")}).code, 0);
  EXPECT_EQ(bench({"--kernel", "woFwd", "--validated", path("v.csv"), "--benchmark_filter=eval"}).code, 0);
  // A hash that this device does not give.
  std::string text = read_text_file(path("v.csv"));
  for (const Record& row : rows_of(path("v.csv")))
    if (row.metric == "output_hash")
      for (auto at = text.find(row.text); at != std::string::npos; at = text.find(row.text))
        text.replace(at, 16, "0123456789abcdef");
  write_file(path("v.csv"), text);
  const ProcessResult result = bench({"--kernel", "woFwd", "--validated", path("v.csv"), "--benchmark_filter=eval"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("the validated one is 0123456789abcdef"));
}

/// Starts a long run, waits until it has written results, sends the signal and returns its exit status.
int signalled(const std::vector<std::string>& arguments, const std::string& partial, int signal) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::vector<char*> pointers;
    for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    (void)!::freopen("/dev/null", "w", stdout);
    (void)!::freopen("/dev/null", "w", stderr);
    ::execv(pointers.front(), pointers.data());
    ::_exit(127);
  }
  const auto enough = [&] {
    std::error_code error;
    return fs::exists(partial, error) && fs::file_size(partial, error) > 10'000 && !error;
  };
  for (int i = 0; i < 1000 && !enough(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ::kill(child, signal);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST_F(BenchCommand, AWholeRunIsReportedAsPassed) {
  ASSERT_EQ(bench({"--kernel", "qBwd", "--benchmark_filter=eval", "--out", path("b.csv")}).code, 0);
  const ProcessResult report = run({"report", path("b.csv"), "--out", path("report")});
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_THAT(report.out, StartsWith("PASSED"));
  const std::string summary = read_text_file(path("report/summary.md"));
  EXPECT_THAT(summary, StartsWith("# aneval: PASSED"));
  EXPECT_THAT(summary, Not(HasSubstr("did not come to its end")));
  const std::string page = read_text_file(path("report/report.html"));
  EXPECT_THAT(page, AllOf(HasSubstr("<h1>aneval: PASSED</h1>"), HasSubstr("qBwd"), HasSubstr("No history was given")));
}

TEST_F(BenchCommand, ResultsGoToOtherToolsToo) {
  ASSERT_EQ(bench({"--benchmark_filter=channels=256/depth=1/", "--out", path("b.csv")}).code, 0);
  const auto report = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"report", path("b.csv"), "--out", path("r")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  EXPECT_EQ(report({"--format", "community", "--username", "somebody"}).code, 0);
  const auto json = nlohmann::json::parse(read_text_file(path("r/community.json")));
  EXPECT_EQ(json.at("username"), "somebody");
  EXPECT_THAT(std::string(json.at("system").at("chip")), StartsWith("emulator profile "));
  EXPECT_EQ(json.at("benchmarks").at("sram_probe").at(0).at("channels"), 256);
  EXPECT_EQ(report({"--format", "wide-csv"}).code, 0);
  EXPECT_THAT(read_text_file(path("r/wide.csv")), HasSubstr(",channels=256;depth=1;spatial=64,conv_chain,engine,ok,"));
  EXPECT_FALSE(fs::exists(path("r/report.html")));
  const ProcessResult refused = report({"--username", "somebody"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--username: belongs to --format community"));
}

TEST_F(BenchCommand, AKilledRunIsReadableAndTheReportSaysSo) {
  const std::vector<std::string> command = {
      ANEVAL_BINARY, "bench", "--model", path("tiny.json"), "--out", path("bench.csv"), "--benchmark_min_time=0.2"};
  const int status = signalled(command, path("bench.csv.partial"), SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(path("bench.csv")));
  EXPECT_GT(rows_of(path("bench.csv.partial")).size(), 10U);
  const ProcessResult report = run({"report", path(""), "--out", path("report")});
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_THAT(report.out, StartsWith("INCOMPLETE: "));
  const std::string text = read_text_file(path("report/summary.md"));
  EXPECT_THAT(text, AllOf(HasSubstr("# aneval: INCOMPLETE"), HasSubstr("bench did not come to its end (killed"),
                          HasSubstr("compile")));
}

TEST_F(BenchCommand, AnInterruptedRunClosesItsFile) {
  const std::vector<std::string> command = {
      ANEVAL_BINARY, "bench", "--model", path("tiny.json"), "--out", path("bench.csv"), "--benchmark_min_time=0.2"};
  const int status = signalled(command, path("bench.csv.partial"), SIGTERM);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 143);
  const Record last = rows_of(path("bench.csv")).back();
  EXPECT_EQ(last.metric, "cases_done");
  EXPECT_THAT(last.reason, StartsWith("interrupted by signal 15 after "));
}

TEST_F(BenchCommand, ReportsErrorsNameThePlace) {
  expect_bad_input({"report", path("nowhere")}, "does not exist");
  fs::create_directories(path("empty"));
  expect_bad_input({"report", path("empty")}, "has no result file");
  write_file(path("r.csv"), std::string_view("schema,value\n2,1\n"));
  expect_bad_input({"report", path("r.csv")}, "r.csv");
  ASSERT_EQ(bench({"--kernel", "qBwd", "--benchmark_filter=eval", "--out", path("ok.csv")}).code, 0);
  expect_bad_input({"report", path("ok.csv")}, "give --out DIR");
  expect_bad_input({"report", path("ok.csv"), "--out", path("r.csv")}, "cannot be made a folder");
  expect_bad_input({"report", path("ok.csv"), "--out", path("x"), "--format", "htlm"}, "format 'htlm': unknown");
}

TEST_F(BenchCommand, ListsNameWhatExists) {
  for (const char* what : {"kernels", "models", "variants", "profiles", "benchmarks", "cases", "checks", "metrics"}) {
    const ProcessResult result = run({"list", what});
    EXPECT_EQ(result.code, 0) << what;
    EXPECT_GE(std::count(result.out.begin(), result.out.end(), '\n'), 1) << what;
    EXPECT_THAT(result.out, Not(HasSubstr("\033")));
  }
  expect_bad_input({"list", "benchmark"}, "did you mean 'benchmarks'?");
  EXPECT_THAT(run({"--version"}).out, ::testing::MatchesRegex("aneval [0-9.]+ \\(.*, .*-.*-.*\\)\n"));
}

TEST_F(BenchCommand, DoctorDemandsWhatItIsAskedFor) {
  const ProcessResult json = run({"doctor", "--json"});
  const auto report = nlohmann::json::parse(json.out);
  for (const char* key :
       {"schema", "chip", "os", "build", "power", "libraries", "backend", "backend_reason", "simd", "blas"})
    EXPECT_TRUE(report.contains(key)) << key;
  const ProcessResult refused = run({"doctor", "--require", "ane"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err, HasSubstr("--require: not met: ane ("));
  expect_bad_input({"doctor", "--require", "an"}, "did you mean 'ane'?");
  expect_bad_input({"doctor", "--require", "thermal=hot"}, "thermal");
}

}  // namespace
}  // namespace aneval
