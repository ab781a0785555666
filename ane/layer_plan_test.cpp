// The plans of all variants, and that a broken plan is noticed before anything compiles.
#include "ane/layer_plan.h"

#include <gmock/gmock.h>

namespace aneval::ane {
namespace {

using ::testing::ElementsAre;

TEST(LayerPlan, UsesTenKernelsInTheOrderOfATrainingStep) {
  EXPECT_THAT(layer_plan({}).kernels(), ElementsAre("sdpaFwd", "woFwd", "ffnFused", "ffnBwdW2t", "ffnBwdW13t", "wotBwd",
                                                    "sdpaBwd1", "sdpaBwd2", "qBwd", "kvBwd"));
}

TEST(LayerPlan, FoldedScaleDividesTheQueryGradientBeforeItsWeightGradient) {
  Variant folded;
  folded.score_scale = ScoreScale::folded;
  const auto unfolds = [](const LayerPlan& plan) {
    std::vector<std::string> made;
    for (const PlanStep& step : plan.backward)
      if (!step.is_kernel() && step.cpu == CpuOp::unfold_scale) made.push_back(step.outputs.front().second);
    return made;
  };
  EXPECT_THAT(unfolds(layer_plan(folded)), ElementsAre("dq_unscaled"));
  EXPECT_TRUE(unfolds(layer_plan({})).empty());
}

TEST(LayerPlan, ReadingATensorBeforeItIsMadeIsRefused) {
  LayerPlan plan = layer_plan({});
  std::swap(plan.forward[0], plan.forward[1]);
  EXPECT_THROW(check_plan(plan), std::logic_error);
}

TEST(LayerPlan, MakingATensorTwiceIsRefused) {
  LayerPlan plan = layer_plan({});
  plan.forward.push_back(plan.forward.front());
  EXPECT_THROW(check_plan(plan), std::logic_error);
}

TEST(LayerPlan, AMissingGradientIsRefused) {
  LayerPlan plan = layer_plan({});
  std::erase_if(plan.backward, [](const PlanStep& step) { return step.outputs.front().second == "dw1"; });
  EXPECT_THROW(check_plan(plan), std::logic_error);
}

TEST(LayerPlan, ATensorThatNobodyReadsIsRefused) {
  LayerPlan plan = layer_plan({});
  PlanStep step = plan.forward.front();
  step.outputs.front().second = "forgotten";
  plan.forward.push_back(step);
  EXPECT_THROW(check_plan(plan), std::logic_error);
}

}  // namespace
}  // namespace aneval::ane
