#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "ane/half.h"
#include "ane/mil/lexer.h"
#include "ane/mil/test_programs.h"
#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::mil {
namespace {

/// `literal` as the value of a constant.
Literal literal_of(const std::string& literal) {
  const Program program =
      parse("program(1.3) { func main<ios18>(fp16 x) { fp16 c = const()[val = " + literal + "]; } -> (c); }", "t");
  return program.main().operations.at(0).attributes.at(0).literal;
}

std::vector<double> numbers_of(const std::string& literal) {
  return std::get<std::vector<double>>(literal_of(literal).value);
}

TEST(Parser, LegacyProgramAsCoremlcWritesIt) {
  const Program program = parse(R"(program(1.0)
[buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"coremlc-component-MIL", "5.33.5"}, {"coremlc-version", "1877.40.3"}})]
{
    func main<ios16>(tensor<fp16, [1, 4, 1, 8]> x) {
            tensor<bool, []> bF = const()[name = tensor<string, []>("bF"), val = tensor<bool, []>(false)];
            tensor<int32, []> ax = const()[name = tensor<string, []>("ax"), val = tensor<int32, []>(1)];
            tensor<fp16, [2, 4, 1, 1]> w = const()[name = tensor<string, []>("w"), val = tensor<fp16, [2, 4, 1, 1]>(BLOBFILE(path = tensor<string, []>("@model_path/weights/w.bin"), offset = tensor<uint64, []>(64)))];
            tensor<fp16, [1, 8, 1, 8]> y = concat(axis = ax, interleave = bF, values = (x, x))[name = tensor<string, []>("y")];
    } -> (y);
})",
                                "legacy.mil");
  EXPECT_EQ(program.version, "1.0");
  EXPECT_EQ(program.build_info.at("coremlc-version"), "1877.40.3");
  const Function& function = program.main();
  EXPECT_EQ(function.opset, "ios16");
  EXPECT_EQ(function.parameters.at(0).type, (TensorType{DType::fp16, {1, 4, 1, 8}}));
  EXPECT_EQ(function.operations.at(0).type, (TensorType{DType::boolean, {}}));
  EXPECT_EQ(std::get<BlobFile>(function.operations.at(2).attribute("val")->literal.value),
            (BlobFile{"@model_path/weights/w.bin", 64}));
  const Argument* values = function.operations.at(3).find("values");
  ASSERT_NE(values, nullptr);
  EXPECT_TRUE(values->tuple);
  EXPECT_EQ(values->values, (std::vector<std::string>{"x", "x"}));
  EXPECT_FALSE(function.operations.at(3).find("axis")->tuple);
}

TEST(Parser, BlanksAndCommentsMeanNothing) {
  const std::string_view tight =
      "program(1.3){func "
      "main<ios18>(tensor<fp16,[1,2]>x){tensor<fp16,[1,2]>y=add(x=x,y=x)[name=string(\"y\")];}->(y);}";
  const std::string_view loose = R"( // a comment
    program ( 1.3 ) { /* two
      lines */ func main < ios18 > ( tensor < fp16 , [ 1 , 2 ] > x ) {
      tensor<fp16, [1, 2]> y = add ( x = x , y = x ) [ name = string ( "y" ) ] ; // "
    } -> ( y ) ; } )";
  EXPECT_TRUE(testing::same(parse(tight, "a"), parse(loose, "b")));
  EXPECT_EQ(parse(loose, "b").file, "b");
}

TEST(Parser, LocationsAreThoseOfTheText) {
  const Program program = parse(
      "program(1.3) {\n  func main<ios18>(fp16 a,\n    fp16 b) {\r\n\tfp16 y = add(x = a,\n y = b)[name = "
      "string(\"y\")];\n"
      "} -> (y); }",
      "t");
  const auto at = [](Location location) { return fmt::format("{}:{}", location.line, location.column); };
  const Function& function = program.main();
  EXPECT_EQ(at(function.location), "2:3");
  EXPECT_EQ(at(function.parameters[0].location), "2:20");
  EXPECT_EQ(at(function.parameters[1].location), "3:5");
  EXPECT_EQ(at(function.operations[0].location), "4:2");
  EXPECT_EQ(at(function.operations[0].arguments[0].location), "4:15");
  EXPECT_EQ(at(function.operations[0].arguments[1].location), "5:2");
  EXPECT_EQ(at(function.operations[0].attributes[0].location), "5:9");
  EXPECT_EQ(at(function.results_location), "6:6");
}

TEST(Parser, NumbersAreRoundedToTheirType) {
  EXPECT_EQ(numbers_of("fp16(0.204124)").at(0), ane::to_float(ane::to_half(0.204124)));
  EXPECT_EQ(numbers_of("fp16(65519)").at(0), 65504);
  EXPECT_EQ(numbers_of("fp32(0.1)").at(0), static_cast<double>(0.1F));
  EXPECT_EQ(numbers_of("fp32(3.4028235e38)").at(0), static_cast<double>(std::numeric_limits<float>::max()));
  EXPECT_EQ(numbers_of("int32(-2147483648)").at(0), -0x1p31);
  EXPECT_EQ(numbers_of("bool(true)").at(0), 1);
  EXPECT_EQ(std::get<std::string>(literal_of(R"(string("a\"b\x41"))").value), "a\"bA");
}

TEST(Parser, NestedListsAreRowMajorAndFitTheShape) {
  const std::vector<double> flat = numbers_of("tensor<int32, [2, 3]>([1, 2, 3, 4, 5, 6])");
  EXPECT_EQ(numbers_of("tensor<int32, [2, 3]>([[1, 2, 3], [4, 5, 6]])"), flat);
  EXPECT_EQ(numbers_of("tensor<int32, [1, 2, 3]>([[[1, 2, 3], [4, 5, 6]]])"), flat);
  EXPECT_TRUE(numbers_of("tensor<int32, [3]>([])").empty());  // the checker counts
}

TEST(Parser, LimitsAreRefusedBeforeTheyCostMemory) {
  const auto reason = [](const std::string& text) -> std::string {
    try {
      parse(text, "t");
    } catch (const Error& error) {
      return error.reason();
    }
    return "";
  };
  const auto program = [](const std::string& body) {
    return "program(1.3) { func main<ios18>(fp16 x) {" + body + "} -> (x); }";
  };
  EXPECT_EQ(reason(std::string(kMaxTextBytes + 1, ' ')), "67108865 bytes of text, at most 67108864");
  std::string operations;
  for (std::size_t i = 0; i < kMaxItems; ++i) operations += "fp16 a=b()[];";
  EXPECT_EQ(reason(program(operations)), "more than 1048576 parts in one program");
  std::string numbers;
  numbers.reserve(2 * kMaxLiteralNumbers + 2);
  for (std::size_t i = 0; i <= kMaxLiteralNumbers; ++i) numbers += "0,";
  EXPECT_EQ(reason(program("fp16 a = const()[val = tensor<int8, [2]>([" + numbers + "0])];")),
            "more than 16777216 numbers in literals");
  EXPECT_EQ(reason(program("fp16 a = const()[val = tensor<int8, [2]>(" + std::string(1000000, '['))),
            "lists nested deeper than 16");
}

}  // namespace
}  // namespace aneval::mil
