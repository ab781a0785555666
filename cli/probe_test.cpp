// aneval probe, end to end: what it recovers, the file it writes, validation under that file, and what goes wrong.
#include <nlohmann/json.hpp>

#include "cli/cli_fixture.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class ProbeCli : public Cli {
 protected:
  void TearDown() override {
    for (const char* name : {"ANEVAL_ANE_FRAMEWORK", "ANEVAL_STANDIN_FAULTS", "ANEVAL_STANDIN_PROFILE", "TMPDIR"})
      ::unsetenv(name);
    Cli::TearDown();
  }

  ProcessResult probe(const std::vector<std::string>& more, const std::string& backend = "emulator") const {
    std::vector<std::string> all = {"probe", "--backend", backend, "--threads", "1"};
    all.insert(all.end(), more.begin(), more.end());
    return run(all);
  }
  ProcessResult numerics(const std::string& profile, const std::string& out) const {
    return probe({"--only", "numerics", "--profile", profile, "--out", path(out)});
  }
  Json json_of(const std::string& name) const { return Json::parse(read_text_file(path(name))); }

  /// Bits that kernels of a tiny model give under a profile, and the profile that their rows name.
  std::multiset<std::string> validated(const std::string& profile, const std::string& named) {
    const ProcessResult result = run({"validate", "--backend", "emulator", "--model", path("tiny.json"), "--profile",
                                      profile, "--filter", "data=random", "--out", path("rows.csv")});
    EXPECT_EQ(result.code, 0) << result.out << result.err;
    std::multiset<std::string> hashes;
    for (const Record& row : rows_of(path("rows.csv"))) {
      EXPECT_EQ(row.run.profile, named);
      if (row.metric == "output_hash") hashes.insert(row.case_text + " " + row.text);
    }
    fs::remove(path("rows.csv"));
    return hashes;
  }

  /// The private framework's stand-in, computing as that profile; false where there is none.
  bool use_stand_in(const std::string& profile, const std::string& faults = {}) {
#ifdef ANEVAL_STANDIN
    ::setenv("ANEVAL_ANE_FRAMEWORK", ANEVAL_STANDIN, 1);
    ::setenv("ANEVAL_STANDIN_PROFILE", profile.c_str(), 1);
    ::setenv("ANEVAL_STANDIN_FAULTS", faults.c_str(), 1);
    // Experiments that are killed leave their programs' folders behind.
    fs::create_directories(path("temporary"));
    ::setenv("TMPDIR", path("temporary").c_str(), 1);
    return true;
#else
    (void)profile, (void)faults;
    return false;
#endif
  }
};

TEST_F(ProbeCli, RecoversEveryBuiltInProfile) {
  for (const std::string name : {"ieee", "h13", "h14", "h15", "h16", "h17", "h18"}) {
    const ProcessResult result = numerics(name, name + ".json");
    EXPECT_EQ(result.code, 0) << result.out << result.err;
    EXPECT_THAT(result.out, AllOf(HasSubstr("AGREES: 12 of 12 rules agree with " + name + ", 0 differ"),
                                  HasSubstr("judges by it, as " + name), HasSubstr("engine: no: the emulator")));
    EXPECT_EQ(json_of(name + ".json")["rules"].size(), 12U);
  }
  EXPECT_THAT(run({"probe", "--only", "numerics", "--backend", "emulator", "--profile", path("h13.json")}).out,
              HasSubstr("12 of 12 rules agree with h13"));
}

TEST_F(ProbeCli, ValidationUnderTheFileGivesTheBitsOfTheProfile) {
  for (const std::string name : {"h13", "h16", "h16:reduce_sum=wide;slice=limit_4094"}) {
    const bool settings = name.size() > 3;
    EXPECT_EQ(numerics(name, "p.json").code, settings ? 1 : 0);
    const auto built_in = validated(name, name), from_file = validated(path("p.json"), name);
    EXPECT_GT(built_in.size(), 9U);
    EXPECT_EQ(from_file, built_in) << name;
  }
}

