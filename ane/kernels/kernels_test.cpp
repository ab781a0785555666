// Layouts against sizes worked out by hand, and programs against the checker, for every kernel and variant.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "ane/compiled_kernel.h"
#include "ane/half.h"
#include "ane/kernels/kernel.h"
#include "ane/kernels/sequence_limits.h"
#include "ane/mil/checker.h"
#include "ane/mil/ops.h"
#include "ane/mil/text.h"
#include "ane/staging.h"
#include "common/error.h"

namespace aneval::ane {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelShape preset(const std::string& name) { return load_model_shape(name); }

KernelConfig config_of(const KernelSpec& spec, const ModelShape& shape, const Variant& variant = {},
                       const NamedTensors* weights = nullptr) {
  KernelConfig config{shape, variant};
  config.weights = weights;
  if (spec.name == "dynMatmul") config.ic = shape.dim, config.oc = shape.hidden;
  return config;
}

std::vector<std::string> slot_names(const PackedLayout& layout) {
  std::vector<std::string> names;
  for (const Slot& slot : layout.slots()) names.push_back(slot.name);
  return names;
}

std::vector<std::string> block_names(const PackedLayout& layout) {
  std::vector<std::string> names;
  for (const Block& block : layout.blocks()) names.push_back(block.name);
  return names;
}

TEST(Registry, HoldsTheKernelsOfAllCutsAndTheGenericMatmul) {
  std::vector<std::string> names;
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const KernelSpec& spec : registry.all()) names.push_back(spec.name);
  EXPECT_THAT(names, ElementsAre("sdpaFwd", "woFwd", "ffnFused", "ffnBwdW2t", "ffnBwdW13t", "wotBwd", "sdpaBwd1",
                                 "sdpaBwd2", "qBwd", "kvBwd", "qkvBwd", "ffnBwdSiluW13t", "ffnUpGate", "ffnUp",
                                 "ffnDown", "sdpaBwd", "sdpaWoFwd", "sdpaQkv", "sdpaCore", "dynMatmul"));
}

TEST(Registry, AVariantHasTheKernelsOfItsPlanAndThoseOfNoPlan) {
  KernelRegistry registry = KernelRegistry::builtin();
  KernelSpec toy = registry.find("woFwd");
  toy.name = "toy";
  registry.add(toy);
  const auto names = [&](const char* variant) {
    std::vector<std::string> all;
    for (const KernelSpec& spec : registry.of_variant(parse_variant(variant))) all.push_back(spec.name);
    return all;
  };
  EXPECT_THAT(names("default"), ElementsAre("sdpaFwd", "woFwd", "ffnFused", "ffnBwdW2t", "ffnBwdW13t", "wotBwd",
                                            "sdpaBwd1", "sdpaBwd2", "qBwd", "kvBwd", "dynMatmul", "toy"));
  EXPECT_THAT(names("qkv_backward=merged;silu_backward=kernel;ffn=cpu_gate;attention_backward=fused;wo=fused"),
              ElementsAre("sdpaWoFwd", "ffnUp", "ffnDown", "ffnBwdW2t", "ffnBwdSiluW13t", "wotBwd", "sdpaBwd", "qkvBwd",
                          "dynMatmul", "toy"));
}

TEST(Registry, TakesKernelsFromOutsideTheTreeAndRefusesATakenName) {
  KernelRegistry registry = KernelRegistry::builtin();
  KernelSpec toy = registry.find("woFwd");
  toy.name = "toy";
  registry.add(toy);
  EXPECT_EQ(registry.find("toy").name, "toy");
  EXPECT_THROW(registry.add(toy), Error);
}

TEST(Registry, SuggestsTheNearestNameForAnUnknownOne) {
  try {
    (void)KernelRegistry::builtin().find("sdpaFwt");
    FAIL() << "found a kernel that does not exist";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("sdpaFwd"));
    EXPECT_EQ(error.code(), ExitCode::bad_input);
  }
}

struct Size {
  std::int64_t channels, width, output_channels;
};

