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
  for (const std::vector<std::string>& command : {std::vector<std::string>{"doctor"}, {"doctor", "--json"}}) {
    const ProcessResult nowhere = run(command);
    EXPECT_THAT(nowhere.out, AllOf(HasSubstr("emulator"), HasSubstr("the framework that ANEVAL_ANE_FRAMEWORK names "
                                                                    "cannot be opened")));
    EXPECT_THAT(nowhere.out + nowhere.err, Not(HasSubstr("/nowhere"))) << "people paste it into issues";
  }
  const ProcessResult unmet = run({"doctor", "--require", "ane"});
  EXPECT_EQ(unmet.code, 3);
  EXPECT_THAT(unmet.err, Not(HasSubstr("/nowhere")));
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
  ::setenv("ANEVAL_STANDIN_FAULTS", "compileWithQoS:options:error:=fail@2", 1);  // the first proves the engine
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
           "--benchmark_min_time=0.1", "--time-limit", "0.5", "--out", path("bench.csv")});
  EXPECT_EQ(result.code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("eval of qBwd has not returned for 0.5 s"));
  const auto rows = rows_of(path("bench.csv"));
  EXPECT_TRUE(std::ranges::any_of(rows, [](const Record& row) { return row.status == Status::run_timeout; }));
  EXPECT_TRUE(std::ranges::any_of(rows, [](const Record& row) { return row.status == Status::ok; }));
}

TEST_F(AppleCli, AFrameworkThatComputesAsACpuIsNotOnTheEngine) {
  ::setenv("ANEVAL_STANDIN_PROFILE", "ieee", 1);
  const std::string readings = "16384 + 16384 = 32768, 2048 + 1 = 2048";
  const ProcessResult judged = validate({});
  EXPECT_EQ(judged.code, 1) << judged.err;
  EXPECT_THAT(judged.out, AllOf(HasSubstr("not_on_engine"), HasSubstr(readings), HasSubstr("0 ok, 0 degraded")));
  std::int64_t cases = 0;
  for (const Record& row : rows_of(path("out.csv"))) {
    if (row.kernel.empty()) continue;
    ++cases;
    EXPECT_EQ(row.status, Status::not_on_engine) << row.case_text;
    EXPECT_THAT(row.reason, HasSubstr(readings));
  }
  EXPECT_EQ(cases, 4);

  const ProcessResult timed =
      run({"bench", "--backend", "apple", "--model", path("tiny.json"), "--variant", "pad=32",
           "--benchmark_filter=^qBwd/|^rmsnorm/", "--benchmark_min_time=0.001", "--out", path("bench.csv")});
  EXPECT_EQ(timed.code, 1) << timed.err;
  std::int64_t refused = 0, of_the_cpu = 0;
  for (const Record& row : rows_of(path("bench.csv"))) {
    if (row.metric != "time") continue;
    if (row.kernel.empty()) {
      EXPECT_EQ(row.status, Status::ok) << row.phase << ": the CPU's share of a layer is timed as ever";
      ++of_the_cpu;
      continue;
    }
    EXPECT_EQ(row.status, Status::not_on_engine) << row.phase;
    EXPECT_FALSE(row.value.has_value());
    EXPECT_THAT(row.reason, HasSubstr(readings));
    ++refused;
  }
  EXPECT_EQ(refused, 6) << "one per phase of a kernel";
  EXPECT_GT(of_the_cpu, 0);

  const ProcessResult trained = run({"train", "--backend", "apple", "--steps", "2", "--out", path("training")});
  EXPECT_EQ(trained.code, 3);
  EXPECT_THAT(trained.err, AllOf(HasSubstr("proof that the engine computes"), HasSubstr(readings)));
  EXPECT_FALSE(fs::exists(path("training/results.csv")));
}

TEST_F(AppleCli, EveryChipsArithmeticProvesTheEngine) {
  for (const std::string profile : {"h13", "h14", "h15", "h16", "h17", "h18"}) {
    ::setenv("ANEVAL_STANDIN_PROFILE", profile.c_str(), 1);
    const ProcessResult result =
        run({"bench", "--backend", "apple", "--model", path("tiny.json"), "--variant", "pad=32", "--kernel", "qBwd",
             "--benchmark_filter=^qBwd/eval", "--benchmark_min_time=0.001", "--out", path(profile + ".csv")});
    EXPECT_EQ(result.code, 0) << profile << result.err;
    std::set<double> compiles;
    for (const Record& row : rows_of(path(profile + ".csv"))) {
      EXPECT_EQ(row.status, Status::ok) << profile << row.reason;
      if (row.metric == "compile_count") compiles.insert(row.value.value());
    }
    EXPECT_EQ(compiles, std::set<double>{0}) << "the proof is none of what is timed";
  }
}

TEST_F(AppleCli, ATrainingCountsTheProofOfEveryProcess) {
  const auto train = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> all = {"train",      "--backend", "apple", "--steps", "3",
                                    "--controls", "0",         "--out", path(out)};
    all.insert(all.end(), more.begin(), more.end());
    const ProcessResult result = run(all);
    EXPECT_EQ(result.code, 0) << result.out << result.err;
    std::map<std::string, double> counts;
    for (const Record& row : rows_of(path(out) + "/results.csv"))
      if (row.item == "all") counts[row.metric] = row.value.value();
    return std::pair(result.out, counts);
  };
  const auto [text, counts] = train("dynamic", {});
  EXPECT_THAT(text, HasSubstr("11 programs compiled for 2 layers and 3 steps, as claimed: one per kernel, and per "
                              "process 1 to prove the engine"));
  EXPECT_EQ(counts.at("compile_count"), 11);
  // A step compiles 16 programs, a process two of its own and the proof's: one step each.
  const auto [fixed_text, fixed] = train("static", {"--variant", "weights=static", "--compile-limit", "19"});
  EXPECT_EQ(fixed.at("process_count"), 3);
  EXPECT_EQ(fixed.at("compile_count"), 3 * (16 + 2 + 1));
  const ProcessResult few = run(
      {"train", "--backend", "apple", "--variant", "weights=static", "--compile-limit", "18", "--out", path("few")});
  EXPECT_EQ(few.code, 2);
  EXPECT_THAT(few.err, HasSubstr("allow at least 19"));
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
