// The judge on sick kernels: what must be found is found. Healthy ones run in case_suite_test.cpp, case by case.
#include "validate/kernel_check.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "common/error.h"
#include "validate/emulated_device.h"
#include "validate/faulty_device.h"
#include "validate/layer_check.h"
#include "validate/suites.h"

namespace aneval::validate {

using ::testing::HasSubstr;

namespace {

Case small_case(const std::string& kernel, DataKind data = DataKind::random) {
  Case c;
  c.kernel = kernel;
  c.shape = edge_shapes().front();  // ratio 2
  c.data = data;
  return c;
}

TEST(Defects, TheCyclicForwardHeadMapIsNamedWithItsKernelAndBlock) {
  const auto device = make_device();
  KernelChecker checker(options_for(*device));
  for (const DataKind data : {DataKind::random, DataKind::exact}) {
    Case c = small_case("sdpaFwd", data);
    c.variant.head_map = ane::HeadMap::cyclic_fwd;
    const CaseResult result = checker.run(c);
    EXPECT_EQ(result.status, Status::wrong_result);
    EXPECT_THAT(result.reason, HasSubstr("block attn"));
    EXPECT_THAT(result.reason, HasSubstr("program"));
  }
}

CaseResult run_with_fault(const Case& c, FaultyDevice::Fault fault, bool skip = false) {
  FaultyDevice device(make_device(), std::move(fault), skip);
  KernelChecker checker(options_for(device));
  return checker.run(c);
}

TEST(Defects, AnEvaluationThatDidNotHappenIsFound) {
  const CaseResult result = run_with_fault(small_case("woFwd"), {}, true);
  EXPECT_EQ(result.status, Status::wrong_result);
  EXPECT_THAT(result.reason, HasSubstr("poison"));
}

TEST(Defects, AStaleLaneIsFound) {
  // One channel keeps what lay there before: the poison.
  const CaseResult result =
      run_with_fault(small_case("woFwd"), [](std::int64_t evaluation, std::span<ane::half_t> out) {
        for (std::size_t i = 0; i < 40; ++i) out[i] = ane::kPoison[evaluation % 2];
      });
  EXPECT_EQ(result.status, Status::wrong_result);
}

TEST(Defects, ANanInOneElementIsFound) {
  const CaseResult result =
      run_with_fault(small_case("kvBwd"), [](std::int64_t, std::span<ane::half_t> out) { out[77] = 0x7E00; });
  EXPECT_EQ(result.status, Status::nonfinite);
}

TEST(Defects, OneElementTwoPercentOffIsFound) {
  const CaseResult result = run_with_fault(small_case("qBwd"), [](std::int64_t, std::span<ane::half_t> out) {
    out[123] = ane::to_half(ane::to_float(out[123]) * 1.02F);
  });
  EXPECT_EQ(result.status, Status::failed);
  EXPECT_THAT(result.reason, HasSubstr("channel 3 token 3"));  // 123 = 3 · 40 + 3
}

TEST(Defects, TwoEvaluationsThatDifferAreUnstable) {
  // The padding of a padded output belongs to no block, so only repeatability can see it change.
  Case c = small_case("woFwd");
  c.variant = ane::parse_variant("pad=32");
  const CaseResult result = run_with_fault(c, [](std::int64_t evaluation, std::span<ane::half_t> out) {
    if (evaluation == 1) out[63] = 0x3C00;  // token 63 of 40
  });
  EXPECT_EQ(result.status, Status::unstable);
}

TEST(Defects, EveryElementOneUnitTowardsZeroIsFound) {
  const CaseResult result = run_with_fault(small_case("wotBwd"), [](std::int64_t, std::span<ane::half_t> out) {
    for (ane::half_t& bits : out)
      if ((bits & 0x7FFF) != 0) --bits;
  });
  EXPECT_EQ(result.status, Status::failed);
}

TEST(Staging, ASlotThatHoldsTheUntransposedWeightIsFound) {
  // A layout that forgets to transpose stages wo where wo_t belongs; Q = D here, so the shapes agree.
  const auto device = make_device();
  CheckOptions options = options_for(*device);
  ane::KernelSpec spec = options.registry.find("woFwd");
  const auto original = spec.layout;
  spec.name = "forgetful";
  spec.layout = [original](const ane::KernelConfig& config) {
    const ane::PackedLayout right = original(config);
    std::vector<ane::Slot> slots = right.slots();
    for (ane::Slot& slot : slots) slot.transposed = false;
    return ane::PackedLayout::along_width(slots, right.blocks(), config.variant);
  };
  options.registry.add(spec);
  options.references.add(
      {"forgetful", options.references.find("woFwd").in_double, options.references.find("woFwd").in_float});
  KernelChecker checker(options);
  const CaseResult result = checker.run(small_case("forgetful"));
  EXPECT_EQ(result.status, Status::wrong_result);
  EXPECT_THAT(result.reason, HasSubstr("staging of slot wo_t"));
}

TEST(Checker, CompilesOncePerProgramNotPerCase) {
  const auto device = make_device();
  KernelChecker checker(options_for(*device));
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    Case c = small_case("woFwd");
    c.seed = seed;
    (void)checker.run(c);
  }
  EXPECT_EQ(device->counters().compile_attempts, 1);
}

// Two roundings per element on each of at most a dozen steps from an input to any result, 2^-11 relative each, added
// linearly: 24·2^-11 = 1.2 %. A wrong gradient is off by tens of percent.
constexpr double kLayerError = 24 * 0x1p-11;

TEST(Layer, FollowsTheReferenceForwardAndBackwardUnderEveryVariant) {
  const auto device = make_device();
  for (const ModelShape& shape : edge_shapes()) {
    for (const char* text : {"default", "score_scale=folded", "pad=32", "packing=weights_first", "head_map=cyclic",
                             "row_sum=matmul", "head_map=cyclic;score_scale=folded;pad=32;row_sum=matmul"}) {
      Case c;
      c.shape = shape;
      c.variant = ane::parse_variant(text);
      const LayerResult result = check_layer(options_for(*device), c, random_layer_tensors(c));
      for (const LayerTensorError& tensor : result.tensors)
        EXPECT_LE(std::sqrt(tensor.metrics.nmse), kLayerError) << shape.name << ' ' << text << ' ' << tensor.tensor;
    }
  }
}

TEST(Layer, TheCyclicForwardIsWrongFarBeyondRounding) {
  const auto device = make_device();
  Case c;
  c.shape = edge_shapes().front();
  c.variant.head_map = ane::HeadMap::cyclic_fwd;
  const LayerResult result = check_layer(options_for(*device), c, random_layer_tensors(c));
  double worst = 0;
  for (const LayerTensorError& tensor : result.tensors) worst = std::max(worst, std::sqrt(tensor.metrics.nmse));
  EXPECT_GT(worst, 10 * kLayerError);
}

TEST(Layer, AKernelThatWasNotEvaluatedStopsTheLayer) {
  FaultyDevice device(make_device(), {}, true);
  Case c;
  c.shape = edge_shapes().front();
  EXPECT_THROW((void)check_layer(options_for(device), c, random_layer_tensors(c)), Error);
}

TEST(Layer, ManyLayersAndStepsCompileTenPrograms) {
  const auto device = make_device();
  Case c;
  c.shape = edge_shapes().front();
  const NamedTensors tensors = random_layer_tensors(c);
  NamedTensors weights;
  for (const std::string& name : layer_weights()) weights[name] = tensors.at(name);
  ane::LayerPrograms programs(*device, ane::KernelRegistry::builtin(), c.shape, c.variant);
  std::vector<std::unique_ptr<ane::Layer>> layers;
  for (int i = 0; i < 3; ++i) layers.push_back(std::make_unique<ane::Layer>(programs, nullptr));
  std::map<std::string, std::int64_t> phases;
  for (int step = 0; step < 2; ++step) {
    for (const auto& layer : layers) {
      layer->stage(weights);
      NamedTensors work{{"x", tensors.at("x")}};
      const auto count = [&](const ane::PlanStep&, std::string_view phase, std::int64_t nanoseconds) {
        EXPECT_GE(nanoseconds, 0);
        ++phases[std::string(phase)];
      };
      layer->forward(work, count);
      work["dy"] = tensors.at("dy");
      layer->backward(work, count);
    }
  }
  EXPECT_EQ(device->counters().compile_attempts, static_cast<std::int64_t>(programs.plan().kernels().size()));
  EXPECT_EQ(device->counters().compile_attempts, 10);
  // 8 weight surfaces per layer; 10 outputs and 2 inputs without weights are shared.
  EXPECT_EQ(device->counters().surfaces, 3 * 8 + 12);
  EXPECT_EQ(phases["eval"], 2 * 3 * 10);
  EXPECT_EQ(phases["write_acts"], phases["read"]);
}

}  // namespace
}  // namespace aneval::validate
