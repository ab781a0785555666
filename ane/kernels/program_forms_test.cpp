// Forms of programs: which operations they have, and that nothing else about them changes.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "ane/compiled_kernel.h"
#include "ane/half.h"
#include "ane/kernels/kernels_test_support.h"
#include "ane/kernels/sequence_limits.h"
#include "ane/mil/family_rules.h"
#include "ane/staging.h"

namespace aneval::ane {
namespace {

// product=conv: the constant is the weight of the convolution, which sums over its axis 1.
TEST(Program, StaticFiltersAreTheConvolutionsOwn) {
  const KernelRegistry registry = KernelRegistry::builtin();
  const ModelShape shape = small_shape(RopePairing::half);
  for (const char* text : {"weights=static;product=conv", "weights=static;product=conv;pad=32"}) {
    for (const KernelSpec& spec : registry.all()) {
      const NamedTensors weights = some_weights(spec, shape);
      const KernelConfig config = config_of(spec, shape, parse_variant(text), &weights);
      const CompiledKernel kernel = prepare_kernel(spec, config);
      const mil::Function& function = kernel.program.graph.main();
      for (const Slot& slot : kernel.layout.compiled()) {
        SCOPED_TRACE(spec.name + " " + slot.name + " " + text);
        const bool as_it_lies = slot.name == (spec.name == "ffnFused" ? "w2" : spec.name == "sdpaWoFwd" ? "wo" : "");
        const mil::Operation* constant = function.find(as_it_lies ? slot.name : slot.name + "_turned");
        ASSERT_NE(constant, nullptr);
        EXPECT_EQ(constant->op, "const");
        const std::int64_t channels = slot.channels.padded_size(), width = slot.width.padded_size();
        EXPECT_EQ(constant->type.shape,
                  as_it_lies ? mil::Shape({channels, width, 1, 1}) : mil::Shape({width, channels, 1, 1}));
        // What the judge reads back is what dynamic weights stage: all different, so that no other order would do.
        std::vector<float> read(static_cast<std::size_t>(slot.channels.size() * slot.width.size()));
        read_compiled_weight(kernel, slot, read);
        const std::vector<half_t> staged = staged_bits(slot, weights);
        for (std::int64_t c = 0, i = 0; c < slot.channels.size(); ++c)
          for (std::int64_t w = 0; w < slot.width.size(); ++w, ++i) {
            const auto place = static_cast<std::size_t>(slot.channels.place(c) * width + slot.width.place(w));
            ASSERT_EQ(to_half(static_cast<double>(read[static_cast<std::size_t>(i)])), staged[place]) << c << ' ' << w;
          }
      }
    }
  }
}

TEST(Program, FormsHaveTheOperationsTheySay) {
  struct Expected {
    std::int64_t weight_products, other_products;
    // transposes of the default, of product=conv, of transposes=flags, of both
    std::int64_t transposes, by_conv, by_flags, by_both;
  };
  // With flags RoPE's own are left: q and k in and out. A convolution turns the weights that lie [C, N].
  const std::map<std::string, Expected> expected = {
      {"sdpaFwd", {3, 2, 10, 9, 4, 7}},   {"woFwd", {1, 0, 2, 1, 0, 1}},      {"ffnFused", {3, 0, 6, 2, 0, 2}},
      {"ffnBwdW2t", {1, 0, 2, 1, 0, 1}},  {"ffnBwdW13t", {2, 0, 3, 2, 0, 2}}, {"wotBwd", {1, 0, 2, 1, 0, 1}},
      {"sdpaBwd1", {0, 3, 5, 5, 0, 0}},   {"sdpaBwd2", {0, 2, 4, 4, 0, 0}},   {"qBwd", {1, 0, 2, 1, 0, 1}},
      {"kvBwd", {2, 0, 3, 2, 0, 2}},      {"qkvBwd", {1, 0, 2, 1, 0, 1}},     {"ffnBwdSiluW13t", {2, 0, 3, 2, 0, 2}},
      {"ffnUpGate", {2, 0, 4, 2, 0, 2}},  {"ffnUp", {2, 0, 3, 2, 0, 2}},      {"ffnDown", {1, 0, 2, 1, 0, 1}},
      {"sdpaBwd", {0, 5, 7, 7, 0, 0}},    {"sdpaQkv", {3, 0, 4, 3, 0, 3}},    {"sdpaCore", {0, 2, 4, 4, 0, 0}},
      {"sdpaWoFwd", {4, 2, 13, 9, 4, 7}}, {"dynMatmul", {1, 0, 2, 1, 0, 1}}};
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const KernelSpec& spec : registry.all()) {
    const Expected& e = expected.at(spec.name);
    const auto check = [&](const char* text, bool conv, std::int64_t transposes) {
      const KernelConfig config = config_of(spec, preset("Qwen3-0.6B"), parse_variant(text));
      const mil::BuiltProgram program = spec.program(config, spec.layout(config));
      const mil::Function& function = program.graph.main();
      SCOPED_TRACE(spec.name + " " + text);
      EXPECT_EQ(count(function, "conv"), conv ? e.weight_products : 0);
      EXPECT_EQ(count(function, "matmul"), e.other_products + (conv ? 0 : e.weight_products));
      EXPECT_EQ(count(function, "transpose"), transposes);
      const KernelConfig seed = config_of(spec, preset("Qwen3-0.6B"));
      EXPECT_EQ(mil::matmul_flops(function), mil::matmul_flops(spec.program(seed, spec.layout(seed)).graph.main()));
    };
    check("default", false, e.transposes);
    check("product=conv", true, e.by_conv);
    check("transposes=flags", false, e.by_flags);
    check("product=conv;transposes=flags", true, e.by_both);
    // Compiled in, no weight is turned.
    Variant compiled = parse_variant("weights=static;product=conv;transposes=flags");
    KernelConfig config = config_of(spec, preset("Qwen3-0.6B"), compiled);
    config.shapes_only = true;
    EXPECT_EQ(count(spec.program(config, spec.layout(config)).graph.main(), "transpose"), e.by_flags) << spec.name;
  }
}

// One product of the width of all three, the same multiplications, and no slice inside the last axis but the weights'.
TEST(Program, OneProductMakesQueriesKeysAndValues) {
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const char* others : {"default", "packing=weights_first", "pad=32"}) {
    for (const char* kernel : {"sdpaFwd", "sdpaWoFwd"}) {
      const KernelSpec& spec = registry.find(kernel);
      const KernelConfig three = config_of(spec, small_shape(RopePairing::half), parse_variant(others));
      KernelConfig one = three;
      one.variant.qkv = QkvProducts::one;
      const mil::BuiltProgram a = spec.program(three, spec.layout(three)), b = spec.program(one, spec.layout(one));
      EXPECT_EQ(count(a.graph.main(), "matmul") - count(b.graph.main(), "matmul"), 2) << kernel << ' ' << others;
      EXPECT_EQ(mil::matmul_flops(a.graph.main()), mil::matmul_flops(b.graph.main()));
      const Axes axes = Axes::of(one.shape, one.variant);
      EXPECT_EQ(b.graph.main().find("qkv")->type.shape,
                (mil::Shape{1, axes.q.padded_size() + 2 * axes.kv.padded_size(), 1, axes.seq.padded_size()}));
    }
  }
}

