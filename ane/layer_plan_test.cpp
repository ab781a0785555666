// The plans of all variants, and that a broken plan is noticed before anything compiles.
#include "ane/layer_plan.h"

#include "ane/variant_rules.h"
#include "common/error.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace aneval::ane {
namespace {

using ::testing::ElementsAre;

TEST(LayerPlan, UsesTenKernelsInTheOrderOfATrainingStep) {
  EXPECT_THAT(layer_plan({}).kernels(), ElementsAre("sdpaFwd", "woFwd", "ffnFused", "ffnBwdW2t", "ffnBwdW13t", "wotBwd",
                                                    "sdpaBwd1", "sdpaBwd2", "qBwd", "kvBwd"));
}

std::vector<std::string> kernels_of(const char* variant) { return layer_plan(parse_variant(variant)).kernels(); }

std::vector<std::string> cpu_steps_of(const char* variant) {
  const LayerPlan plan = layer_plan(parse_variant(variant));
  std::vector<std::string> names;
  for (const auto* steps : {&plan.forward, &plan.backward})
    for (const PlanStep& step : *steps)
      if (!step.is_kernel()) names.push_back(step.name());
  return names;
}

TEST(LayerPlan, MergedQkvBackwardSparesAKernelAndTheSum) {
  EXPECT_THAT(kernels_of("qkv_backward=merged"), ElementsAre("sdpaFwd", "woFwd", "ffnFused", "ffnBwdW2t", "ffnBwdW13t",
                                                             "wotBwd", "sdpaBwd1", "sdpaBwd2", "qkvBwd"));
  EXPECT_EQ(std::ranges::count(cpu_steps_of("default"), "add"), 3);
  EXPECT_EQ(std::ranges::count(cpu_steps_of("qkv_backward=merged"), "add"), 2);
}

TEST(LayerPlan, SiluBackwardInTheKernelSparesTheCpuStep) {
  EXPECT_THAT(kernels_of("silu_backward=kernel"),
              ElementsAre("sdpaFwd", "woFwd", "ffnFused", "ffnBwdW2t", "ffnBwdSiluW13t", "wotBwd", "sdpaBwd1",
                          "sdpaBwd2", "qBwd", "kvBwd"));
  EXPECT_THAT(cpu_steps_of("default"), ::testing::Contains("silu_backward"));
  EXPECT_THAT(cpu_steps_of("silu_backward=kernel"), ::testing::Not(::testing::Contains("silu_backward")));
}

TEST(LayerPlan, FeedForwardIsOneKernelOrTwoOrTwoWithTheGateBetween) {
  EXPECT_THAT(kernels_of("ffn=split"), ElementsAre("sdpaFwd", "woFwd", "ffnUpGate", "ffnDown", "ffnBwdW2t",
                                                   "ffnBwdW13t", "wotBwd", "sdpaBwd1", "sdpaBwd2", "qBwd", "kvBwd"));
  EXPECT_THAT(kernels_of("ffn=cpu_gate"), ElementsAre("sdpaFwd", "woFwd", "ffnUp", "ffnDown", "ffnBwdW2t", "ffnBwdW13t",
                                                      "wotBwd", "sdpaBwd1", "sdpaBwd2", "qBwd", "kvBwd"));
  EXPECT_THAT(cpu_steps_of("ffn=cpu_gate"), ::testing::Contains("silu_gate"));
  EXPECT_THAT(cpu_steps_of("ffn=split"), ::testing::Not(::testing::Contains("silu_gate")));
}

TEST(LayerPlan, FusedAttentionBackwardMakesNoProbabilities) {
  EXPECT_THAT(kernels_of("attention_backward=fused"), ElementsAre("sdpaFwd", "woFwd", "ffnFused", "ffnBwdW2t",
                                                                  "ffnBwdW13t", "wotBwd", "sdpaBwd", "qBwd", "kvBwd"));
  for (const PlanStep& step : layer_plan(parse_variant("attention_backward=fused")).backward)
    for (const auto& [block, tensor] : step.outputs)
      EXPECT_THAT(tensor, ::testing::AllOf(::testing::Ne("probs"), ::testing::Ne("dp")));
}

TEST(LayerPlan, FusedOutputProjectionStillGivesItsWeightGradientAttn) {
  EXPECT_THAT(kernels_of("wo=fused"), ElementsAre("sdpaWoFwd", "ffnFused", "ffnBwdW2t", "ffnBwdW13t", "wotBwd",
                                                  "sdpaBwd1", "sdpaBwd2", "qBwd", "kvBwd"));
  const LayerPlan plan = layer_plan(parse_variant("wo=fused"));
  const auto gives_attn = [](const PlanStep& step) {
    return std::ranges::find(step.outputs, std::pair<std::string, std::string>("attn", "attn")) != step.outputs.end();
  };
  EXPECT_TRUE(std::ranges::any_of(plan.forward, gives_attn));
}

TEST(LayerPlan, RopeOnTheCpuCutsAttentionInTwo) {
  EXPECT_THAT(kernels_of("rope=cpu"), ElementsAre("sdpaQkv", "sdpaCore", "woFwd", "ffnFused", "ffnBwdW2t", "ffnBwdW13t",
                                                  "wotBwd", "sdpaBwd1", "sdpaBwd2", "qBwd", "kvBwd"));
  EXPECT_EQ(std::ranges::count(cpu_steps_of("rope=cpu"), "rope"), 2);
  EXPECT_EQ(kernels_of("rope=planar"), kernels_of("default"));
  try {
    (void)layer_plan(parse_variant("rope=cpu;wo=fused"));
    FAIL() << "made a plan of two choices that cut the same kernel";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("choose wo=separate, or rope=planar"));
  }
}

