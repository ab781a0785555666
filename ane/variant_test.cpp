// Variants: texts in both directions, every choice, errors that name the nearest known word.
#include "ane/variant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"

namespace aneval::ane {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string error_of(std::string_view text) {
  try {
    parse_variant(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Variant, DefaultIsTheSeed) {
  const Variant variant;
  EXPECT_EQ(variant.head_map, HeadMap::grouped);
  EXPECT_EQ(variant.score_scale, ScoreScale::multiply);
  EXPECT_EQ(variant.packing, Packing::acts_first);
  EXPECT_EQ(variant.row_sum, RowSum::reduce);
  EXPECT_EQ(variant.pad, Pad::none);
  EXPECT_EQ(variant.weights, Weights::dynamic);
  EXPECT_EQ(variant.qkv_backward, QkvBackward::split);
  EXPECT_EQ(variant.silu_backward, SiluBackward::cpu);
  EXPECT_EQ(variant.ffn, FeedForward::fused);
  EXPECT_EQ(variant.wo, OutputProjection::separate);
  EXPECT_EQ(variant_text(variant), "default");
  EXPECT_EQ(parse_variant("default"), variant);
  EXPECT_EQ(parse_variant(""), variant);
}

TEST(Variant, TextNamesWhatDiffersInTableOrder) {
  Variant variant;
  variant.head_map = HeadMap::cyclic_fwd;
  variant.score_scale = ScoreScale::folded;
  variant.packing = Packing::weights_first;
  variant.row_sum = RowSum::matmul;
  variant.pad = Pad::multiple_of_32;
  variant.weights = Weights::compiled;
  variant.qkv_backward = QkvBackward::merged;
  variant.silu_backward = SiluBackward::kernel;
  variant.ffn = FeedForward::cpu_gate;
  variant.wo = OutputProjection::fused;
  const std::string text =
      "head_map=cyclic_fwd;score_scale=folded;packing=weights_first;row_sum=matmul;pad=32;weights=static;"
      "qkv_backward=merged;silu_backward=kernel;ffn=cpu_gate;wo=fused";
  EXPECT_EQ(variant_text(variant), text);
  EXPECT_EQ(parse_variant(text), variant);
  EXPECT_EQ(parse_variant("wo=fused;ffn=cpu_gate;silu_backward=kernel;qkv_backward=merged;"
                          "weights=static;pad=32;row_sum=matmul;packing=weights_first;score_scale=folded;"
                          "head_map=cyclic_fwd"),
            variant);
  EXPECT_EQ(variant_text(parse_variant("pad=none;head_map=cyclic")), "head_map=cyclic");
}

TEST(Variant, EveryCombinationReadsBack) {
  std::vector<Variant> variants = {Variant{}};
  for (const VariantChoice& choice : variant_choices()) {
    std::vector<Variant> more;
    for (const Variant& variant : variants)
      for (std::size_t value = 0; value < choice.values.size(); ++value) {
        Variant changed = variant;
        choice.set(changed, value);
        EXPECT_EQ(choice.get(changed), value);
        more.push_back(changed);
      }
    variants = more;
  }
  EXPECT_EQ(variants.size(), 3u * 2 * 2 * 2 * 2 * 4 * 2 * 2 * 3 * 2);
  for (const Variant& variant : variants) EXPECT_EQ(parse_variant(variant_text(variant)), variant);
}

TEST(Variant, ErrorsNameTheWord) {
  EXPECT_THAT(error_of("head_mpa=cyclic"),
              AllOf(HasSubstr("head_mpa"), HasSubstr("did you mean"), HasSubstr("head_map")));
  EXPECT_THAT(error_of("packing=weight_first"),
              AllOf(HasSubstr("variant packing"), HasSubstr("weight_first"), HasSubstr("weights_first")));
  EXPECT_THAT(error_of("pad"), HasSubstr("variant"));
  EXPECT_THAT(error_of("pad=32;pad=none"), HasSubstr("pad"));
  EXPECT_THAT(error_of("pad=64"), HasSubstr("none, 32"));
  EXPECT_THAT(error_of("weights=compiled"), AllOf(HasSubstr("variant weights"), HasSubstr("dynamic, static")));
}

TEST(Variant, ChoicesSayWhatTheyTrade) {
  for (const VariantChoice& choice : variant_choices()) EXPECT_FALSE(choice.trade.empty()) << choice.key;
}

}  // namespace
}  // namespace aneval::ane