// The least last axis of what a program computes: of a row's 32 numbers, the others would be padding.
std::int64_t least_width(const mil::BuiltProgram& program) {
  std::int64_t least = INT64_MAX;
  for (const mil::Operation& operation : program.graph.main().operations)
    if (operation.op != "const") least = std::min(least, operation.type.shape.back());
  return least;
}

TEST(Program, PlanarRopeHasNoNarrowTensorAndNoSliceOfItsLastAxis) {
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const RopePairing pairing : {RopePairing::interleaved, RopePairing::half}) {
    for (const char* kernel : {"sdpaFwd", "sdpaWoFwd"}) {
      const KernelSpec& spec = registry.find(kernel);
      ModelShape shape = preset("Qwen3-0.6B");
      shape.rope_pairing = pairing;
      KernelConfig config = config_of(spec, shape);
      const PackedLayout layout = spec.layout(config);
      const mil::BuiltProgram pairs = spec.program(config, layout);
      config.variant.rope = Rope::planar;
      const mil::BuiltProgram planar = spec.program(config, layout);
      EXPECT_EQ(least_width(pairs), pairing == RopePairing::half ? 64 : 1) << kernel;
      EXPECT_EQ(least_width(planar), 128) << kernel;
      EXPECT_EQ(mil::matmul_flops(pairs.graph.main()), mil::matmul_flops(planar.graph.main()));
      EXPECT_LT(count(planar.graph.main(), "transpose"), count(pairs.graph.main(), "transpose")) << kernel;
      EXPECT_EQ(planar.graph.main().find("rope_cos")->type.shape, (mil::Shape{1, 1, 128, 256}));
    }
  }
}

