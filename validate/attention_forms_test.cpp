// Forms of attention that promise the bits of the default: what they leave out is zero, what they move is not computed
// with. On engines, whose sums do not depend on how a product is cut into blocks; fp32 in Eigen's order does, and is
// judged by the gates like every variant (variants_test.cpp).
#include <gtest/gtest.h>

#include <algorithm>

#include "validate/emulated_device.h"
#include "validate/layer_check.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

const ModelShape& shape_named(std::string_view name) {
  return *std::ranges::find(edge_shapes(), name, &ModelShape::name);
}

/// The hash of a kernel's outputs on random data, of a run that passed.
std::string output_of(KernelChecker& checker, Case c, const ane::Variant& variant) {
  c.variant = variant;
  const CaseResult result = checker.run(c);
  EXPECT_TRUE(result.status == Status::ok || result.status == Status::degraded) << case_text(c) << result.reason;
  return result.output_hash;
}

/// key=value has the bits of the default, whatever else is chosen.
void expect_same_bits(const std::vector<const char*>& profiles, const std::vector<const char*>& shapes,
                      const std::vector<const char*>& kernels, const char* key, const char* value) {
  for (const char* profile : profiles) {
    const auto device = make_device(profile);
    KernelChecker checker(options_for(*device));
    for (const char* shape : shapes) {
      for (const char* kernel : kernels) {
        for (const char* others : {"default", "pad=32", "weights=static;packing=weights_first", "head_map=cyclic"}) {
          Case c;
          c.kernel = kernel;
          c.shape = shape_named(shape);
          c.data = DataKind::random;
          const ane::Variant without = ane::parse_variant(others);
          ane::Variant with = without;
          ane::set_choice(with, key, value);
          EXPECT_EQ(output_of(checker, c, with), output_of(checker, c, without))
              << profile << ' ' << shape << ' ' << kernel << ' ' << ane::variant_text(with);
        }
      }
    }
  }
}

TEST(AttentionForms, OneProductHasTheBitsOfThree) {
  expect_same_bits({"h13", "h16"}, {"ratio4", "half-pairing"}, {"sdpaFwd", "sdpaWoFwd"}, "qkv", "one");
}

// No sum is involved, so that fp32 agrees as well.
TEST(AttentionForms, PlanarRopeHasTheBitsOfPairs) {
  expect_same_bits({"ieee", "h13", "h16"}, {"ratio4", "half-pairing", "one-token"}, {"sdpaFwd", "sdpaWoFwd"}, "rope",
                   "planar");
}

// Three tiles, the last one shorter.
TEST(AttentionForms, TilesHaveTheBitsOfTheMask) {
  expect_same_bits({"h13", "h16"}, {"several-tiles"}, {"sdpaFwd", "sdpaWoFwd", "sdpaBwd2"}, "causal", "tiles");
}

// sdpaBwd1's dp differs where probs are 0; what becomes of it does not.
TEST(AttentionForms, ALayerInTilesHasTheBitsOfTheMask) {
  for (const char* profile : {"h13", "h16"}) {
    for (const char* others : {"default", "pad=32", "row_sum=matmul;score_scale=folded;head_map=cyclic"}) {
      Case c;
      c.shape = shape_named("several-tiles");
      c.variant = ane::parse_variant(others);
      const NamedTensors tensors = random_layer_tensors(c);
      const auto device = make_device(profile);
      const std::string mask = layer_hash(run_layer_on_device(options_for(*device), c, tensors));
      c.variant.causal = ane::Causal::tiles;
      EXPECT_EQ(layer_hash(run_layer_on_device(options_for(*device), c, tensors)), mask) << profile << ' ' << others;
    }
  }
}

}  // namespace
}  // namespace aneval::validate
