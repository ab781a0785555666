// The table of families, and the caps at their edges.
#include "ane/mil/family.h"

#include <gmock/gmock.h>

#include <set>

#include "ane/mil/family_rules.h"
#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::mil {
namespace {

using ::testing::HasSubstr;

std::set<std::string> rules_on(const std::string& family, const std::string& text) {
  std::set<std::string> rules;
  for (const Finding& finding : check_family(parse(text, "f"), find_family(family))) rules.insert(finding.rule);
  return rules;
}

std::string input_of(const std::string& type) {
  return "program(1.3) { func main<ios18>(" + type + " a) { } -> (a); }";
}

TEST(Families, AreSixWithOneBitEach) {
  FamilySet all = 0;
  std::string names;
  for (const Family& family : families()) {
    EXPECT_EQ(all & family.bit, 0) << family.name;
    all = static_cast<FamilySet>(all | family.bit);
    names += family.name;
    EXPECT_EQ(family.name[2] - '2', family.chip[1] - '0') << "M(n) has H(n+12)";
  }
  EXPECT_EQ(all, kAllFamilies);
  EXPECT_EQ(names, "h13h14h15h16h17h18");
}

TEST(Families, UnknownNamesGetTheNearestKnownOne) {
  try {
    (void)find_family("h16g");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'h16'?"));
  }
  EXPECT_THROW((void)find_family(""), Error);
  EXPECT_THROW((void)find_family("M1"), Error);
}

TEST(Families, SetsReadAsRanges) {
  EXPECT_EQ(family_set_text(0), "-");
  EXPECT_EQ(family_set_text(kAllFamilies), "all");
  EXPECT_EQ(family_set_text(kH13), "h13");
  EXPECT_EQ(family_set_text(kH13 | kH14), "h13 h14");
  EXPECT_EQ(family_set_text(kH13 | kH14 | kH15), "h13-h15");
  EXPECT_EQ(family_set_text(kH13 | kH16 | kH17 | kH18), "h13 h16-h18");
}

TEST(FamilyRules, CapsEndExactlyWhereTheTableSays) {
  const std::string pad = ", 32]>";
  for (const Family& family : families()) {
    const bool early = family.bit == kH13 || family.bit == kH14 || family.bit == kH15;
    const std::int64_t spatial = early ? 16384 : 65536;
    const std::string name(family.name);
    const auto width = [](std::int64_t n) { return input_of("tensor<fp16, [1, 1, 1, " + std::to_string(n) + "]>"); };
    const auto height = [&](std::int64_t n) { return input_of("tensor<fp16, [1, 1, " + std::to_string(n) + pad); };
    const auto channels = [](std::int64_t n) {
      return input_of("tensor<fp16, [1, " + std::to_string(n) + ", 1, 32]>");
    };
    // Axis 1 of rank 3 may be channels: the wider cap.
    const auto rows = [&](std::int64_t n) { return input_of("tensor<fp16, [1, " + std::to_string(n) + pad); };
    EXPECT_FALSE(rules_on(name, width(spatial)).contains("width-cap")) << name;
    EXPECT_TRUE(rules_on(name, width(spatial + 1)).contains("width-cap")) << name;
    EXPECT_FALSE(rules_on(name, height(spatial)).contains("height-cap")) << name;
    EXPECT_TRUE(rules_on(name, height(spatial + 1)).contains("height-cap")) << name;
    for (const auto& shape : {channels(65536), rows(65536)})
      EXPECT_FALSE(rules_on(name, shape).contains("channel-cap")) << name;
    for (const auto& shape : {channels(65537), rows(65537)})
      EXPECT_TRUE(rules_on(name, shape).contains("channel-cap")) << name;
  }
}

TEST(FamilyRules, KernelWidthsEndAt13OnM1AndAt15Elsewhere) {
  const auto conv = [](int width) {
    const std::string w = std::to_string(width), type = "tensor<fp16, [4, 64, 1, " + w + "]>";
    return "program(1.3) { func main<ios18>(tensor<fp16, [1, 64, 1, 64]> a) { " + type + " w = const()[val = " + type +
           "(BLOBFILE(path = string(\"w.bin\"), offset = uint64(64)))]; tensor<fp16, [1, 4, 1, " +
           std::to_string(65 - width) + "]> b = conv(x = a, weight = w)[]; } -> (b); }";
  };
  for (const Family& family : families()) {
    const std::string name(family.name);
    EXPECT_FALSE(rules_on(name, conv(13)).contains("kernel-width-cap")) << name;
    EXPECT_EQ(rules_on(name, conv(14)).contains("kernel-width-cap"), family.bit == kH13) << name;
    EXPECT_TRUE(rules_on(name, conv(16)).contains("kernel-width-cap")) << name;
  }
}

TEST(FamilyRules, ATooLongAxisIsOneFindingHoweverFarItTravels) {
  const std::string text = R"(program(1.3) { func main<ios18>(tensor<fp16, [1, 16, 1024, 128]> a) {
    tensor<int32, [4]> s = const()[val = tensor<int32, [4]>([1, 16, 65536, 2])];
    tensor<fp16, [1, 16, 65536, 2]> pairs = reshape(x = a, shape = s)[];
    tensor<fp16, [1, 16, 65536, 2]> b = exp(x = pairs)[];
    tensor<fp16, [1, 16, 65536, 2]> c = add(x = b, y = pairs)[];
    } -> (c); })";
  const auto caps = [&](const std::string& family) {
    return check_family(parse(text, "f"), find_family(family), RuleScope::caps);
  };
  ASSERT_EQ(caps("h13").size(), 1u);
  EXPECT_EQ(caps("h13")[0].text,
            "reshape 'pairs': a height of 65536 in [1, 16, 65536, 2] exceeds the 16384 that h13 (M1) takes");
  EXPECT_EQ(caps("h13")[0].location.line, 3);
  EXPECT_TRUE(caps("h16").empty());
}

