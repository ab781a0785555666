// The built-in kernels against every family's rules, and the lengths that they allow, against arithmetic by hand.
#include "ane/kernels/sequence_limits.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::ane {
namespace {

using ::testing::HasSubstr;

/// The default, and what gives programs other operations.
constexpr const char* kForms[] = {"default",
                                  "product=conv",
                                  "transposes=flags",
                                  "product=conv;transposes=flags",
                                  "weights=static;product=conv",
                                  "weights=static;transposes=flags"};

TEST(FamilyRules, TheTenKernelsHaveNoErrorOnAnyFamilyAtThePresets) {
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const ModelShape& shape : model_presets()) {
    for (const KernelSpec& spec : registry.all()) {
      if (spec.name == "dynMatmul") continue;
      for (const char* variant : kForms) {
        const KernelConfig config{shape, parse_variant(variant), 0, 0, true};
        const mil::BuiltProgram program = spec.program(config, spec.layout(config));
        for (const mil::Family& family : mil::families()) {
          const auto dialect = family.legacy_dialect ? mil::Dialect::legacy : mil::Dialect::modern;
          const mil::Program read = mil::parse(mil::print(program.graph, dialect), spec.name);
          for (const mil::Finding& finding : mil::check_family(read, family))
            EXPECT_EQ(finding.severity, mil::Severity::warning)
                << shape.name << ' ' << variant << ' ' << family.name << ": " << mil::finding_text(read, finding);
        }
      }
    }
  }
}

/// Rule names of one kernel at a preset on one family.
std::multiset<std::string> rules_of(const std::string& kernel, const std::string& model, const std::string& family) {
  const KernelRegistry registry = KernelRegistry::builtin();
  const KernelSpec& spec = registry.find(kernel);
  const KernelConfig config{load_model_shape(model), {}, 0, 0, true};
  const mil::Family& on = mil::find_family(family);
  const mil::Program program = in_dialect_of(on, spec.program(config, spec.layout(config)).graph);
  std::multiset<std::string> rules;
  for (const mil::Finding& finding : mil::check_family(program, on)) rules.insert(finding.rule);
  return rules;
}

TEST(FamilyRules, SlotsBehindTheFirstAreNamedWhereSlicesSaturate) {
  // sdpaFwd on M1: wq_t, wk_t, wv_t, and the second lane of each pair of q and k.
  EXPECT_EQ(rules_of("sdpaFwd", "Qwen3-0.6B", "h13").count("slice-begin"), 5u);
  EXPECT_EQ(rules_of("sdpaFwd", "Qwen3-0.6B", "h15").count("slice-begin"), 5u);
  EXPECT_EQ(rules_of("sdpaFwd", "Qwen3-0.6B", "h16").count("slice-begin"), 0u);
  // Slots along the channels are not concerned.
  EXPECT_EQ(rules_of("sdpaBwd1", "Qwen3-0.6B", "h13").count("slice-begin"), 0u);
  // RoPE's pairs (factor 16), and its first and second lanes (32), of q and k.
  EXPECT_EQ(rules_of("sdpaFwd", "Qwen3-0.6B", "h16"),
            (std::multiset<std::string>{"padded-rows", "padded-rows", "padded-rows", "padded-rows", "padded-rows",
                                        "padded-rows"}));
}

std::map<std::string, SequenceLimit> limits_of(const ModelShape& shape, const std::string& family,
                                               const Variant& variant = {}) {
  std::map<std::string, SequenceLimit> by_kernel;
  for (SequenceLimit& limit : sequence_limits(KernelRegistry::builtin(), shape, variant, mil::find_family(family)))
    by_kernel[limit.kernel] = std::move(limit);
  return by_kernel;
}

TEST(SequenceLimits, AreThoseWorkedOutByHand) {
  // h13-h15: S·h/2 rows of RoPE's pairs within 16384. Everywhere: 2·H·S + 2·Q channels of sdpaBwd2 within 65536, and
  // Q + 2·H·S of sdpaBwd1's output.
  const struct {
    std::string model, family, kernel, rule;
    std::int64_t largest, usable;
  } cases[] = {
      {"Qwen3-0.6B", "h13", "sdpaFwd", "height-cap", 256, 256},
      {"Qwen3-0.6B", "h15", "sdpaFwd", "height-cap", 256, 256},
      {"Qwen3-0.6B", "h16", "sdpaFwd", "height-cap", 1024, 1024},
      {"Qwen3-0.6B", "h13", "sdpaBwd2", "channel-cap", 1920, 1920},
      {"Qwen3-0.6B", "h18", "sdpaBwd2", "channel-cap", 1920, 1920},
      {"Qwen3-0.6B", "h16", "sdpaBwd1", "channel-cap", 1984, 1984},
      {"Stories110M", "h14", "sdpaFwd", "height-cap", 512, 512},
      {"Stories110M", "h17", "sdpaFwd", "height-cap", 2048, 2048},
      {"Stories110M", "h16", "sdpaBwd2", "channel-cap", 2666, 2656},
      // W = S + 768 within 16384, and within 65536.
      {"Stories110M", "h13", "woFwd", "width-cap", 15616, 15616},
      {"Stories110M", "h16", "woFwd", "width-cap", 64768, 64768},
      // W = 2·S + 3·2048.
      {"Stories110M", "h13", "ffnFused", "width-cap", 5120, 5120},
  };
  for (const auto& each : cases) {
    const SequenceLimit limit = limits_of(load_model_shape(each.model), each.family)[each.kernel];
    EXPECT_EQ(limit.largest, each.largest) << each.model << ' ' << each.family << ' ' << each.kernel;
    EXPECT_EQ(limit.usable, each.usable) << each.model << ' ' << each.family << ' ' << each.kernel;
    EXPECT_EQ(limit.rule, each.rule) << each.model << ' ' << each.family << ' ' << each.kernel;
  }
}

