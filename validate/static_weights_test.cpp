// Weights that are compiled in (weights=static): layers have the bits of dynamic ones, staging compiles, and the judge
// looks at the constants. The variant's healthy cases run with the edge cases of case_suite_test.cpp.
#include <gmock/gmock.h>

#include <set>

#include "common/error.h"
#include "validate/emulated_device.h"
#include "validate/kernel_check.h"
#include "validate/layer_check.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

using ::testing::HasSubstr;

std::vector<ane::Variant> static_variants() {
  std::vector<ane::Variant> variants;
  for (const char* text : {"weights=static", "weights=static;pad=32", "weights=static;score_scale=folded",
                           "weights=static;row_sum=matmul;head_map=cyclic"})
    variants.push_back(ane::parse_variant(text));
  return variants;
}

TEST(StaticWeights, ALayerHasTheBitsOfDynamicOnes) {
  for (const char* profile : {"ieee", "h13", "h16"}) {
    for (const ane::Variant& variant : static_variants()) {
      Case c;
      c.shape = edge_shapes().front();
      c.variant = variant;
      const NamedTensors tensors = random_layer_tensors(c);
      const auto device = make_device(profile);
      const NamedTensors compiled = run_layer_on_device(options_for(*device), c, tensors);
      c.variant.weights = ane::Weights::dynamic;
      const NamedTensors dynamic = run_layer_on_device(options_for(*device), c, tensors);
      EXPECT_EQ(layer_hash(compiled), layer_hash(dynamic)) << profile << ' ' << ane::variant_text(variant);
    }
  }
}

TEST(StaticWeights, StagingReplacesThePrograms) {
  const auto device = make_device();
  Case c;
  c.shape = edge_shapes().front();
  c.variant.weights = ane::Weights::compiled;
  ane::LayerPrograms programs(*device, ane::KernelRegistry::builtin(), c.shape, c.variant);
  const auto counts = ane::CompileCounts::of(ane::KernelRegistry::builtin(), c.shape, c.variant);
  EXPECT_EQ(device->counters().compile_attempts, counts.shared);
  ane::Layer layer(programs, nullptr), other(programs, nullptr);
  // 10 outputs and 10 inputs, all shared: nothing on them is a layer's own.
  EXPECT_EQ(device->counters().surfaces, 20);
  std::vector<std::string> hashes;
  for (const std::uint64_t seed : {1U, 2U, 1U}) {
    c.seed = seed;
    NamedTensors tensors = random_layer_tensors(c);
    NamedTensors weights;
    for (const std::string& name : layer_weights()) weights[name] = tensors.extract(name).mapped();
    layer.stage(weights);
    c.seed = 7;
    NamedTensors work = random_layer_tensors(c);
    layer.forward(work);
    hashes.push_back(layer.kernel("woFwd").executable->program_hash() + std::to_string(work.at("y").data[0]));
  }
  EXPECT_NE(hashes[0], hashes[1]);
  EXPECT_EQ(hashes[0], hashes[2]);
  EXPECT_EQ(counts.per_staged_layer, 8);
  EXPECT_EQ(device->counters().compile_attempts, 2 + 3 * 8);
  NamedTensors nothing;
  EXPECT_THROW(other.forward(nothing), std::logic_error) << "was never staged";
}

TEST(StaticWeights, AFailedStagingLeavesNothingStaged) {
  emulator::EmulatorOptions options;
  options.compile_limit = 2 + 8 + 3;
  const auto device = emulator::make_emulator(options);
  Case c;
  c.shape = edge_shapes().front();
  c.variant.weights = ane::Weights::compiled;
  NamedTensors tensors = random_layer_tensors(c);
  ane::LayerPrograms programs(*device, ane::KernelRegistry::builtin(), c.shape, c.variant);
  ane::Layer layer(programs, nullptr);
  layer.stage(tensors);
  layer.forward(tensors);
  EXPECT_THROW(layer.stage(tensors), Error);
  EXPECT_THROW(layer.forward(tensors), std::logic_error);
}