TEST(LayerPlan, EveryCombinationOfChoicesHoldsAndUsesKnownKernels) {
  const auto known = kernels_of_all_plans();
  EXPECT_EQ(known.size(), 19u);
  std::vector<Variant> variants = {Variant{}};
  for (const VariantChoice& choice : variant_choices()) {
    // Some that are no cuts change the plan as well.
    if (choice.kind == ChoiceKind::form && choice.key != "score_scale" && choice.key != "rope") continue;
    std::vector<Variant> more;
    for (const Variant& variant : variants)
      for (std::size_t value = 0; value < choice.values.size(); ++value) choice.set(more.emplace_back(variant), value);
    variants = more;
  }
  EXPECT_EQ(variants.size(), 2u * 3 * 2 * 2 * 2 * 3 * 2);
  std::erase_if(variants, [](const Variant& v) { return broken_rule(v) != nullptr; });
  for (const Variant& variant : variants)
    for (const std::string& kernel : layer_plan(variant).kernels())  // throws for a broken plan
      EXPECT_TRUE(known.contains(kernel)) << kernel << " of " << variant_text(variant);
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

TEST(LayerPlan, HandedOverIsWhatAnotherKernelOfThePassLeaves) {
  for (const std::string text : {"default", "handover=copy"}) {
    const bool copies = text != "default";
    const LayerPlan plan = layer_plan(parse_variant(text));
    using Sources = std::vector<SurfaceSource>;
    const Sources none;
    const auto expect = [&](const char* kernel, const Sources& sources) {
      EXPECT_EQ(plan.step(kernel).sources, copies ? sources : none) << kernel;
      EXPECT_EQ(plan.step(kernel).input_surface_of, "");
    };
    expect("sdpaFwd", none);
    expect("woFwd", {{"attn", "sdpaFwd", "attn"}});
    // q was made by the other pass: other layers have run on that surface since.
    expect("sdpaBwd1", {{"da", "wotBwd", "da"}});
    expect("sdpaBwd2", {{"probs", "sdpaBwd1", "probs"}, {"dp", "sdpaBwd1", "dp"}});
    expect("qBwd", none);  // dq is rotated on the CPU
  }
  EXPECT_EQ(layer_plan(parse_variant("handover=copy;ffn=split")).step("ffnDown").sources,
            (std::vector<SurfaceSource>{{"g", "ffnUpGate", "g"}}));
  EXPECT_TRUE(layer_plan(parse_variant("handover=copy;ffn=cpu_gate")).step("ffnDown").sources.empty());
  EXPECT_EQ(layer_plan(parse_variant("handover=copy;silu_backward=kernel")).step("ffnBwdSiluW13t").sources,
            (std::vector<SurfaceSource>{{"dsilu", "ffnBwdW2t", "dsilu"}}));
}

TEST(LayerPlan, WhatNobodyReadsInFp32StaysOnTheSurface) {
  const auto kept = [](const char* variant) {
    std::set<std::string> names;
    const LayerPlan plan = layer_plan(parse_variant(variant));
    for (const auto* steps : {&plan.forward, &plan.backward})
      for (const PlanStep& step : *steps) names.insert(step.on_surface.begin(), step.on_surface.end());
    return names;
  };
  EXPECT_TRUE(kept("default").empty());
  // attn is read for dWo, g for dW2.
  EXPECT_THAT(kept("handover=copy;ffn=split"), ElementsAre("da", "dp", "probs"));
  EXPECT_THAT(kept("handover=copy;silu_backward=kernel"), ElementsAre("da", "dp", "dsilu", "probs"));
}

TEST(LayerPlan, SharingPutsSdpaBwd2OnTheSurfaceThatSdpaBwd1Leaves) {
  const LayerPlan plan = layer_plan(parse_variant("handover=share"));
  EXPECT_EQ(plan.step("sdpaBwd2").input_surface_of, "sdpaBwd1");
  EXPECT_EQ(plan.step("sdpaBwd2").sources.size(), plan.step("sdpaBwd2").inputs.size());
  EXPECT_EQ(plan.step("woFwd").sources.size(), 1u);
  EXPECT_EQ(plan.step("woFwd").input_surface_of, "");
}

}  // namespace
}  // namespace aneval::ane
