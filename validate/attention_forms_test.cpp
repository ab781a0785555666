// Forms of attention that promise the bits of the default: what they leave out is zero, what they move is not computed
// with. On engines, whose sums do not depend on how a product is cut into blocks; fp32 in Eigen's order does, and is
// judged by the gates like every variant (variants_test.cpp). Whole layers, forward and backward.
#include <gtest/gtest.h>

#include <algorithm>

#include "validate/emulated_device.h"
#include "validate/layer_check.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

/// key=value has the bits of the default, whatever else is chosen.
void expect_same_bits(const std::vector<const char*>& profiles, const std::vector<const char*>& shapes, const char* key,
                      const char* value) {
  for (const char* profile : profiles) {
    const auto device = make_device(profile);
    for (const char* shape : shapes) {
      for (const char* others : {"default", "pad=32;wo=fused", "weights=static", "packing=weights_first",
                                 "row_sum=matmul;score_scale=folded;head_map=cyclic"}) {
        Case c;
        c.shape = *std::ranges::find(edge_shapes(), shape, &ModelShape::name);
        c.variant = ane::parse_variant(others);
        const NamedTensors tensors = random_layer_tensors(c);
        const std::string expected = layer_hash(run_layer_on_device(options_for(*device), c, tensors));
        ane::set_choice(c.variant, key, value);
        EXPECT_EQ(layer_hash(run_layer_on_device(options_for(*device), c, tensors)), expected)
            << profile << ' ' << shape << ' ' << ane::variant_text(c.variant);
      }
    }
  }
}

TEST(AttentionForms, OneProductHasTheBitsOfThree) {
  expect_same_bits({"h13", "h16"}, {"ratio4", "half-pairing"}, "qkv", "one");
}

// No sum is involved, so that fp32 agrees as well.
TEST(AttentionForms, PlanarRopeHasTheBitsOfPairs) {
  expect_same_bits({"ieee", "h13", "h16"}, {"ratio4", "half-pairing", "one-token"}, "rope", "planar");
}

// Three tiles, the last one shorter. sdpaBwd1's dp differs where probs are 0; what becomes of it does not.
TEST(AttentionForms, TilesHaveTheBitsOfTheMask) {
  expect_same_bits({"h13", "h16"}, {"several-tiles"}, "causal", "tiles");
}

}  // namespace
}  // namespace aneval::validate
