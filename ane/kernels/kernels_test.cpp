// The registry, and layouts against sizes worked out by hand.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "ane/kernels/kernels_test_support.h"
#include "common/error.h"

namespace aneval::ane {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

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

}  // namespace
}  // namespace aneval::ane
