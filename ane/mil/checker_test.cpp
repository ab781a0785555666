#include "ane/mil/checker.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::mil {
namespace {

/// Statements from line 2 on, one per line, in a function of one parameter.
std::string program_of(const std::string& statements, const std::string& results = "x") {
  return "program(1.3) { func main<ios18>(tensor<fp16, [1, 2]> x) {\n" + statements + "\n} -> (" + results + "); }";
}

/// A weight file of one fp16 blob of 2 values.
ane::WeightFiles two_halves() {
  ane::BlobWriter writer;
  const std::vector<ane::half_t> values = {0x3C00, 0x4000};
  writer.add(std::span<const ane::half_t>(values));
  return {{"@model_path/weights/w.bin", writer.finish()}};
}

std::string blob(const std::string& type, const std::string& path, int offset) {
  return type + " w = const()[val = " + type + "(BLOBFILE(path = string(\"" + path + "\"), offset = uint64(" +
         std::to_string(offset) + ")))];";
}

struct Case {
  std::string text, expected;  // all findings, one per line, without the file name
};

std::string findings_of(const std::string& text) {
  const Program program = parse(text, "f");
  const ane::WeightFiles weights = two_halves();
  std::string all;
  for (const Finding& finding : check(program, &weights)) {
    if (!all.empty()) all += '\n';
    all += finding_text(program, finding).substr(2);
  }
  return all;
}

TEST(Checker, EachRuleIsTriggeredAloneAtItsPlace) {
  const std::string k = "tensor<int32, [2]> p = const()[val = tensor<int32, [2]>([1, 0])];\n";
  const std::string ok = "tensor<fp16, [1, 2]> ";
  const std::vector<Case> cases = {
      {program_of(""), ""},
      {program_of(ok + "y = exp(x = x)[];\n" + ok + "y = exp(x = x)[];"),
       "3:1: error: 'y' is defined twice [duplicate-identifier]"},
      {program_of(ok + "x = exp(x = x)[];"), "2:1: error: 'x' is defined twice [duplicate-identifier]"},
      {program_of(ok + "y = exp(x = z)[];"), "2:30: error: exp 'y': 'z' is not defined [undefined-identifier]"},
      {program_of(ok + "y = exp(x = z)[];\n" + ok + "z = exp(x = x)[];"),
       "2:30: error: exp 'y': 'z' is used before its definition in line 3 [undefined-identifier]"},
      {program_of(ok + "y = sofmax(x = x)[];"),
       "2:1: error: operation 'sofmax' is unknown, did you mean 'softmax'? [unknown-op]"},
      {program_of(ok + "y = q(x = x)[];"), "2:1: error: operation 'q' is unknown [unknown-op]"},
      {program_of(ok + "y = add(x = x)[];"), "2:1: error: add 'y': 'y' is missing [missing-argument]"},
      {program_of("fp16 y = const()[name = string(\"y\")];"),
       "2:1: error: const 'y': 'val' is missing [missing-argument]"},
      {program_of(ok + "y = add(x = x, y = x, z = x)[];"),
       "2:44: error: add 'y': 'z' is not one of x, y [unknown-argument]"},
      {program_of("fp16 y = const(x = x)[val = fp16(0)];"),
       "2:16: error: const 'y': 'x' is not one of its arguments: it has none [unknown-argument]"},
      {program_of(ok + "y = exp(x = x, x = x)[];"),
       "2:37: error: exp 'y': 'x' stands there twice [duplicate-argument]"},
      {program_of("fp16 y = const()[val = fp16(0), val = fp16(1)];"),
       "2:33: error: const 'y': 'val' stands there twice [duplicate-argument]"},
      {program_of("tensor<fp16, [2, 2]> y = exp(x = x)[];"),
       "2:1: error: exp 'y': declared tensor<fp16, [2, 2]>, but the result is tensor<fp16, [1, 2]> [type-mismatch]"},
      {program_of("fp32 y = const()[val = fp16(0)];"),
       "2:1: error: const 'y': declared fp32, but the result is fp16 [type-mismatch]"},
      // What follows from a mistake is not a mistake of its own.
      {program_of("tensor<fp16, [2, 2]> y = exp(x = x)[];\n" + ok + "z = exp(x = y)[];"),
       "2:1: error: exp 'y': declared tensor<fp16, [2, 2]>, but the result is tensor<fp16, [1, 2]> [type-mismatch]"},
      {program_of(k + "tensor<fp16, [1, 2]> y = transpose(x = x, perm = p)[];"),
       "3:1: error: transpose 'y': declared tensor<fp16, [1, 2]>, but the result is tensor<fp16, [2, 1]> "
       "[type-mismatch]"},
      {program_of(ok + "y = concat(values = (x, x), axis = x)[];"),
       "2:50: error: concat 'y': axis must be a constant [non-constant-argument]"},
      {program_of("tensor<int32, [2]> p = const()[val = tensor<int32, [2]>([2, 2])];\n" + ok +
                  "y = reshape(x = x, shape = p)[];"),
       "3:41: error: reshape 'y': x of shape [1, 2] cannot become [2, 2]: 2 elements, not 4 [bad-argument]"},
      {program_of(ok + "y = exp(x = (x))[];"), "2:30: error: exp 'y': 'x' takes one value, not a tuple [bad-argument]"},
      {program_of("", "x, y"), "3:6: error: result 'y' is not defined [result-undefined]"},
      {program_of("tensor<int32, [2]> p = const()[val = tensor<int32, [2]>([1])];"),
       "2:32: error: const 'p': 'val' has 1 values for tensor<int32, [2]> [bad-constant]"},
      {program_of("int8 p = const()[val = int8(128)];"),
       "2:18: error: const 'p': 'val' holds 128, which is no int8 [bad-constant]"},
      {program_of("int32 p = const()[val = int32(0.5)];"),
       "2:19: error: const 'p': 'val' holds 0.5, which is no int32 [bad-constant]"},
      {program_of("uint8 p = const()[val = uint8(-1)];"),
       "2:19: error: const 'p': 'val' holds -1, which is no uint8 [bad-constant]"},
      {program_of("tensor<int32, [2]> p = const()[val = tensor<int32, [2]>([1])];\ntensor<fp16, [2, 1]> y = "
                  "transpose(x = x, perm = p)[];"),
       "2:32: error: const 'p': 'val' has 1 values for tensor<int32, [2]> [bad-constant]"},
      {program_of("fp16 p = const()[name = fp16(0), val = fp16(0)];"),
       "2:18: error: const 'p': the name must be a string [bad-attribute]"},
      {program_of(ok + "y = exp(x = x)[color = fp16(0)];"),
       "2:37: warning: exp 'y': attribute 'color' means nothing here [unknown-attribute]"},
      {"program(1.3) { func main<ios18>(fp16 x,\nfp16 x) { } -> (x); }",
       "2:1: error: parameter 'x' is declared twice [duplicate-parameter]"},
      {"program(1.3) { func a<ios18>(fp16 x) { } -> (x); func b<ios18>(fp16 x) { } -> (x); }",
       "1:16: error: no function is named main [no-main]"},
      {"program(1.3) { func only<ios18>(fp16 x) { } -> (x); }", ""},
      {"program(1.3) { func main<ios18>(fp16 x) { } -> (x);\n func main<ios18>(fp16 x) { } -> (x); }",
       "2:2: error: function 'main' is defined twice [duplicate-function]"},
      {program_of(blob("tensor<fp16, [2]>", "@model_path/weights/w.bin", 64)), ""},
      {program_of(blob("tensor<fp16, [2]>", "@model_path/weights/v.bin", 64)),
       "2:31: error: const 'w': 'val' names the weight file '@model_path/weights/v.bin', which does not exist "
       "[bad-blob]"},
      {program_of(blob("tensor<int8, [4]>", "@model_path/weights/w.bin", 64)),
       "2:31: error: const 'w': 'val' is tensor<int8, [4]>, but its blob in '@model_path/weights/w.bin' is of type 1 "
       "[bad-blob]"},
      {program_of(blob("tensor<bool, [2]>", "@model_path/weights/w.bin", 64)),
       "2:31: error: const 'w': 'val' cannot be in a weight file: it is tensor<bool, [2]> [bad-blob]"},
  };
  for (const Case& each : cases) EXPECT_EQ(findings_of(each.text), each.expected) << each.text;
}

TEST(Checker, BadBlobsAreFoundByTheirFormat) {
  // Too many values for the file, and metadata where there is none.
  for (const auto& [type, offset] : std::vector<std::pair<std::string, int>>{
           {"tensor<fp16, [3]>", 64}, {"tensor<fp16, [2]>", 0}, {"tensor<fp16, [2]>", 100000}}) {
    const std::string all = findings_of(program_of(blob(type, "@model_path/weights/w.bin", offset)));
    EXPECT_EQ(all.find("2:31: error: const 'w': 'val' has a bad blob: "), 0U) << all;
    EXPECT_NE(all.find("[bad-blob]"), std::string::npos);
    EXPECT_EQ(all.find('\n'), std::string::npos) << all;
  }
}

TEST(Checker, WithoutWeightsBlobsAreNotLookedAt) {
  const Program program = parse(program_of(blob("tensor<fp16, [2]>", "nowhere", 64)), "f");
  EXPECT_TRUE(check(program, nullptr).empty());
}

TEST(Checker, FindingsComeInTheOrderOfTheText) {
  EXPECT_EQ(findings_of(program_of("fp16 a = vvvvvv()[];\nfp16 c = wwwwww()[];", "gone")),
            "2:1: error: operation 'vvvvvv' is unknown [unknown-op]\n"
            "3:1: error: operation 'wwwwww' is unknown [unknown-op]\n"
            "4:6: error: result 'gone' is not defined [result-undefined]");
}

TEST(Checker, ThrowsTheFirstErrorAndCountsTheOthers) {
  const Program good = parse(program_of("tensor<fp16, [1, 2]> y = exp(x = x)[odd = fp16(0)];"), "f.mil");
  EXPECT_NO_THROW(check_or_throw(good, nullptr));  // a warning only
  const Program bad = parse(program_of("fp16 a = vvvvvv()[];\nfp16 c = wwwwww()[];"), "f.mil");
  try {
    check_or_throw(bad, nullptr);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    EXPECT_EQ(error.subject(), "f.mil:2:1");
    EXPECT_EQ(error.reason(), "operation 'vvvvvv' is unknown (and 1 more errors)");
  }
}

TEST(Checker, ManyOperationsTakeLinearTime) {
  // 60000 operations, each an argument of the next: quadratic look-ups would take minutes.
  std::string statements;
  for (int i = 0; i < 60000; ++i)
    statements +=
        fmt::format("tensor<fp16, [1, 2]> y{} = exp(x = {})[];\n", i, i == 0 ? "x" : fmt::format("y{}", i - 1));
  EXPECT_TRUE(check(parse(program_of(statements, "y59999"), "f"), nullptr).empty());
}

}  // namespace
}  // namespace aneval::mil
