// Weights of 8 bits, and activations too: cases are judged on the natural weights, quantizing is part of the error that
// is bounded and attributed, and what is wrong about a scale is found.
#include <gmock/gmock.h>

#include <cmath>

#include "ane/emulator/device_arithmetic.h"
#include "common/error.h"
#include "validate/emulated_device.h"
#include "validate/kernel_check.h"
#include "validate/layer_check.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

using ::testing::HasSubstr;

Case case_of(const char* kernel, const char* variant, std::size_t shape = 0) {
  Case c;
  c.kernel = kernel;
  c.shape = edge_shapes().at(shape);
  c.variant = ane::parse_variant(variant);
  return c;
}

const BlockJudgement& block_of(const CaseResult& result, std::string_view name) {
  return *std::ranges::find(result.blocks, name, &BlockJudgement::block);
}
const Attribution& attribution_of(const CaseResult& result, std::string_view name) {
  return *std::ranges::find(result.attributions, name, &Attribution::block);
}

TEST(EightBitCases, QuantizingIsBoundedExpectedAndAttributed) {
  for (const char* profile : {"ieee", "h13", "h16"}) {
    const auto device = make_device(profile);
    KernelChecker checker(options_for(*device));
    const CaseResult dynamic = checker.run(case_of("woFwd", "default"));
    const CaseResult int8 = checker.run(case_of("woFwd", "weights=int8"));
    ASSERT_EQ(int8.status, Status::ok) << profile << ' ' << int8.reason;
    // Of the reference's size: 64 weights of a channel, the largest 2.4 deviations, a step of 2/127 of it, at most
    // twice.
    const Attribution& parts = attribution_of(int8, "o");
    EXPECT_GT(parts.constants, 0.002 * parts.reference) << profile;
    EXPECT_LT(parts.constants, 0.02 * parts.reference) << profile;
    EXPECT_GT(parts.constants, 3 * parts.input);
    EXPECT_NEAR(parts.total, parts.constants, 0.2 * parts.constants);
    EXPECT_EQ(attribution_of(dynamic, "o").constants, 0);
    const BlockJudgement& o = block_of(int8, "o");
    EXPECT_GT(o.metrics.nmse, 20 * block_of(dynamic, "o").metrics.nmse);
    // Errors are as expected all the same: their bias is what the very numbers of this program do.
    EXPECT_GT(o.spread.rms, 0.4);
    EXPECT_LT(o.spread.rms, 1.3);
    if (!emulator::has_rules(emulator::find_profile(profile), {.weights = ane::Weights::w8a8})) continue;
    const CaseResult w8a8 = checker.run(case_of("woFwd", "weights=w8a8"));
    ASSERT_EQ(w8a8.status, Status::ok) << profile << ' ' << w8a8.reason;
    EXPECT_EQ(attribution_of(w8a8, "o").constants, parts.constants);
    EXPECT_GT(attribution_of(w8a8, "o").arithmetic, parts.arithmetic);
    EXPECT_GT(block_of(w8a8, "o").spread.rms, 0.7);
    EXPECT_LT(block_of(w8a8, "o").spread.rms, 1.3);
  }
}

// Integers in weights and activations lose nothing in 8 bits: then nothing may differ.
TEST(EightBitCases, ExactDataStayExact) {
  for (const char* profile : {"ieee", "h16"}) {
    const auto device = make_device(profile);
    KernelChecker checker(options_for(*device));
    for (const char* variant : {"weights=int8", "weights=w8a8", "weights=w8a8;pad=32"})
      for (const auto& [kernel, block] :
           {std::pair{"woFwd", "o"}, {"ffnUp", "h1"}, {"ffnUp", "h3"}, {"sdpaFwd", "v"}}) {
        Case c = case_of(kernel, variant);
        c.data = DataKind::exact;
        const CaseResult result = checker.run(c);
        EXPECT_EQ(result.status, Status::ok) << case_text(c) << ' ' << result.reason;
        const BlockJudgement& judged = block_of(result, block);
        EXPECT_EQ(judged.exact_elements, judged.channels * judged.tokens) << profile << ' ' << case_text(c);
        EXPECT_EQ(judged.metrics.max_abs, 0);
      }
  }
}