// Two tiles of 128 need three of four blocks of every product of queries and keys: GFLOP worked out from the shapes.
TEST(Program, TilesLeaveOutWhatNoQuerySees) {
  const std::map<std::string, double> qwen = {
      {"sdpaFwd", 2.550}, {"sdpaWoFwd", 3.624}, {"sdpaCore", 0.403}, {"sdpaBwd1", 0.604}, {"sdpaBwd2", 0.403}};
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const auto& [name, gflop] : qwen) {
    const KernelSpec& spec = registry.find(name);
    KernelConfig config = config_of(spec, preset("Qwen3-0.6B"), parse_variant("causal=tiles"));
    const mil::BuiltProgram tiles = spec.program(config, spec.layout(config));
    EXPECT_NEAR(mil::matmul_flops(tiles.graph.main()) / 1e9, gflop, 0.0005) << name;
    if (name != "sdpaBwd2") {
      EXPECT_EQ(count(tiles.graph.main(), "softmax"), 2) << name;
      EXPECT_EQ(tiles.graph.main().find("causal_mask")->type.shape, (mil::Shape{1, 1, 128, 128})) << name;
      EXPECT_EQ(tiles.graph.main().find("causal_mask_1"), nullptr) << name;  // both have the same one
    }
    // A tile and a rest, whose mask is its own.
    config.shape.seq = 300;
    const mil::BuiltProgram rest = spec.program(config, spec.layout(config));
    if (name != "sdpaBwd2") {
      EXPECT_EQ(rest.graph.main().find("causal_mask_1")->type.shape, (mil::Shape{1, 1, 44, 44}));
    }
    // One tile is the default.
    config.shape.seq = 128;
    const std::string one = spec.program(config, spec.layout(config)).text;
    config.variant.causal = Causal::mask;
    EXPECT_EQ(spec.program(config, spec.layout(config)).text, one) << name;
  }
}

TEST(Program, FormsOfAttentionHaveNoErrorOnAnyFamily) {
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const char* model : {"Qwen3-0.6B", "Stories110M"}) {
    for (const char* variant : {"qkv=one", "rope=planar", "causal=tiles", "qkv=one;rope=planar;causal=tiles",
                                "qkv=one;rope=planar;causal=tiles;weights=static;pad=32"}) {
      for (const char* kernel : {"sdpaFwd", "sdpaWoFwd", "sdpaQkv", "sdpaCore", "sdpaBwd1", "sdpaBwd2"}) {
        const KernelSpec& spec = registry.find(kernel);
        KernelConfig config = config_of(spec, preset(model), parse_variant(variant));
        config.shapes_only = true;
        const mil::Program program = spec.program(config, spec.layout(config)).graph;
        for (const mil::Family& family : mil::families())
          for (const mil::Finding& finding :
               mil::check_family(in_dialect_of(family, program), family, mil::RuleScope::all))
            EXPECT_NE(finding.severity, mil::Severity::error)
                << variant << ' ' << kernel << ' ' << family.name << ": " << finding.text;
      }
    }
  }
}

}  // namespace
}  // namespace aneval::ane
