// All choices of a variant together: every kernel of the plan judged by the gates, and the layer by its chain. Every
// single choice, and combinations drawn at random; one test for each, named by its variant.
//
//   validate_test --gtest_filter='*Variants*ffn_split*'
//   ANEVAL_VARIANTS=1000 validate_test --gtest_filter='*Variants*'      as many combinations
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ostream>

#include "ane/emulator/device_arithmetic.h"
#include "ane/variant_rules.h"
#include "common/random.h"
#include "validate/emulated_device.h"
#include "validate/layer_check.h"
#include "validate/suites.h"

namespace aneval::validate {

struct Drawn {
  ane::Variant variant;
  std::string profile;
  ModelShape shape;
};

/// What the test runner shows as the parameter.
void PrintTo(const Drawn& drawn, std::ostream* out) {
  *out << drawn.profile << ' ' << drawn.shape.name << ' ' << ane::variant_text(drawn.variant);
}

namespace {

/// Grouped heads with a tail of a tile; four query heads to a key; halves of odd width.
ModelShape shape_of(std::size_t i) {
  constexpr const char* kNames[] = {"ratio2", "ratio4", "half-pairing"};
  return *std::ranges::find(edge_shapes(), kNames[i % 3], &ModelShape::name);
}

/// Up to 128 tokens tiles are the mask; `several` asks for three of them.
ModelShape shape_for(const ane::Variant& variant, std::size_t i, bool several) {
  if (variant.causal == ane::Causal::mask || !several) return shape_of(i);
  return *std::ranges::find(edge_shapes(), "several-tiles", &ModelShape::name);
}

std::string profile_of(std::size_t i) {
  constexpr const char* kProfiles[] = {"ieee", "h13", "h16"};
  return kProfiles[i % 3];
}

/// Left out: cyclic_fwd, which computes another layer than the reference's, on purpose, what contradicts itself, and
/// w8a8 on chips without 8-bit products.
bool is_right(const ane::Variant& variant, const std::string& profile) {
  return variant.head_map != ane::HeadMap::cyclic_fwd && ane::broken_rule(variant) == nullptr &&
         emulator::has_rules(emulator::find_profile(profile), variant);
}

std::vector<Drawn> drawn_variants() {
  std::vector<Drawn> all;
  for (const ane::VariantChoice& choice : ane::variant_choices())
    for (std::size_t value = 1; value < choice.values.size(); ++value)
      for (std::size_t profile = 0; profile < 3; ++profile) {
        ane::Variant variant;
        choice.set(variant, value);
        if (is_right(variant, profile_of(profile)))
          all.push_back({variant, profile_of(profile), shape_for(variant, profile, true)});
      }
  const char* more = std::getenv("ANEVAL_VARIANTS");
  const std::size_t singles = all.size(), wanted = more == nullptr ? 100 : std::strtoul(more, nullptr, 10);
  Random random(1, "combinations of variants");
  while (all.size() < singles + wanted) {
    ane::Variant variant;
    for (const ane::VariantChoice& choice : ane::variant_choices())
      choice.set(variant, static_cast<std::size_t>(random.below(static_cast<std::int64_t>(choice.values.size()))));
    const std::size_t i = all.size();
    if (is_right(variant, profile_of(i)))
      all.push_back({variant, profile_of(i), shape_for(variant, i / 3, i % 2 == 0)});
  }
  return all;
}

std::string name_of(const ::testing::TestParamInfo<Drawn>& info) {
  std::string name = std::to_string(info.index) + "_" + info.param.profile + "_" + info.param.shape.name + "_" +
                     ane::variant_text(info.param.variant);
  std::replace_if(name.begin(), name.end(), [](unsigned char ch) { return std::isalnum(ch) == 0; }, '_');
  return name;
}

class Variants : public ::testing::TestWithParam<Drawn> {
 protected:
  Variants() : device_(make_device(GetParam().profile)) {
    c_.shape = GetParam().shape;
    c_.variant = GetParam().variant;
    c_.kernel = "layer";
  }

  std::unique_ptr<ane::Device> device_;
  Case c_;
};

INSTANTIATE_TEST_SUITE_P(Drawn, Variants, ::testing::ValuesIn(drawn_variants()), name_of);

TEST_P(Variants, KernelsOfThePlanPassTheirGates) {
  KernelChecker checker(options_for(*device_));
  const auto names = ane::layer_plan(c_.variant).kernels();
  for (const std::string& kernel : names) {
    c_.kernel = kernel;
    for (const DataKind data : {DataKind::random, DataKind::exact}) {
      c_.data = data;
      const CaseResult result = checker.run(c_);
      // Within every bound; where a chip drops small products, enough of them may vanish to be worth a word.
      EXPECT_TRUE(result.status == Status::ok || result.status == Status::degraded)
          << status_name(result.status) << ' ' << case_text(c_) << ": " << result.reason;
      EXPECT_FALSE(result.blocks.empty());
    }
  }
}

TEST_P(Variants, TheLayerIsTheReferences) {
  const LayerResult result = check_layer(options_for(*device_), c_, random_layer_tensors(c_));
  EXPECT_EQ(result.status, Status::ok) << result.reason;
  // A dozen steps with two roundings of 2^-11 each, as in layer_chain_test; chips round products and sums more
  // coarsely. Numbers of 8 bits are off by half a step each, a step being 2/127 of the largest of their channel (of an
  // activation 4/127: a power of two); about 1/40 of the others' size, in six products that follow each other.
  const ane::Weights weights = GetParam().variant.weights;
  const double roundings = GetParam().profile == "ieee" ? 24 : 96;
  const double eight_bits = weights == ane::Weights::w8a8 ? 0.15 : weights == ane::Weights::int8 ? 0.08 : 0;
  for (const ChainError& error : result.chain.errors)
    EXPECT_LE(error.error, (roundings * 0x1p-11 + eight_bits) * error.reference)
        << error.tensor << " of " << error.step;
  const auto counts = ane::CompileCounts::of(ane::KernelRegistry::builtin(), c_.shape, c_.variant);
  EXPECT_EQ(device_->counters().compile_attempts, counts.shared + counts.per_staged_layer);
  EXPECT_EQ(counts.shared + counts.per_staged_layer,
            static_cast<std::int64_t>(ane::layer_plan(c_.variant).kernels().size()));
}

}  // namespace
}  // namespace aneval::validate