// From D, F, H, G, h, S of the presets: C × W of the input and the channels of the output.
TEST(Layout, SizesOfThePresetsAreTheOnesWorkedOutByHand) {
  const std::map<std::string, std::map<std::string, Size>> expected = {{"Stories110M",
                                                                        {{"sdpaFwd", {768, 2560, 3840}},
                                                                         {"woFwd", {768, 1024, 768}},
                                                                         {"ffnFused", {768, 6656, 6912}},
                                                                         {"ffnBwdW2t", {768, 2304, 2048}},
                                                                         {"ffnBwdW13t", {2048, 2048, 768}},
                                                                         {"wotBwd", {768, 1024, 768}},
                                                                         {"sdpaBwd1", {3072, 256, 6912}},
                                                                         {"sdpaBwd2", {7680, 256, 1536}},
                                                                         {"qBwd", {768, 1024, 768}},
                                                                         {"kvBwd", {768, 2048, 768}},
                                                                         {"qkvBwd", {2304, 1024, 768}},
                                                                         {"ffnBwdSiluW13t", {2048, 2304, 4864}},
                                                                         {"ffnUpGate", {768, 4352, 6144}},
                                                                         {"ffnUp", {768, 4352, 4096}},
                                                                         {"ffnDown", {2048, 1280, 768}},
                                                                         {"sdpaBwd", {3072, 256, 2304}},
                                                                         {"sdpaWoFwd", {768, 3328, 3840}},
                                                                         {"sdpaQkv", {768, 2560, 2304}},
                                                                         {"sdpaCore", {2304, 256, 768}}}},
                                                                       {"Qwen3-0.6B",
                                                                        {{"sdpaFwd", {1024, 4352, 7168}},
                                                                         {"woFwd", {2048, 1280, 1024}},
                                                                         {"ffnFused", {1024, 9728, 10240}},
                                                                         {"ffnBwdW2t", {1024, 3328, 3072}},
                                                                         {"ffnBwdW13t", {3072, 2560, 1024}},
                                                                         {"wotBwd", {1024, 2304, 2048}},
                                                                         {"sdpaBwd1", {8192, 256, 10240}},
                                                                         {"sdpaBwd2", {12288, 256, 4096}},
                                                                         {"qBwd", {2048, 1280, 1024}},
                                                                         {"kvBwd", {1024, 2560, 1024}},
                                                                         {"qkvBwd", {4096, 1280, 1024}},
                                                                         {"ffnBwdSiluW13t", {3072, 2816, 7168}},
                                                                         {"ffnUpGate", {1024, 6400, 9216}},
                                                                         {"ffnUp", {1024, 6400, 6144}},
                                                                         {"ffnDown", {3072, 1536, 1024}},
                                                                         {"sdpaBwd", {8192, 256, 6144}},
                                                                         {"sdpaWoFwd", {1024, 6400, 7168}},
                                                                         {"sdpaQkv", {1024, 4352, 4096}},
                                                                         {"sdpaCore", {4096, 256, 2048}}}}};
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const auto& [model, kernels] : expected) {
    for (const auto& [name, size] : kernels) {
      const KernelSpec& spec = registry.find(name);
      const PackedLayout layout = spec.layout(config_of(spec, preset(model)));
      EXPECT_EQ(layout.input_channels(), size.channels) << model << ' ' << name;
      EXPECT_EQ(layout.input_width(), size.width) << model << ' ' << name;
      EXPECT_EQ(layout.output_channels(), size.output_channels) << model << ' ' << name;
      EXPECT_EQ(layout.output_width(), 256) << model << ' ' << name;
    }
  }
}

TEST(Layout, SlotsAndBlocksHaveTheNamesThatOtherToolsUse) {
  const KernelRegistry registry = KernelRegistry::builtin();
  const std::map<std::string, std::pair<std::vector<std::string>, std::vector<std::string>>> expected = {
      {"sdpaFwd", {{"xn", "wq_t", "wk_t", "wv_t"}, {"attn", "q_rope", "k_rope", "v", "xn"}}},
      {"woFwd", {{"attn", "wo_t"}, {"o"}}},
      {"ffnFused", {{"xm", "x2", "w1_t", "w3_t", "w2"}, {"y", "h1", "h3", "g"}}},
      {"ffnBwdW2t", {{"dffn", "w2"}, {"dsilu"}}},
      {"ffnBwdW13t", {{"dh1", "dh3", "w1", "w3"}, {"dx_ffn"}}},
      {"wotBwd", {{"dy", "wo"}, {"da"}}},
      {"sdpaBwd1", {{"q", "k_tiled", "v_tiled", "da"}, {"dv_full", "probs", "dp"}}},
      {"sdpaBwd2", {{"probs", "dp", "q", "k_tiled"}, {"dq", "dk_full"}}},
      {"qBwd", {{"dq", "wq"}, {"dx_q"}}},
      {"kvBwd", {{"dk", "dv", "wk", "wv"}, {"dx_kv"}}},
      {"qkvBwd", {{"dq", "dk", "dv", "wq", "wk", "wv"}, {"dxn"}}},
      {"ffnBwdSiluW13t", {{"dsilu", "h1", "h3", "w1", "w3"}, {"dx_ffn", "dh1", "dh3"}}},
      {"ffnUpGate", {{"xm", "w1_t", "w3_t"}, {"h1", "h3", "g"}}},
      {"ffnUp", {{"xm", "w1_t", "w3_t"}, {"h1", "h3"}}},
      {"ffnDown", {{"g", "x2", "w2_t"}, {"y"}}},
      {"sdpaBwd", {{"q", "k_tiled", "v_tiled", "da"}, {"dq", "dk_full", "dv_full"}}},
      {"sdpaWoFwd", {{"xn", "wq_t", "wk_t", "wv_t", "wo"}, {"o", "attn", "q_rope", "k_rope", "v"}}},
      {"sdpaQkv", {{"xn", "wq_t", "wk_t", "wv_t"}, {"q", "k", "v"}}},
      {"sdpaCore", {{"q_rope", "k_rope", "v"}, {"attn"}}},
      {"dynMatmul", {{"act", "w"}, {"y"}}}};
  for (const auto& [name, names] : expected) {
    const KernelSpec& spec = registry.find(name);
    const PackedLayout layout = spec.layout(config_of(spec, preset("Stories110M")));
    EXPECT_EQ(slot_names(layout), names.first) << name;
    EXPECT_EQ(block_names(layout), names.second) << name;
  }
}