TEST(SequenceLimits, NameTheOperationThatStopsTheNextLength) {
  const SequenceLimit limit = limits_of(load_model_shape("Qwen3-0.6B"), "h13")["sdpaFwd"];
  EXPECT_THAT(limit.why, HasSubstr("reshape 'q_pairs': a height of 16448 in [1, 16, 16448, 2] exceeds the 16384"));
}

TEST(SequenceLimits, TheSmallestIsThatOfTheLayer) {
  const auto registry = KernelRegistry::builtin();
  const auto limits = sequence_limits(registry, load_model_shape("Stories110M"), {}, mil::find_family("h13"));
  EXPECT_EQ(limits.size(), 10u);
  EXPECT_EQ(smallest_limit(limits)->kernel, "sdpaFwd");
  // Without probabilities on surfaces the channels are those of q, k, v and da: 4·Q, whatever S.
  const auto fused = sequence_limits(registry, load_model_shape("Stories110M"),
                                     parse_variant("attention_backward=fused"), mil::find_family("h16"));
  EXPECT_EQ(fused.size(), 9u);
  const auto backward = std::ranges::find(fused, "sdpaBwd", &SequenceLimit::kernel);
  ASSERT_NE(backward, fused.end());
  EXPECT_GT(backward->largest, 2666);
  const auto projected =
      sequence_limits(registry, load_model_shape("Stories110M"), parse_variant("wo=fused"), mil::find_family("h13"));
  EXPECT_EQ(projected.size(), 9u);
  EXPECT_EQ(smallest_limit(projected)->kernel, "sdpaWoFwd");
  EXPECT_EQ(smallest_limit({}), nullptr);
}

TEST(SequenceLimits, HalvesInsteadOfPairsAreNotStoppedByRows) {
  ModelShape shape = load_model_shape("Qwen3-0.6B");
  shape.rope_pairing = RopePairing::half;
  // W = S + 2048 + 2·1024 within 16384.
  EXPECT_EQ(limits_of(shape, "h13")["sdpaFwd"].largest, 12288);
}

TEST(SequenceLimits, PlanarPairsAreNotStoppedByRowsEither) {
  const Variant planar = parse_variant("rope=planar");
  EXPECT_EQ(limits_of(load_model_shape("Qwen3-0.6B"), "h13", planar)["sdpaFwd"].largest, 12288);
  EXPECT_EQ(limits_of(load_model_shape("Qwen3-0.6B"), "h13", planar)["sdpaFwd"].usable, 12288);
  // The layer then ends where every family does.
  const auto limits =
      sequence_limits(KernelRegistry::builtin(), load_model_shape("Qwen3-0.6B"), planar, mil::find_family("h13"));
  EXPECT_EQ(smallest_limit(limits)->kernel, "sdpaBwd2");
  EXPECT_EQ(smallest_limit(limits)->largest, 1920);
}

TEST(SequenceLimits, WidthsThatAreNoMultiplesOf32LeaveNothingUsableWithoutPadding) {
  ModelShape shape = load_model_shape("Stories110M");
  shape.dim = 96, shape.hidden = 172, shape.heads = 6, shape.kv_heads = 6, shape.head_dim = 32;
  EXPECT_FALSE(limits_of(shape, "h16")["ffnBwdW2t"].usable);
  Variant padded;
  padded.pad = Pad::multiple_of_32;
  EXPECT_EQ(limits_of(shape, "h16", padded)["ffnBwdW2t"].usable, 65536 - 192);
}

TEST(SequenceLimits, NothingFitsWhenWeightsAloneAreTooWide) {
  ModelShape shape = load_model_shape("Stories110M");
  shape.hidden = 11008;  // 3·11008 columns of weights
  const SequenceLimit limit = limits_of(shape, "h13")["ffnFused"];
  EXPECT_EQ(limit.largest, 0);
  EXPECT_FALSE(limit.usable);
  EXPECT_EQ(limit.rule, "width-cap");
  EXPECT_GT(limits_of(shape, "h16")["ffnFused"].largest, 0);
}

TEST(SequenceLimits, ShapesBeyondTheSurfacesOfThisProjectAreAnAnswerToo) {
  ModelShape shape = load_model_shape("Qwen3-0.6B");
  shape.heads = 512, shape.kv_heads = 512;  // 65537 tokens would need 2^43 bytes
  EXPECT_EQ(limits_of(shape, "h16")["sdpaBwd2"].largest, 0);
  EXPECT_EQ(limits_of(shape, "h16")["sdpaBwd2"].rule, "channel-cap");
}

TEST(SequenceLimits, ShapesOnlyProgramsEqualTheRealOnes) {
  const KernelRegistry registry = KernelRegistry::builtin();
  for (const KernelSpec& spec : registry.all()) {
    KernelConfig config{load_model_shape("Stories110M"), {}, 64, 64};
    config.shape.seq = 32;
    config.variant.row_sum = RowSum::matmul;
    const PackedLayout layout = spec.layout(config);
    const mil::BuiltProgram real = spec.program(config, layout);
    config.shapes_only = true;
    const mil::BuiltProgram shapes = spec.program(config, layout);
    EXPECT_EQ(shapes.text, real.text) << spec.name;
    EXPECT_TRUE(shapes.weights.empty()) << spec.name;
  }
}

}  // namespace
}  // namespace aneval::ane
