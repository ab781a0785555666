// Programs of every kernel and variant: the checker, multiplications, constants.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "ane/kernels/kernels_test_support.h"
#include "ane/mil/checker.h"
#include "ane/mil/ops.h"
#include "ane/mil/text.h"
#include "ane/staging.h"
#include "ane/weight_blob.h"
#include "common/error.h"

namespace aneval::ane {
namespace {

using ::testing::HasSubstr;

// 2·MAC with the full, non-causal attention products: GFLOP worked out from the shapes, to the digits given.
TEST(Program, MultiplicationsAreThoseOfTheMathematics) {
  const std::map<std::string, double> qwen = {
      {"sdpaFwd", 2.684}, {"woFwd", 1.074},          {"ffnFused", 4.832},  {"ffnBwdW2t", 1.611}, {"ffnBwdW13t", 3.221},
      {"wotBwd", 1.074},  {"sdpaBwd1", 0.805},       {"sdpaBwd2", 0.537},  {"qBwd", 1.074},      {"kvBwd", 1.074},
      {"qkvBwd", 2.147},  {"ffnBwdSiluW13t", 3.221}, {"ffnUpGate", 3.221}, {"ffnUp", 3.221},     {"ffnDown", 1.611},
      {"sdpaBwd", 1.342}, {"sdpaWoFwd", 3.758},      {"sdpaQkv", 2.147},   {"sdpaCore", 0.537}};
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const auto& [name, gflop] : qwen) {
    const KernelSpec& spec = registry.find(name);
    const KernelConfig config = config_of(spec, preset("Qwen3-0.6B"));
    const mil::BuiltProgram program = spec.program(config, spec.layout(config));
    EXPECT_NEAR(mil::matmul_flops(program.graph.main()) / 1e9, gflop, 0.0005) << name;
  }
}

TEST(Program, EveryVariantPassesTheCheckerInBothDialects) {
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const RopePairing pairing : {RopePairing::interleaved, RopePairing::half}) {
    for (const Variant& variant : single_variants()) {
      for (const KernelSpec& spec : registry.all()) {
        const NamedTensors weights = some_weights(spec, small_shape(pairing));
        KernelConfig config = config_of(spec, small_shape(pairing), variant, &weights);
        const NamedTensors activations = some_activations(spec.layout(config));
        config.activations = &activations;
        const mil::BuiltProgram program = spec.program(config, spec.layout(config));
        for (const mil::Dialect dialect : {mil::Dialect::modern, mil::Dialect::legacy}) {
          const mil::Program read = mil::parse(mil::print(program.graph, dialect), spec.name);
          for (const mil::Finding& finding : mil::check(read, &program.weights))
            ADD_FAILURE() << variant_text(variant) << ": " << mil::finding_text(read, finding);
        }
      }
    }
  }
}

TEST(Program, PaddingMakesEveryWidthAndContractionAMultipleOf32) {
  const KernelRegistry registry = KernelRegistry::builtin();
  Variant variant;
  variant.pad = Pad::multiple_of_32;
  for (const KernelSpec& spec : registry.all()) {
    const KernelConfig config = config_of(spec, small_shape(RopePairing::interleaved), variant);
    const PackedLayout layout = spec.layout(config);
    EXPECT_EQ(layout.input_width() % 32, 0) << spec.name;
    EXPECT_EQ(layout.output_width() % 32, 0) << spec.name;
    const mil::BuiltProgram program = spec.program(config, layout);
    const mil::Function& function = program.graph.main();
    for (const mil::Operation& operation : function.operations) {
      if (operation.op != "matmul") continue;
      const mil::Arguments arguments = mil::resolve_arguments(function, operation);
      const mil::Shape& x = arguments.one("x").type.shape;
      const std::int64_t contraction = arguments.boolean("transpose_x", false) ? x[x.size() - 2] : x.back();
      EXPECT_EQ(contraction % 32, 0) << spec.name << ' ' << operation.result;
    }
  }
}

// The constants of weights=static are the blocks that weights=dynamic finds on its surface, padding and all, and
// nothing else about the program changes.
TEST(Program, StaticWeightsHoldWhatTheSurfaceWould) {
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const char* text :
       {"default", "pad=32", "score_scale=folded", "packing=weights_first", "transposes=flags", "qkv=one"}) {
    for (const KernelSpec& spec : registry.all()) {
      const Variant dynamic = parse_variant(text);
      Variant compiled = dynamic;
      compiled.weights = Weights::compiled;
      const ModelShape shape = small_shape(RopePairing::half);
      const NamedTensors weights = some_weights(spec, shape);
      const KernelConfig config = config_of(spec, shape, compiled, &weights);
      const PackedLayout surface = spec.layout(config_of(spec, shape, dynamic)), layout = spec.layout(config);
      const mil::BuiltProgram program = spec.program(config, layout);
      EXPECT_EQ(layout.operands().size(), surface.slots().size()) << spec.name;
      EXPECT_EQ(layout.output_bytes(), surface.output_bytes());
      for (const Slot& slot : layout.slots()) EXPECT_EQ(slot.kind, SlotKind::activation) << slot.name;
      for (const Slot& slot : layout.compiled()) {
        const auto& file = program.weights.at(mil::weight_path(slot.name));
        const std::vector<half_t> expected = staged_bits(surface.slot(slot.name), weights);
        const auto bytes = std::as_bytes(std::span(expected));
        const Blob blob = read_blob(file, 64, bytes.size(), slot.name);
        EXPECT_TRUE(std::ranges::equal(blob.bytes, bytes)) << spec.name << ' ' << slot.name;
      }
      const KernelConfig dynamic_config = config_of(spec, shape, dynamic);
      EXPECT_EQ(mil::matmul_flops(program.graph.main()),
                mil::matmul_flops(spec.program(dynamic_config, surface).graph.main()));
    }
  }
}

