#include <gtest/gtest.h>

#include <fmt/format.h>

#include <set>

#include "ane/half.h"
#include "ane/mil/checker.h"
#include "ane/mil/ops.h"
#include "ane/mil/test_programs.h"
#include "ane/mil/text.h"

namespace aneval::mil {
namespace {

using testing::kAllOperations;
using testing::same;

TEST(Printer, TheSampleHoldsEveryOperationAndNoMistake) {
  const Program program = parse(kAllOperations, "all.mil");
  std::set<std::string> used;
  for (const Operation& operation : program.main().operations) used.insert(operation.op);
  for (const OpDefinition& definition : op_definitions())
    EXPECT_TRUE(used.contains(std::string(definition.name))) << definition.name;
  for (const Finding& finding : check(program, nullptr)) ADD_FAILURE() << finding_text(program, finding);
}

TEST(Printer, ModernTextIsReproducedByteForByte) { EXPECT_EQ(print(parse(kAllOperations, "all.mil")), kAllOperations); }

TEST(Printer, LegacyTextRoundTrips) {
  const Program modern = parse(kAllOperations, "all.mil");
  const std::string text = print(modern, Dialect::legacy);
  const Program legacy = parse(text, "legacy.mil");
  EXPECT_EQ(print(legacy, Dialect::legacy), text);
  EXPECT_EQ(legacy.version, "1.0");
  EXPECT_EQ(legacy.main().opset, "ios16");
  Program lifted = legacy;
  lifted.version = modern.version;
  lifted.functions[0].opset = modern.functions[0].opset;
  EXPECT_TRUE(same(lifted, modern));
  EXPECT_EQ(print(legacy, Dialect::modern), kAllOperations);
}

TEST(Printer, LegacyWritesEveryScalarAsATensor) {
  const std::string text = print(parse(R"(program(1.3) { func main<ios18>(fp16 x) {
      fp16 s = const()[name = string("s"), val = fp16(0x1p-3)];
      tensor<fp16, [2]> w = const()[val = tensor<fp16, [2]>(BLOBFILE(path = string("p"), offset = uint64(64)))];
      } -> (s); })",
                                       "t"),
                                 Dialect::legacy);
  EXPECT_EQ(text,
            "program(1.0)\n"
            "[buildInfo = dict<tensor<string, []>, tensor<string, []>>({})]\n"
            "{\n"
            "    func main<ios16>(tensor<fp16, []> x) {\n"
            "        tensor<fp16, []> s = const()[name = tensor<string, []>(\"s\"), val = tensor<fp16, []>(0x1p-3)];\n"
            "        tensor<fp16, [2]> w = const()[val = tensor<fp16, [2]>(BLOBFILE(path = tensor<string, []>(\"p\"), "
            "offset = tensor<uint64, []>(64)))];\n"
            "    } -> (s);\n"
            "}\n");
}

TEST(Printer, OtherVersionsOfADialectAreKept) {
  const Program program = parse("program(1.5) { func main<ios17>(fp16 x) { } -> (x); }", "t");
  EXPECT_NE(print(program).find("program(1.5)"), std::string::npos);
  EXPECT_NE(print(program).find("main<ios17>"), std::string::npos);
  EXPECT_NE(print(program, Dialect::legacy).find("main<ios16>"), std::string::npos);
}

TEST(Printer, EveryFiniteHalfIsWrittenExactly) {
  Program program =
      parse("program(1.3) { func main<ios18>(fp16 x) { fp16 s = const()[val = fp16(0)]; } -> (s); }", "t");
  Literal& literal = program.functions[0].operations[0].attributes[0].literal;
  std::vector<double> values;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits)
    if ((bits & 0x7C00) != 0x7C00) values.push_back(ane::to_float(static_cast<ane::half_t>(bits)));
  literal.type.shape = {static_cast<std::int64_t>(values.size())};
  literal.value = values;
  const Program back = parse(print(program), "t");
  const auto& read = std::get<std::vector<double>>(back.functions[0].operations[0].attributes[0].literal.value);
  ASSERT_EQ(read.size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(ane::to_half(read[i]), ane::to_half(values[i])) << values[i];  // the sign of zero counts
}

TEST(Printer, StringsAreEscaped) {
  Program program = parse("program(1.3) { func main<ios18>(fp16 x) { } -> (x); }", "t");
  program.build_info.emplace("a\"\\\n\t", "\x01");
  EXPECT_TRUE(same(parse(print(program), "t"), program));
}

}  // namespace
}  // namespace aneval::mil