TEST_F(ProbeCli, ADeviceThatDiffersIsSaidRuleByRuleAndEndsWithOne) {
  const ProcessResult result = numerics("h13:elementwise=half_away;slice=exact", "p.json");
  EXPECT_EQ(result.code, 1) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("elementwise        half_away          h13 nearest_even       differs"),
                                HasSubstr("2048 + 1 = 2050"), HasSubstr("65504 behind a slice = 65504"),
                                HasSubstr("DIFFERS: 10 of 12 rules agree with h13, 2 differ"),
                                HasSubstr("as h13:elementwise=half_away;slice=exact")));
  const Json json = json_of("p.json");
  EXPECT_EQ(json["base"], "h13");
  EXPECT_EQ(json["rules"]["slice"]["value"], "exact");
  EXPECT_EQ(json["rules"]["slice"]["builtin"], "limit_4094");
  EXPECT_EQ(json["rules"]["slice"]["verdict"], "differs");
}

TEST_F(ProbeCli, ASigmoidThatNobodyKnowsIsMeasuredAndJudgedBy) {
  ASSERT_EQ(numerics("h16", "h16.json").code, 0);
  Json json = json_of("h16.json");
  std::string table;
  for (int i = 0; i < 65536; ++i) {
    const float x = ane::to_float(static_cast<ane::half_t>(i));
    const double y = std::isfinite(x) ? 1 / (1 + std::exp(-0.9 * static_cast<double>(x))) : 0;  // no chip's
    for (const int shift : {12, 8, 4, 0}) table += "0123456789abcdef"[ane::to_half(y) >> shift & 15];
  }
  json["rules"]["sigmoid"] = {{"value", "measured"}, {"tables", {{"sigmoid", table}}}};
  write_file(path("own.json"), json.dump());
  const ProcessResult result = numerics(path("own.json"), "probed.json");
  EXPECT_EQ(result.code, 1) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("sigmoid            measured           h16 tables             differs"),
                                HasSubstr("11 of 12 rules"), HasSubstr("judges by it, as h16:sigmoid=measured")));
  const std::string probed = json_of("probed.json")["rules"]["sigmoid"]["tables"]["sigmoid"];
  for (std::size_t i = 0; i < 65536; ++i)
    ASSERT_TRUE((i & 0x7C00) == 0x7C00 || probed.substr(4 * i, 4) == table.substr(4 * i, 4)) << i;
  // The kernel computes a sigmoid that is not the mathematics': the derived bounds know.
  const auto built_in = validated("h16", "h16"), measured = validated(path("probed.json"), "h16:sigmoid=measured");
  EXPECT_EQ(built_in.size(), measured.size());
  EXPECT_NE(built_in, measured);
}

TEST_F(ProbeCli, ABrokenFileIsOneErrorOfValidation) {
  ASSERT_EQ(numerics("h16", "p.json").code, 0);
  Json json = json_of("p.json");
  json["rules"]["overflow"]["value"] = "fp16_range";
  write_file(path("p.json"), json.dump());
  expect_bad_input({"validate", "--backend", "emulator", "--profile", path("p.json")},
                   "p.json: rule overflow: 'fp16_range' does not go with the other rules");
  expect_bad_input({"validate", "--backend", "emulator", "--profile", path("no.json")}, "no.json");
}

TEST_F(ProbeCli, AnExperimentBeyondItsTimeIsAFailureAndTheRestGoesOn) {
  const ProcessResult result =
      probe({"--only", "numerics", "--profile", "h16", "--time-limit", "0.001", "--out", path("p.json")});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("failed: the probe's process: killed after 0.001 s"), HasSubstr("engine: unknown"),
                    HasSubstr("INCOMPLETE: 0 of 12"), HasSubstr("12 failed")));
  EXPECT_TRUE(json_of("p.json")["rules"]["specials"]["value"].is_null());
}

TEST_F(ProbeCli, CapabilitiesSayWhatRunsAndWhatMilCheckKnows) {
  const ProcessResult result =
      probe({"--only", "capabilities", "--quick", "--profile", "h13", "--out", path("p.json")});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("conv channels 512"), HasSubstr("[mil check: dialect]"),
                                HasSubstr("operation rsqrt                        compile_error")));
  const Json json = json_of("p.json")["capabilities"];
  EXPECT_EQ(json["conv channels 512"]["status"], "ok");
  EXPECT_EQ(json["operation rsqrt"]["status"], "compile_error");
  EXPECT_EQ(json["input width 48"]["mil_check"], Json::array({"dialect", "input-width"}));
  EXPECT_FALSE(json.contains("conv channels 2048")) << "large";
  EXPECT_FALSE(json_of("p.json").contains("rules"));
}

