// Malformed, cut and damaged programs: each an Error with its place, never a crash.
#include <gtest/gtest.h>

#include "ane/mil/checker.h"
#include "ane/mil/test_programs.h"
#include "ane/mil/text.h"
#include "common/error.h"
#include "common/random.h"

namespace aneval::mil {
namespace {

using testing::kAllOperations;

struct Malformed {
  std::string text;
  std::string place;  // LINE:COL
  std::string reason;
};

/// A statement of its own line 2.
std::string statement(const std::string& text) {
  return "program(1.3) { func main<ios18>(fp16 x) {\n" + text + "\n} -> (x); }";
}

/// A literal of its own line 2.
std::string literal(const std::string& text) {
  return "program(1.3) { func main<ios18>(fp16 x) { fp16 a = const()[val =\n" + text + "\n]; } -> (x); }";
}

const std::vector<Malformed>& malformed() {
  static const std::vector<Malformed> cases = {
      {"", "1:1", "expected 'program' but found the end of the text"},
      {"module(1.3)", "1:1", "expected 'program' but found 'module'"},
      {"program(one)", "1:9", "expected a version such as 1.3 but found 'one'"},
      {"program(0x1p3)", "1:9", "expected a version such as 1.3 but found '0x1p3'"},
      {"program(1.3", "1:12", "expected ')' but found the end of the text"},
      {"program(1.3) func", "1:14", "expected '{' but found 'func'"},
      {"program(1.3)\n[other = 1]", "2:2", "expected 'buildInfo' but found 'other'"},
      {"program(1.3)[buildInfo = dict<string, fp16>({})]{}", "1:39", "expected 'string' but found 'fp16'"},
      {"program(1.3)[buildInfo = dict<string, string>({{\"a\", 3}})]{}", "1:54",
       "expected a value in quotes but found '3'"},
      {"program(1.3)[buildInfo = dict<string, string>({{\"a\", \"\"}, {\"a\", \"\"}})]{}", "1:60",
       "the key \"a\" stands here a second time"},
      {"program(1.3) { fun", "1:16", "expected 'func' but found 'fun'"},
      {"program(1.3) { func 3", "1:21", "expected the name of a function but found '3'"},
      {"program(1.3) { func main(", "1:25", "expected '<' but found '('"},
      {"program(1.3) { func main<ios18>(x) {} -> (x); }", "1:33", "expected a type but found 'x'"},
      {"program(1.3) { func main<ios18>(fp16 x,) {} -> (x); }", "1:40", "expected a type but found ')'"},
      {"program(1.3) { func main<ios18>(fp16 x) {} -> (); }", "1:48", "expected the name of a result but found ')'"},
      {"program(1.3) { func main<ios18>(fp16 x) {} (x); }", "1:44", "expected '->' but found '('"},
      {"program(1.3) { func main<ios18>(fp16 x) {} -> (x) }", "1:51", "expected ';' but found '}'"},
      {"program(1.3) { func main<ios18>(fp16 x) {} -> (x); } x", "1:54", "expected the end of the text but found 'x'"},
      {statement("tensor<fp16 [1]> a = b()[];"), "2:13", "expected ',' but found '['"},
      {statement("tensor<fp16, [1, foo]> a = b()[];"), "2:18", "expected a dimension but found 'foo'"},
      {statement("tensor<fp16, [1, ?]> a = b()[];"), "2:18", "expected a dimension but found '?'"},
      {statement("tensor<fp16, [1 foo]> a = b()[];"), "2:17", "expected ']' but found 'foo'"},
      {statement("tensor<fp16, [0]> a = b()[];"), "2:15", "expected a dimension from 1 to 2^40 but found '0'"},
      {statement("tensor<fp16, [-1]> a = b()[];"), "2:15", "expected a dimension from 1 to 2^40 but found '-1'"},
      {statement("tensor<fp16, [1.5]> a = b()[];"), "2:15", "expected a dimension from 1 to 2^40 but found '1.5'"},
      {statement("tensor<fp16, [99999999999999999999]> a = b()[];"), "2:15",
       "expected a dimension from 1 to 2^40 but found '99999999999999999999'"},
      {statement("  tensor<fp16, [1048576, 1048577]> a = b()[];"), "2:3",
       "the type tensor<fp16, [1048576, 1048577]> has more than 2^40 elements"},
      {statement("tensor<fp16, [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]> a = b()[];"), "2:47", "more than 16 dimensions"},
      {statement("fp15 a = b()[];"), "2:1", "expected a type but found 'fp15'"},
      {statement("fp16 = b()[];"), "2:6", "expected the name of a value but found '='"},
      {statement("fp16 true = b()[];"), "2:6", "expected the name of a value but found 'true'"},
      {statement("fp16 a, fp16 c = split(x = x)[];"), "2:7", "expected '=' but found ','"},
      {statement("fp16 a = 3()[];"), "2:10", "expected an operation but found '3'"},
      {statement("fp16 a = b(x);"), "2:13", "expected '=' but found ')'"},
      {statement("fp16 a = b(x = true)[];"), "2:16", "expected an identifier but found 'true'"},
      {statement("fp16 a = b(x = 3)[];"), "2:16", "expected an identifier but found '3'"},
      {statement("fp16 a = b(x = bool(false))[];"), "2:16", "expected an identifier but found 'bool'"},
      {statement("fp16 a = b(x = tensor<bool, []>(false))[];"), "2:16", "expected an identifier but found 'tensor'"},
      {statement("fp16 a = b(v = (x, ))[];"), "2:20", "expected an identifier but found ')'"},
      {statement("fp16 a = b(v = (x x))[];"), "2:19", "expected ')' but found 'x'"},
      {statement("fp16 a = b();"), "2:13", "expected '[' but found ';'"},
      {statement("fp16 a = b()[]"), "3:1", "expected ';' but found '}'"},
      {statement("fp16 a = b()[name = \"a\"];"), "2:21", "expected a type but found '\"a\"'"},
      {statement("fp16 a = b()[name = string(\"a)];"), "2:28", "the string is not closed"},
      {statement("fp16 a = b()[name = string(\"a\\q\")];"), "2:30", "unknown escape in a string"},
      {statement("fp16 a = b()[name = string(\"a\x02\")];"), "2:30", "unexpected character '\\x02' in a string"},
      {statement("fp16 a = b()[name = string(a)];"), "2:28", "expected a string in quotes but found 'a'"},
      {statement("fp16 a = b(); @"), "2:13", "expected '[' but found ';'"},
      {statement("@"), "2:1", "unexpected character '@'"},
      {statement("/* fp16"), "2:1", "the comment is not closed"},
      {statement("fp16 \xff"), "2:6", "unexpected character '\\xff'"},
      {literal("bool(1)"), "2:6", "expected 'true' or 'false' but found '1'"},
      {literal("fp16(true)"), "2:6", "expected a number but found 'true'"},
      {literal("fp16(inf)"), "2:6", "'inf' is not a finite number"},
      {literal("fp16(-Infinity)"), "2:6", "'-Infinity' is not a finite number"},
      {literal("fp16(nan)"), "2:6", "'nan' is not a finite number"},
      {literal("fp16(65520)"), "2:6", "'65520' does not fit into fp16"},
      {literal("fp32(1e39)"), "2:6", "'1e39' does not fit into fp32"},
      {literal("uint64(9007199254740994)"), "2:8", "'9007199254740994' does not fit into uint64"},
      {literal("fp16(1.2.3)"), "2:6", "malformed number '1.2.3'"},
      {literal("fp16(0x)"), "2:6", "malformed number '0x'"},
      {literal("fp16(1 2)"), "2:8", "expected ')' but found '2'"},
      {literal("fp16()"), "2:6", "expected a number but found ')'"},
      {literal("tensor<fp16, [2]>([1 2])"), "2:22", "expected ']' or ',' but found '2'"},
      {literal("tensor<fp16, [2]>([1, ])"), "2:23", "expected a number but found ']'"},
      {literal("tensor<fp16, [2, 2]>([[1, 2], [3]])"), "2:33", "the nested lists are not all of one shape"},
      {literal("tensor<fp16, [2, 2]>([[1, 2], 3])"), "2:31", "the nested lists are not all of one shape"},
      {literal("tensor<fp16, [2, 2]>([1, [2]])"), "2:26", "the nested lists are not all of one shape"},
      {literal("tensor<fp16, [3, 2]>([[1, 2, 3], [4, 5, 6]])"), "2:22",
       "nested lists of shape [2, 3] for tensor<fp16, [3, 2]>"},
      {literal("tensor<string, [2]>([\"a\", \"b\"])"), "2:21", "expected a string in quotes but found '['"},
      {literal("fp16(BLOBFILE(offset = uint64(64)))"), "2:15", "expected 'path' but found 'offset'"},
      {literal("fp16(BLOBFILE(path = string(\"a\"), offset = int32(64)))"), "2:44",
       "expected 'uint64' but found 'int32'"},
      {literal("fp16(BLOBFILE(path = string(\"a\"), offset = uint64(-1)))"), "2:51",
       "expected an offset in bytes but found '-1'"},
  };
  return cases;
}

TEST(MalformedText, EveryCaseNamesItsPlaceAndReason) {
  ASSERT_GE(malformed().size(), 25U);
  for (const Malformed& each : malformed()) {
    try {
      parse(each.text, "bad.mil");
      ADD_FAILURE() << "accepted: " << each.text;
    } catch (const Error& error) {
      EXPECT_EQ(error.subject(), "bad.mil:" + each.place) << each.text;
      EXPECT_EQ(error.reason(), each.reason) << each.text;
      EXPECT_EQ(error.code(), ExitCode::bad_input);
      EXPECT_FALSE(error.remedy().empty());
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

/// Whatever the text, parsing ends with a program or an Error; a program can be judged and printed, and reads back.
bool survives(const std::string& text) {
  Program program;
  try {
    program = parse(text, "t.mil");
  } catch (const Error&) {
    return false;
  }
  check(program, nullptr);
  try {
    const std::string printed = print(program);
    EXPECT_EQ(print(parse(printed, "again.mil")), printed);
  } catch (const Error& error) {
    ADD_FAILURE() << error.what() << " in the printed form of\n" << text;
  }
  return true;
}

TEST(HostileText, TruncationAtEveryByteIsAnError) {
  const std::size_t end = kAllOperations.rfind('}');
  for (std::size_t length = 0; length <= end; ++length)
    ASSERT_FALSE(survives(std::string(kAllOperations.substr(0, length)))) << length;
  EXPECT_TRUE(survives(std::string(kAllOperations.substr(0, end + 1))));
}

TEST(HostileText, RandomDamageNeverCrashes) {
  Random random(20260101);
  int accepted = 0;
  constexpr int kRounds = 5000;
  for (int round = 0; round < kRounds; ++round) {
    std::string text(kAllOperations);
    const std::int64_t flips = 1 + random.below(4);
    for (std::int64_t flip = 0; flip < flips; ++flip) {
      char& victim = text[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(text.size())))];
      victim = random.below(4) == 0 ? static_cast<char>(random.below(256)) : "()[]{}<>=,;\"-0129xp."[random.below(20)];
    }
    accepted += survives(text) ? 1 : 0;
  }
  // Both kinds occur: a damaged digit or name still parses.
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, kRounds);
}

TEST(HostileText, RandomExchangesOfTokensNeverCrash) {
  Random random(7);
  const std::vector<std::string> words = {"tensor", "fp16",  "[",     "]",   "(", ")",  "{",        "}",
                                          "<",      ">",     "=",     ",",   ";", "->", "BLOBFILE", "func",
                                          "const",  "int32", "\"s\"", "1.3", "0", "-1", "program",  "string"};
  for (int round = 0; round < 2000; ++round) {
    std::string text = "program(1.3) { func main<ios18>(fp16 x) { ";
    for (int i = 0; i < 30; ++i)
      text += words[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(words.size())))] + " ";
    ASSERT_FALSE(survives(text));
  }
}

}  // namespace
}  // namespace aneval::mil