// The program holds q and the scales; what they were made of stands beside it, and quantize and dequantize around the
// activations take one scale.
TEST(Program, EightBitWeightsAndActivationsAreInTheText) {
  const KernelRegistry registry = KernelRegistry::builtin();
  const ModelShape shape = small_shape(RopePairing::half);
  for (const char* text : {"weights=int8", "weights=w8a8"}) {
    const KernelSpec& spec = registry.find("sdpaFwd");
    const NamedTensors weights = some_weights(spec, shape);
    KernelConfig config = config_of(spec, shape, parse_variant(text), &weights);
    const PackedLayout layout = spec.layout(config);
    const NamedTensors activations = some_activations(layout);
    config.activations = &activations;
    const mil::BuiltProgram program = spec.program(config, layout);
    const bool quantizes = config.variant.weights == Weights::w8a8;
    EXPECT_EQ(program.graph.main().find("xn_q") != nullptr, quantizes);
    if (quantizes) {
      EXPECT_THAT(program.text, HasSubstr("xn_q_scale = const()[name = string(\"xn_q_scale\"), val = fp16(0x1p-7)]"));
    }
    for (const char* name : {"wq_t", "wk_t", "wv_t"}) {
      EXPECT_EQ(program.graph.main().find(name)->op, "constexpr_affine_dequantize");
      const auto elements = static_cast<std::size_t>(program.graph.main().find(name)->type.elements());
      EXPECT_EQ(program.exact_constants.at(name).size(), elements);
      // A header, two blobs' metadata, and a byte each, not two.
      EXPECT_LT(program.weights.at(mil::weight_path(name)).size(), 64 * 4 + elements * 3 / 2);
    }
    config.activations = nullptr;
    if (quantizes) {
      EXPECT_THROW((void)spec.program(config, layout), Error);
    }
  }
}

TEST(Program, StaticWeightsThatAreMissingOrTooLargeAreNamed) {
  const KernelRegistry registry = KernelRegistry::builtin();
  const KernelSpec& spec = registry.find("woFwd");
  const ModelShape shape = small_shape(RopePairing::half);
  NamedTensors weights = some_weights(spec, shape);
  const auto error_with = [&](const NamedTensors* given) -> std::string {
    const KernelConfig config = config_of(spec, shape, parse_variant("weights=static"), given);
    try {
      (void)spec.program(config, spec.layout(config));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::bad_input);
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(error_with(nullptr), HasSubstr("weights=static: compiles 'wo' into the program"));
  weights.at("wo").data[7] = 1e6F;
  EXPECT_THAT(error_with(&weights), HasSubstr("constant 'wo_t': inf does not fit into fp16"));
  weights.erase("wo");
  EXPECT_THAT(error_with(&weights), HasSubstr("weight 'wo': missing"));
}

TEST(Program, FoldedScaleLeavesNoMultiplicationOfScores) {
  Variant folded;
  folded.score_scale = ScoreScale::folded;
  const KernelRegistry registry = KernelRegistry::builtin();
  const KernelSpec& spec = registry.find("sdpaFwd");
  for (const bool fold : {false, true}) {
    const KernelConfig config{preset("Qwen3-0.6B"), fold ? folded : Variant{}};
    const PackedLayout layout = spec.layout(config);
    const mil::BuiltProgram program = spec.program(config, layout);
    EXPECT_EQ(program.graph.main().find("scores_scaled") == nullptr, fold);
    EXPECT_DOUBLE_EQ(layout.slot("wq_t").scale, fold ? 1 / std::sqrt(128.0) : 1.0);
  }
}

// What plans ask of a program without numbers, its operations, their types and the order of its weights, is the
// program's.
TEST(Program, WithoutNumbersHasTheSameOperations) {
  const KernelRegistry registry = KernelRegistry::builtin();
  const ModelShape shape = small_shape(RopePairing::interleaved);
  for (const Variant& variant : single_variants()) {
    for (const KernelSpec& spec : registry.of_variant(variant)) {
      const NamedTensors weights = some_weights(spec, shape);
      KernelConfig config = config_of(spec, shape, variant, &weights);
      const PackedLayout layout = spec.layout(config);
      const NamedTensors activations = some_activations(layout);
      config.activations = &activations;
      const mil::BuiltProgram full = spec.program(config, layout);
      config.shapes_only = true;
      const mil::BuiltProgram shapes = spec.program(config, layout);
      const auto& a = full.graph.main().operations;
      const auto& b = shapes.graph.main().operations;
      ASSERT_EQ(a.size(), b.size()) << variant_text(variant) << ' ' << spec.name;
      for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].op, b[i].op) << variant_text(variant) << ' ' << spec.name << ' ' << a[i].result;
        EXPECT_EQ(a[i].result, b[i].result);
        EXPECT_EQ(a[i].type, b[i].type) << variant_text(variant) << ' ' << spec.name << ' ' << a[i].result;
      }
      EXPECT_TRUE(shapes.weights.empty());
    }
  }
}

}  // namespace
}  // namespace aneval::ane
