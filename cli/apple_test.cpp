// Commands on the Apple backend over the stand-in of Apple's framework: the emulator's bits under a name of their own,
// and what becomes of a run whose engine fails or never returns.
#include "cli/cli_fixture.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class AppleCli : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
#ifdef ANEVAL_STANDIN
    ::setenv("ANEVAL_ANE_FRAMEWORK", ANEVAL_STANDIN, 1);
#else
    GTEST_SKIP() << "the stand-in is built where Apple's framework is not";
#endif
    fs::create_directories(path("temporary"));
    ::setenv("TMPDIR", path("temporary").c_str(), 1);
  }
  void TearDown() override {
    for (const char* name : {"ANEVAL_ANE_FRAMEWORK", "ANEVAL_STANDIN_FAULTS", "ANEVAL_STANDIN_PROFILE", "TMPDIR"})
      ::unsetenv(name);
    Cli::TearDown();
  }

  ProcessResult validate(const std::vector<std::string>& more, const std::string& out = "out.csv") {
    std::vector<std::string> all = {"validate", "--backend", "apple",  "--model", path("tiny.json"), "--kernel",
                                    "qBwd",     "--variant", "pad=32", "--out",   path(out)};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  }

  std::set<std::string> texts(const std::string& file, const std::string& metric) {
    std::set<std::string> found;
    for (const Record& row : rows_of(path(file)))
      if (row.metric == metric) found.insert(row.variant + " " + row.case_text + " " + row.text);
    return found;
  }
};

TEST_F(AppleCli, DoctorTellsWhatAutoPicksAndWhy) {
  EXPECT_THAT(run({"doctor"}).out, AllOf(HasSubstr("apple-standin"), HasSubstr("ANEVAL_ANE_FRAMEWORK")));
  EXPECT_EQ(run({"doctor", "--require", "ane"}).code, 3) << "a stand-in is no engine";
  ::setenv("ANEVAL_ANE_FRAMEWORK", "/nowhere/framework", 1);
  EXPECT_THAT(run({"doctor"}).out, AllOf(HasSubstr("emulator"), HasSubstr("/nowhere/framework")));
  const ProcessResult refused = run({"validate", "--backend", "apple", "--kernel", "qBwd"});
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("--backend apple"), HasSubstr("/nowhere/framework")));
}

TEST_F(AppleCli, ValidatesWithTheEmulatorsBits) {
  const ProcessResult result = validate({});
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("cases on apple-standin: "));
  const ProcessResult emulated = run({"validate", "--backend", "emulator", "--model", path("tiny.json"), "--kernel",
                                      "qBwd", "--variant", "pad=32", "--out", path("emulated.csv")});
  EXPECT_EQ(emulated.code, 0) << emulated.err;
  const auto hashes = texts("out.csv", "output_hash");
  EXPECT_FALSE(hashes.empty());
  EXPECT_EQ(hashes, texts("emulated.csv", "output_hash"));
  for (const Record& row : rows_of(path("out.csv"))) {
    EXPECT_EQ(row.run.backend, "apple-standin");
    EXPECT_EQ(row.run.family, "h16");
    EXPECT_EQ(row.run.profile, "");
  }
  EXPECT_TRUE(fs::is_empty(path("temporary"))) << "folders of programs were left behind";
}

TEST_F(AppleCli, IsJudgedByTheProfileOfItsFamily) {
  ::setenv("ANEVAL_STANDIN_PROFILE", "h13", 1);
  const ProcessResult own = validate({});
  EXPECT_EQ(own.code, 0) << own.out << own.err;
  EXPECT_EQ(rows_of(path("out.csv")).front().run.family, "h13");
}

TEST_F(AppleCli, AFailingCompileIsARowOfEveryCaseAndTheRunGoesOn) {
  ::setenv("ANEVAL_STANDIN_FAULTS", "compileWithQoS:options:error:=fail@1", 1);
  const ProcessResult result = validate({});
  EXPECT_EQ(result.code, 1) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("compile_error"), HasSubstr("compile of qBwd (tiny, S 12)"),
                                HasSubstr("compileWithQoS:options:error: failed"), HasSubstr("ok ")));
}

