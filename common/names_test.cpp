#include "common/names.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "common/test_support.h"

namespace aneval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

TEST(Names, NearestIsTheOneWithTheFewestEdits) {
  const std::vector<std::string> known = {"sdpaFwd", "sdpaBwd1", "sdpaBwd2", "woFwd", "ffnFused"};
  EXPECT_EQ(nearest_name("sdpafwd", known), "sdpaFwd");
  EXPECT_EQ(nearest_name("spdaBwd2", known), "sdpaBwd2");
  EXPECT_EQ(nearest_name("ffnFussed", known), "ffnFused");
  EXPECT_EQ(nearest_name("sdpaBwd3", known), "sdpaBwd1");  // one edit from two: the first
}

TEST(Names, NothingIsNearAnUnrelatedName) {
  EXPECT_EQ(nearest_name("banana", {"sdpaFwd", "woFwd"}), "");
  EXPECT_EQ(nearest_name("xy", {"ab", "cd"}), "");  // distance 2, but nothing in common
  EXPECT_EQ(nearest_name("x", {}), "");
}

TEST(Names, DistanceMayBeAThirdOfTheLengthAndAtLeastTwo) {
  EXPECT_EQ(nearest_name("abcd12", {"abcdef"}), "abcdef");
  EXPECT_EQ(nearest_name("abc123", {"abcdef"}), "");
  EXPECT_EQ(nearest_name("abcdef123", {"abcdefghi"}), "abcdefghi");
  EXPECT_EQ(nearest_name("abcde1234", {"abcdefghi"}), "");
}

TEST(Names, UnknownNameSaysWhatIsKnown) {
  const Error near = error_of([] { unknown_name("--kernel", "woFdw", {"woFwd", "ffnFused"}); });
  EXPECT_STREQ(near.what(), "--kernel 'woFdw': unknown: did you mean 'woFwd'? (known: woFwd, ffnFused)");
  EXPECT_EQ(near.code(), ExitCode::bad_input);
  EXPECT_STREQ(error_of([] { unknown_name("model", "q", {"tiny"}); }).what(), "model 'q': unknown: known: tiny");
}

TEST(Names, SplitKeepsEmptyPartsAndJoinPutsThemBack) {
  EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split("", ','), IsEmpty());
  EXPECT_EQ(join(split("a,,b,", ','), ","), "a,,b,");
  EXPECT_EQ(join({}, ","), "");
}

TEST(Names, SingleQuotedIsOneWordOfAShell) {
  EXPECT_EQ(single_quoted("kernel=a;b c"), "'kernel=a;b c'");
  EXPECT_EQ(single_quoted("it's"), "'it'\\''s'");
  EXPECT_EQ(single_quoted(""), "''");
}

TEST(Names, PairsKeepTheirOrder) {
  EXPECT_THAT(parse_pairs("b=1;a=x=y;c=", "variant"), ElementsAre(Pair("b", "1"), Pair("a", "x=y"), Pair("c", "")));
  EXPECT_THAT(parse_pairs("", "variant"), IsEmpty());
}

TEST(Names, BadPairsAreNamed) {
  const auto message = [](const char* text) {
    return std::string(error_of([&] { parse_pairs(text, "--variant"); }).what());
  };
  EXPECT_THAT(message("a=1;b"), HasSubstr("--variant 'b': no '='"));
  EXPECT_THAT(message("=1"), HasSubstr("--variant '=1': empty key"));
  EXPECT_THAT(message("a=1;a=2"), HasSubstr("key 'a' is given twice"));
  EXPECT_THAT(message("a=1;"), HasSubstr("no '='"));
}

TEST(Names, NumberTextIsShortAndReadsBack) {
  EXPECT_EQ(number_text(0.1), "0.1");
  EXPECT_EQ(number_text(1e-5), "1e-05");
  EXPECT_EQ(number_text(-0.0), "-0");
  EXPECT_EQ(number_text(std::numeric_limits<double>::infinity()), "inf");
  for (const double value :
       {5e-324, 1.7976931348623157e308, -0.0, 0.1, 1.0 / 3, -std::numeric_limits<double>::infinity()}) {
    const double back = parse_double(number_text(value), "x");
    EXPECT_EQ(back, value);
    EXPECT_EQ(std::signbit(back), std::signbit(value));
  }
  EXPECT_TRUE(std::isnan(parse_double("nan", "x")));
}

TEST(Names, NumbersAreWholeTexts) {
  EXPECT_EQ(parse_int("-9223372036854775808", "x"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_double("1e-99999999999", "x"), 0.0);
  for (const char* text : {"", " 1", "1 ", "12x", "1,5", "--1", "0x10"}) {
    EXPECT_THAT(error_of([&] { parse_double(text, "--lr"); }).what(),
                HasSubstr("--lr '" + std::string(text) + "': not a"));
    EXPECT_THAT(error_of([&] { parse_int(text, "--steps"); }).what(), HasSubstr("not a whole number"));
  }
  EXPECT_THAT(error_of([] { parse_int("1.5", "--steps"); }).what(), HasSubstr("--steps '1.5'"));
  EXPECT_THAT(error_of([] { parse_int("9223372036854775808", "n"); }).what(), HasSubstr("does not fit in 64 bits"));
  EXPECT_THAT(error_of([] { parse_double("1e999", "x"); }).what(), HasSubstr("larger than a double"));
}

}  // namespace
}  // namespace aneval