TEST(EightBitCases, BackwardKernelsKeepFp16) {
  const auto registry = ane::KernelRegistry::builtin();
  int eight = 0, sixteen = 0;
  for (const ane::KernelSpec& spec : registry.all()) {
    Case c = case_of(spec.name.c_str(), "weights=w8a8");
    c.ic = c.oc = 32;
    const auto layout = spec.layout(kernel_config(c));
    const bool gradients = std::ranges::any_of(layout.slots(), [](const ane::Slot& slot) {
      return slot.kind == ane::SlotKind::activation && is_gradient(slot.name);
    });
    for (const ane::Slot& slot : layout.compiled()) {
      EXPECT_EQ(slot.eight_bits, !gradients) << spec.name << ' ' << slot.name;
      ++(slot.eight_bits ? eight : sixteen);
    }
  }
  EXPECT_EQ(eight, 3 + 1 + 3 + 2 + 2 + 1 + 4 + 3 + 1);
  EXPECT_GT(sixteen, 8);
  const auto device = make_device("h16");
  KernelChecker checker(options_for(*device));
  for (const char* kernel : {"qBwd", "ffnBwdW13t"}) {
    const CaseResult fp16 = checker.run(case_of(kernel, "weights=static"));
    EXPECT_EQ(checker.run(case_of(kernel, "weights=w8a8")).output_hash, fp16.output_hash) << kernel;
  }
}

// Which scales a program has is decided by the data: other data compile another program, equal data none.
TEST(EightBitCases, ActivationsDecideTheProgramOfW8A8Alone) {
  const auto device = make_device();
  KernelChecker checker(options_for(*device));
  for (const auto& [variant, programs] : {std::pair{"weights=int8", 1}, {"weights=w8a8", 2}}) {
    const std::int64_t before = device->counters().compile_attempts;
    Case c = case_of("woFwd", variant);
    CaseData data = make_case_data(c, ane::KernelRegistry::builtin().find(c.kernel).layout(kernel_config(c)));
    EXPECT_EQ(checker.run(c, data).status, Status::ok);
    for (float& value : data.activations.at("attn").data) value *= 8;
    EXPECT_EQ(checker.run(c, data).status, Status::ok);
    EXPECT_EQ(checker.run(c, data).status, Status::ok);
    EXPECT_EQ(device->counters().compile_attempts - before, programs) << variant;
  }
}

// One element a million times the others: what is left of those is nothing, or the one is clipped. Either way counted.
TEST(EightBitCases, ClippedAndVanishedActivationsAreDegraded) {
  const auto device = make_device("h16");
  const CheckOptions options = options_for(*device);
  Case c = case_of("woFwd", "weights=w8a8");
  CaseData data = make_case_data(c, options.registry.find(c.kernel).layout(kernel_config(c)));
  auto& attn = data.activations.at("attn").data;
  for (std::size_t i = 0; i < attn.size(); i += 40) attn[i] = 2000;
  CaseResult result = KernelChecker(options).run(c, data);
  EXPECT_NE(result.status, Status::failed) << result.reason;
  ASSERT_EQ(result.statistics.front().program.quantizations.size(), 1U);
  EXPECT_EQ(result.statistics.front().program.quantizations[0].clip_fraction, 0);
  // A program calibrated on other activations than it meets: the registry's kernel is given a hundredth of them.
  CheckOptions small = options;
  ane::KernelSpec spec = options.registry.find(c.kernel);
  const auto program = spec.program;
  NamedTensors calibration = data.activations;
  for (float& value : calibration.at("attn").data) value = 0.25F;
  spec.program = [&](const ane::KernelConfig& config, const ane::PackedLayout& layout) {
    ane::KernelConfig other = config;
    other.activations = &calibration;
    return program(other, layout);
  };
  small.registry = {};
  small.registry.add(spec);
  data = make_case_data(c, options.registry.find(c.kernel).layout(kernel_config(c)));
  result = KernelChecker(small).run(c, data);
  EXPECT_EQ(result.status, Status::degraded) << result.reason;
  EXPECT_GT(result.statistics.front().program.quantizations[0].clip_fraction, 0.5);
}