TEST_F(AppleCli, ACallThatHangsEndsItsWorkerAndBecomesARow) {
  ::setenv("ANEVAL_STANDIN_FAULTS", "evaluateWithQoS:options:request:error:=hang@8", 1);
  const ProcessResult result = validate({"--time-limit", "0.5"});
  EXPECT_EQ(result.code, 1) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("run_timeout"), HasSubstr("eval of qBwd has not returned for 0.5 s"), HasSubstr("ok ")));
  ::setenv("ANEVAL_STANDIN_FAULTS", "compileWithQoS:options:error:=hang", 1);
  const ProcessResult compile = validate({"--time-limit", "0.5", "--filter", "data=exact"}, "compile.csv");
  EXPECT_EQ(compile.code, 1) << compile.err;
  EXPECT_THAT(compile.out, AllOf(HasSubstr("compile_timeout"), Not(HasSubstr("ok  "))));
}

TEST_F(AppleCli, AMissingClassOrMethodIsSaidBeforeAnythingRuns) {
  ::setenv("ANEVAL_STANDIN_FAULTS", "_ANERequest=missing", 1);
  const ProcessResult no_class = validate({});
  EXPECT_EQ(no_class.code, 3);
  EXPECT_THAT(no_class.err, AllOf(HasSubstr("has no class _ANERequest"), HasSubstr("aneval doctor")));
  EXPECT_FALSE(fs::exists(path("out.csv")));
  ::setenv("ANEVAL_STANDIN_FAULTS", "hexStringIdentifier=missing", 1);
  const ProcessResult no_method = validate({});
  EXPECT_EQ(no_method.code, 1);
  EXPECT_THAT(no_method.out, HasSubstr("hexStringIdentifier is no method of this system's framework"));
}

TEST_F(AppleCli, BenchmarksTimeIt) {
  const ProcessResult result = run({"bench", "--backend", "apple", "--model", path("tiny.json"), "--variant", "pad=32",
                                    "--kernel", "qBwd", "--benchmark_min_time=0.001", "--out", path("bench.csv")});
  EXPECT_EQ(result.code, 0) << result.err;
  std::set<std::string> seen;  // "phase metric"
  std::set<std::string> power;
  for (const Record& row : rows_of(path("bench.csv"))) {
    EXPECT_EQ(row.run.backend, "apple-standin");
    seen.insert(row.phase + " " + row.metric);
    if (row.metric == "power_state") power.insert(row.item);
    if (row.metric == "hardware_time") {
      EXPECT_GT(row.value, 0);
    }
  }
  for (const char* row : {"eval time", "compile time", "eval first_time", "eval hardware_time"})
    EXPECT_TRUE(seen.contains(row)) << row;
  EXPECT_EQ(power, (std::set<std::string>{"begin", "end"}));
}

TEST_F(AppleCli, ABenchmarkThatHangsLeavesItsResultsAndALastRow) {
  ::setenv("ANEVAL_STANDIN_FAULTS", "evaluateWithQoS:options:request:error:=hang@40", 1);
  const ProcessResult result =
      run({"bench", "--backend", "apple", "--model", path("tiny.json"), "--variant", "pad=32", "--kernel", "qBwd",
           "--benchmark_min_time=0.001", "--time-limit", "0.5", "--out", path("bench.csv")});
  EXPECT_EQ(result.code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("eval of qBwd has not returned for 0.5 s"));
  const auto rows = rows_of(path("bench.csv"));
  EXPECT_TRUE(std::ranges::any_of(rows, [](const Record& row) { return row.status == Status::run_timeout; }));
  EXPECT_TRUE(std::ranges::any_of(rows, [](const Record& row) { return row.status == Status::ok; }));
}

TEST_F(AppleCli, TrainsWithTheEmulatorsLosses) {
  const auto losses = [&](const std::string& backend) {
    const std::string out = path("train-" + backend);
    const ProcessResult result = run({"train", "--backend", backend, "--steps", "4", "--controls", "0", "--out", out});
    EXPECT_EQ(result.code, 0) << result.err;
    std::vector<double> found;
    for (const Record& row : rows_of(out + "/results.csv"))
      if (row.metric == "loss" && row.run.backend != "reference") found.push_back(*row.value);
    return found;
  };
  const auto apple = losses("apple");
  EXPECT_EQ(apple.size(), 4U);
  EXPECT_EQ(apple, losses("emulator"));
}

}  // namespace
}  // namespace aneval