TEST_F(ProbeCli, LatenciesAreRowsAndEntries) {
  const ProcessResult result =
      probe({"--only", "latency", "--profile", "h16", "--rows", path("r.csv"), "--out", path("p.json")});
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("(emulator)"));
  const std::string name = "conv_chain/channels=512/depth=1/spatial=64";
  const Json entry = json_of("p.json")["latency"][name];
  EXPECT_GT(entry["median_ns"].get<double>(), 0);
  EXPECT_EQ(entry["weight_mib"].get<double>(), 0.5);
  std::set<std::string> metrics, backends;
  for (const Record& row : rows_of(path("r.csv")))
    if (row.case_text == "channels=512;depth=1;spatial=64") {
      metrics.insert(row.metric);
      backends.insert(row.run.backend);
    }
  EXPECT_TRUE(metrics.contains("time") && metrics.contains("tflops") && metrics.contains("output_hash"));
  EXPECT_EQ(backends, std::set<std::string>{"emulator"});
  expect_bad_input({"validate", "--backend", "emulator", "--profile", path("p.json")}, "has no rules");
}

TEST_F(ProbeCli, WrongArgumentsAreOneError) {
  expect_bad_input({"probe", "--only", "numeric"}, "did you mean 'numerics'");
  expect_bad_input({"probe", "--out", path("p.txt")}, "let it end in .json");
  expect_bad_input({"probe", "--out", path("no/p.json")}, "no");
  expect_bad_input({"probe", "--only", "numerics", "--rows", path("r.csv")}, "rows of latencies only");
}

TEST_F(ProbeCli, OnTheFrameworkItIsHeldAgainstTheFamily) {
  if (!use_stand_in("h13")) GTEST_SKIP() << "no stand-in";
  const ProcessResult same = probe({"--only", "numerics", "--out", path("p.json")}, "apple");
  EXPECT_EQ(same.code, 0) << same.out << same.err;
  EXPECT_THAT(same.out, AllOf(HasSubstr("12 of 12 rules agree with h13"), HasSubstr("engine: no: a stand-in")));
  EXPECT_EQ(json_of("p.json")["family"], "h13");
  use_stand_in("h16:elementwise=nearest_even");
  const ProcessResult other = probe({"--only", "numerics"}, "apple");
  EXPECT_EQ(other.code, 1) << other.err;
  EXPECT_THAT(other.out, HasSubstr("elementwise        nearest_even       h16 half_away          differs"));
}

TEST_F(ProbeCli, HangsFailOnlyTheirOwnRules) {
  // The fifth evaluation of a process: only functions and the rules of three and more operations come that far.
  if (!use_stand_in("h16", "evaluateWithQoS:options:request:error:=hang@5")) GTEST_SKIP() << "no stand-in";
  const ProcessResult result = probe({"--only", "numerics", "--time-limit", "4"}, "apple");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("failed: the probe's process: "), HasSubstr("4 failed"),
                                HasSubstr("8 of 12 rules agree with h16"), HasSubstr("INCOMPLETE")));
}

TEST_F(ProbeCli, ARefusedProgramFailsOnlyItsQuestions) {
  if (!use_stand_in("h16", "compileWithQoS:options:error:=fail@2")) GTEST_SKIP() << "no stand-in";
  const ProcessResult result = probe({"--only", "numerics"}, "apple");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("12 of 12 rules agree"), HasSubstr("agrees: sub: compile of probe of sub")));
  use_stand_in("h16", "compileWithQoS:options:error:=fail@1");
  const ProcessResult first = probe({"--only", "numerics"}, "apple");
  EXPECT_THAT(first.out, AllOf(HasSubstr("failed: matmul: compile of probe of matmul"), HasSubstr("engine: unknown"),
                               Not(HasSubstr("differs"))));
}

TEST_F(ProbeCli, AnEngineThatSaysYesAndDoesNothingIsFoundOut) {
  if (!use_stand_in("h16", "evaluateWithQoS:options:request:error:=nothing")) GTEST_SKIP() << "no stand-in";
  const ProcessResult result = probe({"--only", "numerics"}, "apple");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("12 failed"), HasSubstr("engine: unknown")));
}

}  // namespace
}  // namespace aneval