TEST(Layout, WeightsFirstPutsThemBeforeTheActivations) {
  const KernelRegistry registry = KernelRegistry::builtin();
  Variant variant;
  variant.packing = Packing::weights_first;
  const PackedLayout layout = registry.find("kvBwd").layout({preset("Stories110M"), variant});
  EXPECT_THAT(slot_names(layout), ElementsAre("wk", "wv", "dk", "dv"));
  EXPECT_EQ(layout.slot("dk").width_offset, 2 * 768);
}

// Gradients in one column, weights in the other, one below the other: no element of the surface is nobody's.
TEST(Layout, MergedQkvBackwardStacksWhatIsMultiplied) {
  const ModelShape shape = preset("Qwen3-0.6B");
  const PackedLayout layout = KernelRegistry::builtin().find("qkvBwd").layout({shape, {}});
  EXPECT_EQ(layout.slot("dq").channel_offset, 0);
  EXPECT_EQ(layout.slot("dk").channel_offset, 2048);
  EXPECT_EQ(layout.slot("dv").channel_offset, 3072);
  for (const char* gradient : {"dq", "dk", "dv"}) EXPECT_EQ(layout.slot(gradient).width_offset, 0);
  for (const auto& [weight, gradient] : {std::pair{"wq", "dq"}, {"wk", "dk"}, {"wv", "dv"}}) {
    EXPECT_EQ(layout.slot(weight).width_offset, 256);
    EXPECT_EQ(layout.slot(weight).channel_offset, layout.slot(gradient).channel_offset);
  }
  std::int64_t elements = 0;
  for (const Slot& slot : layout.slots()) elements += slot.channels.size() * slot.width.size();
  EXPECT_EQ(2 * elements, layout.input_bytes());
  const PackedLayout turned =
      KernelRegistry::builtin().find("qkvBwd").layout({shape, parse_variant("packing=weights_first")});
  EXPECT_EQ(turned.slot("wv").width_offset, 0);
  EXPECT_EQ(turned.slot("dv").width_offset, 1024);
}

TEST(Layout, GenericMatmulNeedsItsChannels) {
  EXPECT_THROW((void)KernelRegistry::builtin().find("dynMatmul").layout({preset("Stories110M"), {}}), Error);
}

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

std::vector<Variant> single_variants() {
  std::vector<Variant> variants = {{}};
  for (const VariantChoice& choice : variant_choices()) {
    for (std::size_t value = 1; value < choice.values.size(); ++value) {
      Variant variant;
      choice.set(variant, value);
      variants.push_back(variant);
    }
  }
  return variants;
}

ModelShape small_shape(RopePairing pairing) {
  ModelShape shape;
  shape.name = "small";
  shape.dim = 64, shape.hidden = 172, shape.heads = 8, shape.kv_heads = 4, shape.head_dim = 8;
  shape.seq = 40, shape.layers = 2, shape.vocab = 64, shape.rope_pairing = pairing;
  return shape;
}

/// What the kernel is staged from: numbers that fp16 cannot hold, all different.
NamedTensors some_weights(const KernelSpec& spec, const ModelShape& shape) {
  NamedTensors weights;
  const PackedLayout layout = spec.layout(config_of(spec, shape));
  for (const Slot& slot : layout.slots()) {
    if (slot.kind != SlotKind::weight) continue;
    Tensor& tensor = weights[slot.weight] = slot.transposed ? Tensor({slot.width.size(), slot.channels.size()})
                                                            : Tensor({slot.channels.size(), slot.width.size()});
    for (std::size_t i = 0; i < tensor.data.size(); ++i) tensor.data[i] = 1.0F / static_cast<float>(i + 3);
  }
  return weights;
}

/// What a program that quantizes activations is calibrated on.
NamedTensors some_activations(const PackedLayout& layout) {
  NamedTensors activations;
  for (const Slot& slot : layout.slots())
    if (slot.kind == SlotKind::activation) {
      Tensor& tensor = activations[slot.name] = Tensor({slot.channels.size(), slot.width.size()});
      std::fill(tensor.data.begin(), tensor.data.end(), 0.75F);
    }
  return activations;
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

/// How often a program has an operation.
std::int64_t count(const mil::Function& function, std::string_view op) {
  return std::ranges::count(function.operations, op, &mil::Operation::op);
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

std::int64_t count_op(const mil::BuiltProgram& program, std::string_view op) {
  return std::ranges::count(program.graph.main().operations, op, &mil::Operation::op);
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
      EXPECT_EQ(count_op(a, "matmul") - count_op(b, "matmul"), 2) << kernel << ' ' << others;
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
      EXPECT_LT(count_op(planar, "transpose"), count_op(pairs, "transpose")) << kernel;
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
      EXPECT_EQ(count_op(tiles, "softmax"), 2) << name;
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

}  // namespace
}  // namespace aneval::ane