TEST(FamilyRules, FlagsOfTheTableAndFamiliesOfTheRulesAgree) {
  for (const FamilyRule& rule : family_rules()) {
    for (const Family& family : families()) {
      if (rule.name == "dialect" || rule.name == "cast") {
        EXPECT_EQ((rule.reported & family.bit) != 0, family.legacy_dialect) << family.name;
      }
      if (rule.name == "slice-begin") {
        EXPECT_EQ((rule.reported & family.bit) != 0, family.slice_crop == SliceCrop::saturates) << family.name;
        EXPECT_EQ((rule.suspected & family.bit) != 0, family.slice_crop == SliceCrop::unmeasured) << family.name;
      }
      if (rule.name == "small-surface") {
        EXPECT_EQ((rule.reported & family.bit) != 0, family.min_surface_bytes > 0) << family.name;
      }
    }
  }
}

TEST(FamilyRules, RowsAreComplete) {
  std::set<std::string_view> names;
  for (const CheckRule& rule : check_rules()) names.insert(rule.name);
  for (const FamilyRule& rule : family_rules()) {
    EXPECT_TRUE(names.insert(rule.name).second) << rule.name << " is there twice";
    EXPECT_THAT(std::string(rule.name), ::testing::MatchesRegex("[a-z0-9]+(-[a-z0-9]+)*"));
    EXPECT_FALSE(rule.meaning.empty() || rule.source.empty()) << rule.name;
    EXPECT_NE(rule.reported, 0) << rule.name;
    EXPECT_EQ(rule.reported & rule.suspected, 0) << rule.name << ": both reported and unmeasured";
    // Time alone is no error.
    if (rule.symptom == Symptom::performance) {
      EXPECT_EQ(rule.severity, Severity::warning) << rule.name;
    }
  }
}

TEST(FamilyRules, FindingsAreSortedByTheirPlace) {
  const std::string text = R"(program(1.3) { func main<ios18>(tensor<fp16, [1, 64, 1, 31]> x) {
    tensor<fp16, [1, 64, 1, 31]> b = gelu(x = x)[];
    tensor<fp16, [1, 64, 1, 31]> c = softmax(x = b)[];
    } -> (c, b); })";
  for (const Family& family : families()) {
    int line = 0;
    for (const Finding& finding : check_family(parse(text, "f"), family)) {
      EXPECT_GE(finding.location.line, line) << family.name;
      line = finding.location.line;
    }
    EXPECT_EQ(line, 4) << family.name;  // several-outputs
  }
}

TEST(FamilyRules, ProgramsWithErrorsOfEveryKindAreJudgedWithoutHarm) {
  int judged = 0;
  const std::string head = "program(1.3) { func main<ios18>(tensor<fp16, [1, 64, 1, 64]> a) {\n";
  for (const std::string body :
       {"tensor<fp16, [1]> b = reshape(x = b)[];",  // of itself
        "tensor<fp16, [1]> b = reshape(x = c)[]; tensor<fp16, [1]> c = reshape(x = b)[];"
        "tensor<fp16, [1]> d = conv(x = b, weight = c)[];",  // round in a circle
        "tensor<fp16, [1]> b = conv()[];", "tensor<fp16, [1]> b = conv(x = gone, weight = gone)[];",
        "fp16 b = matmul(x = a)[];", "fp16 b = softmax(x = a, axis = a)[];",
        "int32 k = const()[val = int32(9)]; fp16 b = softmax(x = a, axis = k)[];",
        "int32 k = const()[val = int32(-9)]; fp16 b = gather(x = a, axis = k)[];",
        "fp16 b = scaled_dot_product_attention(query = a)[];",
        "fp16 b = scaled_dot_product_attention(query = c, key = c)[]; fp16 c = exp(x = a)[];",
        "tensor<int32, [1]> k = const()[val = tensor<int32, [1]>([5])];"
        "fp16 b = slice_by_size(x = a, begin = k, size = k)[];",
        "fp16 b = slice_by_index(x = a, begin = a, end = a)[];", "fp16 b = mul(x = a)[];",
        "fp16 b = mul(x = gone, y = a)[];", "fp16 b = const()[];", "fp16 b = tile()[];",
        "fp16 b = concat(values = (), axis = a)[];", "fp16 a = add(x = a, y = a)[];"}) {
    std::string text = head + body + "\n} -> (b, gone); }";
    Program program;
    try {
      program = parse(text, "f");
    } catch (const Error&) {
      continue;  // the parser's business
    }
    ++judged;
    for (const Family& family : families()) EXPECT_NO_THROW((void)check_family(program, family)) << body;
  }
  EXPECT_GE(judged, 15);
  EXPECT_TRUE(check_family(Program{}, find_family("h13")).empty());
}

TEST(FamilyRules, ManyOperationsTakeLinearTime) {
  std::string statements;
  for (int i = 0; i < 60000; ++i)
    statements += "tensor<fp16, [1, 64]> y" + std::to_string(i) +
                  " = exp(x = " + (i == 0 ? "a" : "y" + std::to_string(i - 1)) + ")[];\n";
  const Program program =
      parse("program(1.3) { func main<ios18>(tensor<fp16, [1, 64]> a) {\n" + statements + "} -> (y59999); }", "f");
  EXPECT_TRUE(check_family(program, find_family("h17")).empty());
}

}  // namespace
}  // namespace aneval::mil
