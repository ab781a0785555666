// Variants: texts in both directions, every choice, errors that name the nearest known word.
#include "ane/variant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ane/variant_rules.h"
#include "common/error.h"
#include "common/names.h"
#include "common/random.h"

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
  for (const VariantChoice& choice : variant_choices()) EXPECT_EQ(choice.get(variant), 0u) << choice.key;
  EXPECT_EQ(variant.head_map, HeadMap::grouped);
  EXPECT_EQ(variant.packing, Packing::acts_first);
  EXPECT_EQ(variant.weights, Weights::dynamic);
  EXPECT_EQ(variant.handover, Handover::fp32);
  EXPECT_EQ(variant_text(variant), "default");
  EXPECT_EQ(parse_variant("default"), variant);
  EXPECT_EQ(parse_variant(""), variant);
}

TEST(Variant, TextNamesWhatDiffersInTableOrder) {
  Variant variant;
  variant.wo = OutputProjection::fused;
  variant.pad = Pad::multiple_of_32;
  variant.head_map = HeadMap::cyclic_fwd;
  EXPECT_EQ(variant_text(variant), "head_map=cyclic_fwd;pad=32;wo=fused");
  EXPECT_EQ(parse_variant("wo=fused;head_map=cyclic_fwd;pad=32"), variant);
  EXPECT_EQ(variant_text(parse_variant("pad=none;head_map=cyclic")), "head_map=cyclic");
  std::vector<std::string> all;
  for (const VariantChoice& choice : variant_choices()) {
    choice.set(variant, choice.values.size() - 1);
    all.push_back(std::string(choice.key) + "=" + std::string(choice.values.back()));
  }
  EXPECT_EQ(variant_text(variant), join(all, ";"));
}

// Every two values of two choices; and all values at once, which are far too many, at random.
TEST(Variant, CombinationsReadBack) {
  const auto& choices = variant_choices();
  std::vector<Variant> variants = {Variant{}};
  for (const VariantChoice& first : choices)
    for (const VariantChoice& second : choices)
      for (std::size_t i = 0; i < first.values.size(); ++i)
        for (std::size_t j = 0; j < second.values.size(); ++j) {
          Variant variant;
          first.set(variant, i);
          second.set(variant, j);
          EXPECT_EQ(second.get(variant), j);
          EXPECT_TRUE(first.key == second.key || first.get(variant) == i) << first.key << ' ' << second.key;
          variants.push_back(variant);
        }
  Random random(1, "combinations");
  for (int i = 0; i < 2000; ++i) {
    Variant& variant = variants.emplace_back();
    for (const VariantChoice& choice : choices)
      choice.set(variant, static_cast<std::size_t>(random.below(static_cast<std::int64_t>(choice.values.size()))));
  }
  std::size_t refused = 0;
  for (const Variant& variant : variants) {
    const std::string text = variant_text(variant);
    if (broken_rule(variant) == nullptr) {
      EXPECT_EQ(parse_variant(text), variant);
    } else {
      ++refused;
      EXPECT_THAT(error_of(text), HasSubstr("contradict each other"));
    }
  }
  EXPECT_LT(refused, variants.size() / 2);
}

TEST(VariantRules, NameChoicesThatExistAndTheWayOut) {
  for (const VariantRule& rule : variant_rules()) {
    EXPECT_FALSE(rule.broken({})) << rule.choices;
    Variant variant;
    for (const auto& [key, value] : parse_pairs(rule.choices, "rule")) set_choice(variant, key, value);
    EXPECT_TRUE(rule.broken(variant)) << rule.choices;
    EXPECT_FALSE(rule.reason.empty() || rule.remedy.empty());
    try {
      check_variant(variant);
      ADD_FAILURE() << rule.choices;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::bad_input);
      EXPECT_THAT(error.what(), AllOf(HasSubstr(rule.choices), HasSubstr(rule.reason), HasSubstr(rule.remedy)));
    }
  }
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
