#include "ane/mil/lexer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/error.h"

namespace aneval::mil {
namespace {

TEST(Numbers, DecimalAndHexadecimal) {
  EXPECT_EQ(parse_number("0.125"), 0.125);
  EXPECT_EQ(parse_number("-12"), -12.0);
  EXPECT_EQ(parse_number("1e-3"), 1e-3);
  EXPECT_EQ(parse_number("6.5E+4"), 65000.0);
  EXPECT_EQ(parse_number("0x1p-3"), 0.125);
  EXPECT_EQ(parse_number("-0x1.ffcp+15"), -65504.0);
  EXPECT_EQ(parse_number("0X.8P1"), 1.0);
  EXPECT_EQ(parse_number("0x10"), 16.0);
  EXPECT_EQ(parse_number("0x0.0000001p28"), 1.0);
  EXPECT_TRUE(std::signbit(*parse_number("-0x0p+0")));
}

TEST(Numbers, HexadecimalDigitsBeyondDoubleRoundToNearestEven) {
  EXPECT_EQ(parse_number("0x1.00000000000008p0"), 1.0);                         // a tie, to even
  EXPECT_EQ(parse_number("0x1.000000000000080000000000001p0"), 1.0 + 0x1p-52);  // just above the tie
  EXPECT_EQ(parse_number("0x1.00000000000018p0"), 1.0 + 0x1p-51);               // a tie, to even
  EXPECT_EQ(parse_number("0x10000000000000000000p0"), 0x1p76);
}

TEST(Numbers, ExponentsOutsideOfDoubleNeitherOverflowNorHang) {
  EXPECT_EQ(parse_number("0x1p99999999999999999999"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(parse_number("0x1p-99999999999999999999"), 0.0);
  EXPECT_EQ(parse_number("1e-99999999999"), 0.0);
  EXPECT_EQ(parse_number("1e99999999999"), std::numeric_limits<double>::infinity());
}

TEST(Numbers, MalformedOnesAreRefused) {
  for (const char* text : {"",      "-",  "--1", "+1",  "0x",  "0xg", "0x.p1", "0x1p", "0x1p+",   "0x1p1.5", "0x1.2.3",
                           "1.2.3", "1e", "1x",  "12a", "inf", "nan", "-inf",  "1 ",   "0x1p+-3", "."})
    EXPECT_FALSE(parse_number(text)) << text;
}

TEST(Identifiers, LettersDigitsUnderscoresButNoLiterals) {
  EXPECT_TRUE(is_identifier("x"));
  EXPECT_TRUE(is_identifier("_q4_T"));
  for (const char* text : {"", "4q", "a-b", "a b", "true", "false", "\xc3\xa9"})
    EXPECT_FALSE(is_identifier(text)) << text;
}

TEST(Strings, EscapesReadBack) {
  const std::string all = "a\"b\\c\nd\te\rf\x01g\x7fh\xc3\xa9";
  const std::string spelling = escape(all);
  EXPECT_EQ(spelling, "\"a\\\"b\\\\c\\nd\\x09e\\x0df\\x01g\\x7fh\xc3\xa9\"");
  EXPECT_EQ(unescape(spelling), all);
  EXPECT_EQ(unescape(R"("\t\r\x41")"), "\t\rA");
}

TEST(Lexing, TokensKnowTheirPlaces) {
  Lexer lexer("a // no\n  /* x\n y */ 'b", "f.mil");
  EXPECT_EQ(lexer.peek().spelling, "a");
  try {
    lexer.next();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.subject(), "f.mil:3:7");
    EXPECT_EQ(error.reason(), "unexpected character '''");
  }
}

TEST(Lexing, ArrowsNumbersAndSymbols) {
  Lexer lexer("-> -1 -0x1e+3 0x1p-3", "f.mil");
  EXPECT_EQ(lexer.next().spelling, "->");
  EXPECT_EQ(lexer.next().spelling, "-1");
  EXPECT_EQ(lexer.peek().spelling, "-0x1e");  // e is a hexadecimal digit, which takes no sign
}

TEST(Messages, QuotedTokensAreCutAndPrintable) {
  EXPECT_EQ(quoted({TokenKind::end, {}, {}}), "the end of the text");
  EXPECT_EQ(quoted({TokenKind::word, "a\n\xff", {}}), "'a\\x0a\\xff'");
  const std::string longer(40, 'x');
  EXPECT_EQ(quoted({TokenKind::word, longer, {}}), "'" + std::string(32, 'x') + "…'");
}

}  // namespace
}  // namespace aneval::mil