TEST(EightBitCases, WeightsOfAnotherLayerAreFound) {
  const auto device = make_device();
  CheckOptions options = options_for(*device);
  ane::KernelSpec spec = options.registry.find("woFwd");
  const auto program = spec.program;
  Case c = case_of("woFwd", "weights=int8");
  const auto layout = spec.layout(kernel_config(c));
  CaseData other = make_case_data(c, layout);
  for (float& value : other.weights.at("wo").data) value *= 1.05F;
  spec.program = [&](const ane::KernelConfig& config, const ane::PackedLayout& at) {
    ane::KernelConfig wrong = config;
    wrong.weights = &other.weights;
    return program(wrong, at);
  };
  options.registry = {};
  options.registry.add(spec);
  const CaseResult result = KernelChecker(options).run(c);
  EXPECT_EQ(result.status, Status::wrong_result);
  EXPECT_THAT(result.reason, ::testing::AnyOf(HasSubstr("8-bit weight wo_t"), HasSubstr("computes something else")));
}

TEST(EightBitCases, BeyondFp16AreNamedAndNotCompiled) {
  const auto device = make_device();
  Case c = case_of("woFwd", "weights=int8");
  CaseData data = make_case_data(c, ane::KernelRegistry::builtin().find(c.kernel).layout(kernel_config(c)));
  data.weights.at("wo").data[3] = 7e4F;
  const CaseResult result = KernelChecker(options_for(*device)).run(c, data);
  EXPECT_EQ(result.status, Status::nonfinite);
  EXPECT_EQ(device->counters().compile_attempts, 0);
}

// A layer is calibrated on the first activations after staging, and keeps their scales until it is staged again.
TEST(EightBitLayers, AreCalibratedOnceForEveryStaging) {
  const auto device = make_device("h16");
  Case c = case_of("layer", "weights=w8a8");
  NamedTensors tensors = random_layer_tensors(c);
  ane::LayerPrograms programs(*device, ane::KernelRegistry::builtin(), c.shape, c.variant);
  const auto counts = ane::CompileCounts::of(ane::KernelRegistry::builtin(), c.shape, c.variant);
  EXPECT_EQ(counts.per_staged_layer, 8);
  ane::Layer layer(programs, nullptr);
  const auto pass = [&](float factor) {
    NamedTensors work = tensors;
    for (float& value : work.at("x").data) value *= factor;
    std::set<std::string> phases;
    layer.forward(work, [&](const ane::PlanStep&, std::string_view phase, std::int64_t) { phases.emplace(phase); });
    return std::pair{phases.contains("compile"), work.at("y")};
  };
  layer.stage(tensors);
  EXPECT_EQ(device->counters().compile_attempts, counts.shared + 5) << "three forward kernels wait";
  const auto first = pass(1);
  EXPECT_TRUE(first.first);
  EXPECT_EQ(device->counters().compile_attempts, counts.shared + 8);
  const std::string hash = layer.kernel("woFwd").executable->program_hash();
  EXPECT_FALSE(pass(3).first);
  EXPECT_EQ(pass(1).second, first.second);
  EXPECT_EQ(device->counters().compile_attempts, counts.shared + 8);
  layer.stage(tensors);
  EXPECT_EQ(pass(1).second, first.second) << "equal weights and activations, equal programs";
  EXPECT_EQ(layer.kernel("woFwd").executable->program_hash(), hash);
  EXPECT_EQ(device->counters().compile_attempts, counts.shared + 16);
}

TEST(EightBitLayers, AreNearTheReference) {
  for (const auto& [variant, most] : {std::pair{"weights=int8", 0.02}, {"weights=w8a8", 0.04}})
    for (const std::size_t shape : {0U, 3U, 5U}) {
      const auto device = make_device("h16");
      const Case c = case_of("layer", variant, shape);
      const LayerResult result = check_layer(options_for(*device), c, random_layer_tensors(c));
      EXPECT_EQ(result.status, Status::ok) << result.reason;
      for (const LayerTensorError& error : result.tensors)
        if (error.tensor == "y") {
          EXPECT_LT(std::sqrt(error.metrics.nmse), most) << variant << ' ' << c.shape.name;
          EXPECT_GT(std::sqrt(error.metrics.nmse), 0.001);
        }
    }
}

}  // namespace
}  // namespace aneval::validate
