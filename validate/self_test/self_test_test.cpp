// The self-test is green with the checker and red with one that always passes or always fails.
#include "validate/self_test/self_test.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "common/vocabulary.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

using ::testing::HasSubstr;

/// A few defects of every mechanism on two kernels and one layer, and a dozen healthy runs.
SelfTestPlan small_plan() {
  SelfTestPlan plan = SelfTestPlan::make("h16", false, 1);
  plan.keep("model=ratio2;amp=1");
  const std::vector<std::string> defects = {"cyclic_head_map", "scale_1_percent",   "weight_transposed", "stale_output",
                                            "nan_element",     "element_2_percent", "bf16_store"};
  std::erase_if(plan.defective,
                [](const DefectRun& run) { return run.c.kernel != "sdpaFwd" && run.c.kernel != "qBwd"; });
  for (DefectRun& run : plan.defective)
    std::erase_if(run.defects, [&](const Defect* defect) {
      return std::find(defects.begin(), defects.end(), defect->name) == defects.end();
    });
  std::erase_if(plan.healthy, [](const HealthyRun& run) { return run.c.kernel != "woFwd" && run.c.kernel != "qBwd"; });
  plan.layers.resize(1);
  return plan;
}

CaseResult with_status(const CheckOptions& options, const Case& c, const CaseData& data, Status status) {
  CaseResult result = judge_with_checker(options, c, data);
  result.status = status;
  for (BlockJudgement& block : result.blocks) block.status = status;
  return result;
}

TEST(SelfTest, PassesWithTheChecker) {
  const SelfTestResult result = run_self_test(small_plan(), {});
  const std::string text = self_test_text(result);
  EXPECT_TRUE(result.passed()) << text;
  EXPECT_GT(result.inside_the_noise(), 0) << "2 % of one element drown in what an accumulator drops of small gradients";
  EXPECT_EQ(result.seed.size(), 3U);
  for (const char* line : {"cyclic head map: found in", "misplaced rmsnorm weight: found in",
                           "unscaled gradients: found", "SELF-TEST PASSED: "})
    EXPECT_THAT(text, HasSubstr(line));
  for (const Record& row : self_test_rows({}, result)) EXPECT_EQ(row.status, Status::ok) << row.reason;
}

TEST(SelfTest, FailsWithAJudgeThatAlwaysPasses) {
  SelfTestOptions options;
  options.judge = [](const CheckOptions& check, const Case& c, const CaseData& data) {
    return with_status(check, c, data, Status::ok);
  };
  const SelfTestResult result = run_self_test(small_plan(), options);
  EXPECT_FALSE(result.passed());
  EXPECT_TRUE(result.healthy.alarms.empty());
  for (const Detection& detection : result.device)
    EXPECT_EQ(detection.flagged, detection.mechanism == Mechanism::host) << detection.defect;
  const std::string text = self_test_text(result);
  for (const char* line :
       {"MISSED cyclic_head_map", "cyclic head map: NOT FOUND", "unscaled gradients: NOT FOUND", "SELF-TEST FAILED"})
    EXPECT_THAT(text, HasSubstr(line));
  const auto rows = self_test_rows({}, result);
  EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [](const Record& row) { return row.status == Status::failed; }));
}

TEST(SelfTest, FailsWithAJudgeThatNeverPasses) {
  SelfTestOptions options;
  options.judge = [](const CheckOptions& check, const Case& c, const CaseData& data) {
    return with_status(check, c, data, Status::failed);
  };
  const SelfTestPlan plan = small_plan();
  const SelfTestResult result = run_self_test(plan, options);
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.healthy.alarms.size(), plan.healthy.size());
  EXPECT_THAT(self_test_text(result), HasSubstr("FALSE ALARM profile "));
}

TEST(SelfTest, FailsWhenLayersAlwaysPass) {
  SelfTestOptions options;
  options.layer_judge = [](const CheckOptions& check, const Case& c, const NamedTensors& tensors,
                           const ane::CpuOps& ops) {
    LayerResult result = check_layer(check, c, tensors, ops);
    result.status = Status::ok;
    return result;
  };
  SelfTestPlan plan = small_plan();
  plan.defective.resize(1);
  const SelfTestResult result = run_self_test(plan, options);
  EXPECT_FALSE(result.passed());
  EXPECT_THAT(self_test_text(result), HasSubstr("misplaced rmsnorm weight: NOT FOUND"));
}

TEST(SelfTest, FailsWhenNothingWasDone) {
  SelfTestPlan plan;
  plan.profile = "h16";
  EXPECT_FALSE(run_self_test(plan, {}).passed());
}

TEST(SelfTestPlan, HasAThousandHealthyRunsOverAllProfilesKernelsAndKinds) {
  const SelfTestPlan plan = SelfTestPlan::make("h16", false, 1);
  std::set<std::string> profiles, kernels;
  std::set<DataKind> kinds;
  std::set<std::uint64_t> seeds;
  for (const HealthyRun& run : plan.healthy) {
    profiles.insert(run.profile);
    kernels.insert(run.c.kernel);
    kinds.insert(run.c.data);
    seeds.insert(run.c.seed);
  }
  EXPECT_GE(plan.healthy.size(), 1000U);
  EXPECT_EQ(profiles.size(), emulator::profiles().size());
  EXPECT_EQ(kernels.size(), ane::KernelRegistry::builtin().all().size());
  EXPECT_EQ(kinds.size(), 5U);
  EXPECT_EQ(seeds.size(), plan.healthy.size());
}

TEST(SelfTestRows, UseWordsOfTheVocabulary) {
  Detection detection;
  detection.defect = "lane_zero";
  detection.detectable = true;
  SelfTestResult result;
  result.device.push_back(detection);
  const auto rows = self_test_rows({}, result);
  ASSERT_FALSE(rows.empty());
  EXPECT_EQ(rows.front().status, Status::failed);
  EXPECT_EQ(rows.front().item, "lane_zero");
  for (const Record& row : rows) {
    EXPECT_NE(find_metric(row.metric), nullptr) << row.metric;
    const auto& phases = phase_names();
    EXPECT_TRUE(std::any_of(phases.begin(), phases.end(), [&](const PhaseName& p) { return p.name == row.phase; }));
  }
}

}  // namespace
}  // namespace aneval::validate