// One checker, cases that differ in data alone: each is judged on the weights that its own program holds.
TEST(StaticWeights, EveryCaseIsJudgedOnItsOwnWeights) {
  const auto device = make_device();
  KernelChecker checker(options_for(*device));
  Case c;
  c.kernel = "woFwd";
  c.shape = edge_shapes().front();
  std::set<std::string> programs;
  for (const ane::Weights weights : {ane::Weights::compiled, ane::Weights::dynamic}) {
    c.variant.weights = weights;
    std::vector<std::string> hashes;
    for (const std::uint64_t seed : {1U, 2U, 2U}) {
      c.seed = seed;
      const CaseResult result = checker.run(c);
      EXPECT_EQ(result.status, Status::ok) << result.reason;
      programs.insert(result.program_hash);
    }
  }
  EXPECT_EQ(programs.size(), 2U + 1U);
  EXPECT_EQ(device->counters().compile_attempts, 2 + 1) << "equal weights do not compile again";
}

// Padded heads and halves of heads, folded scales, both packings: the same output, judged in the same way.
TEST(StaticWeights, AreJudgedAsDynamicOnes) {
  const auto device = make_device();
  KernelChecker checker(options_for(*device));
  for (const std::size_t shape : {0U, 5U}) {  // pairs of neighbours, and of halves
    for (const ane::Variant& variant : static_variants()) {
      for (const char* kernel : {"sdpaFwd", "woFwd", "qBwd", "ffnFused"}) {
        Case c;
        c.kernel = kernel;
        c.shape = edge_shapes().at(shape);
        c.variant = variant;
        const CaseResult compiled = checker.run(c);
        c.variant.weights = ane::Weights::dynamic;
        const CaseResult dynamic = checker.run(c);
        SCOPED_TRACE(case_text(c));
        EXPECT_EQ(compiled.status, Status::ok) << compiled.reason;
        EXPECT_EQ(compiled.output_hash, dynamic.output_hash);
        ASSERT_EQ(compiled.blocks.size(), dynamic.blocks.size());
        for (std::size_t i = 0; i < compiled.blocks.size(); ++i) {
          EXPECT_EQ(compiled.blocks[i].metrics.nmse, dynamic.blocks[i].metrics.nmse);
          EXPECT_NEAR(compiled.blocks[i].device.worst.ratio, dynamic.blocks[i].device.worst.ratio, 1e-6);
        }
      }
    }
  }
}

TEST(StaticWeights, ConstantsOfAnotherFormThanTheSlotsAreFound) {
  const auto device = make_device();
  for (const bool transposed : {false, true}) {
    CheckOptions options = options_for(*device);
    // woFwd that means to hold Wo where it should hold its transpose; with D = Q the shapes agree.
    ane::KernelRegistry registry;
    ane::KernelSpec spec = options.registry.find("woFwd");
    const auto layout = spec.layout;
    if (transposed)
      spec.layout = [layout](const ane::KernelConfig& config) {
        std::vector<ane::Slot> slots = layout(config).operands();
        for (ane::Slot& slot : slots)
          if (slot.kind == ane::SlotKind::weight) slot.transposed = false;
        return ane::PackedLayout::along_width(slots, layout(config).blocks(), config.variant);
      };
    registry.add(spec);
    options.registry = registry;
    Case c;
    c.kernel = "woFwd";
    c.shape = edge_shapes().front();
    c.shape.heads = c.shape.kv_heads = 4;
    c.shape.head_dim = c.shape.dim / 4;
    c.variant.weights = ane::Weights::compiled;
    ASSERT_EQ(c.shape.q_dim(), c.shape.dim);
    const CaseResult result = KernelChecker(options).run(c);
    EXPECT_EQ(result.status, transposed ? Status::wrong_result : Status::ok) << result.reason;
    if (transposed) {
      EXPECT_THAT(result.reason, HasSubstr("staging of slot wo_t"));
    }
  }
}

TEST(StaticWeights, BeyondFp16AreNamedAndNotCompiled) {
  const auto device = make_device();
  Case c;
  c.kernel = "qBwd";
  c.shape = edge_shapes().front();
  c.variant.weights = ane::Weights::compiled;
  CaseData data = make_case_data(c, ane::KernelRegistry::builtin().find(c.kernel).layout(kernel_config(c)));
  data.weights.at("wq").data[3] = 7e4F;
  const CaseResult result = KernelChecker(options_for(*device)).run(c, data);
  EXPECT_EQ(result.status, Status::nonfinite);
  EXPECT_THAT(result.reason, HasSubstr("weight wq of the program"));
  EXPECT_EQ(device->counters().compile_attempts, 0);
}

}  // namespace
}  // namespace aneval::validate
