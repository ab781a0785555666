#include "ane/mil/program.h"

#include <gtest/gtest.h>

#include "ane/mil/ops.h"
#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::mil {
namespace {

Function function_of(const std::string& body, const std::string& parameters) {
  return parse("program(1.3) { func main<ios18>(" + parameters + ") {" + body + "} -> (y); }", "t.mil").main();
}

const std::string kFlag = "bool f = const()[val = bool(false)]; bool t = const()[val = bool(true)];";

TEST(DTypes, NamesAndSizes) {
  const std::vector<std::pair<std::string, std::int64_t>> expected = {
      {"fp16", 2}, {"fp32", 4}, {"int32", 4}, {"int8", 1}, {"uint8", 1}, {"uint64", 8}, {"bool", 1}, {"string", 0}};
  for (const auto& [name, bytes] : expected) {
    const std::optional<DType> dtype = parse_dtype(name);
    ASSERT_TRUE(dtype) << name;
    EXPECT_EQ(dtype_name(*dtype), name);
    EXPECT_EQ(dtype_bytes(*dtype), bytes) << name;
  }
  EXPECT_FALSE(parse_dtype("fp64"));
}

TEST(TensorTypes, ElementsAreCountedWithoutOverflow) {
  EXPECT_EQ((TensorType{DType::fp16, {}}).elements(), 1);
  EXPECT_EQ((TensorType{DType::fp16, {2, 3, 4}}).elements(), 24);
  EXPECT_EQ(element_count({kMaxElements}), kMaxElements);
  EXPECT_FALSE(element_count({kMaxElements, 2}));
  EXPECT_FALSE(element_count({std::int64_t{1} << 32, std::int64_t{1} << 32}));  // 2^64 would wrap to 0
  EXPECT_FALSE(element_count({3, 0}));
  EXPECT_FALSE(element_count({-1, -1}));
  EXPECT_THROW((TensorType{DType::fp16, {0}}).elements(), Error);
}

TEST(TensorTypes, Text) {
  EXPECT_EQ(type_text({DType::fp16, {1, 768, 1, 256}}), "tensor<fp16, [1, 768, 1, 256]>");
  EXPECT_EQ(type_text({DType::boolean, {}}), "bool");
}

TEST(Programs, MainIsTheNamedFunctionOrTheOnlyOne) {
  Program program;
  EXPECT_THROW(program.main(), Error);
  program.functions.resize(1);
  program.functions[0].name = "only";
  EXPECT_EQ(program.main().name, "only");
  program.functions.resize(2);
  program.functions[1].name = "other";
  EXPECT_THROW(program.main(), Error);
  program.functions[1].name = "main";
  EXPECT_EQ(&program.main(), &program.functions[1]);
}

TEST(Flops, MatmulCountsBatchesAndReadsTheContractionThroughTheFlags) {
  // [3, 5] x [5, 7] per head, two heads: 2·2·3·5·7
  const double expected = 2.0 * 2 * 3 * 5 * 7;
  EXPECT_EQ(matmul_flops(function_of(kFlag + "tensor<fp16, [2, 3, 7]> y = matmul(x = a, y = b, transpose_x = f)[];",
                                     "tensor<fp16, [2, 3, 5]> a, tensor<fp16, [1, 5, 7]> b")),
            expected);
  EXPECT_EQ(matmul_flops(function_of(kFlag + "tensor<fp16, [2, 3, 7]> y = matmul(x = a, y = b, transpose_x = t)[];",
                                     "tensor<fp16, [2, 5, 3]> a, tensor<fp16, [5, 7]> b")),
            expected);
  EXPECT_EQ(matmul_flops(function_of("tensor<fp16, [7]> y = matmul(x = a, y = b)[];",
                                     "tensor<fp16, [5]> a, tensor<fp16, [5, 7]> b")),
            2.0 * 5 * 7);
}

TEST(Flops, ConvCountsTheFilterPerOutputAndSumsWithMatmul) {
  // 6 filters of 2 channels (4 in 2 groups) times 3: 2·[1, 6, 8]·6, then a matmul of 2·8·6·4
  const Function function = function_of(
      "tensor<fp16, [1, 6, 8]> c = conv(x = x, weight = w)[];"
      "tensor<fp16, [1, 6, 4]> y = matmul(x = c, y = b)[]; tensor<fp16, [1, 6, 4]> z = add(x = y, y = y)[];",
      "tensor<fp16, [1, 4, 10]> x, tensor<fp16, [6, 2, 3]> w, tensor<fp16, [8, 4]> b");
  EXPECT_EQ(matmul_flops(function), 2.0 * 48 * 6 + 2.0 * 24 * 8);
}

TEST(Flops, AnUncheckedFunctionIsRefused) {
  EXPECT_THROW(matmul_flops(function_of("fp16 y = matmul(x = nothing, y = a)[];", "tensor<fp16, [5]> a")),
               InferenceError);
}

}  // namespace
}  // namespace aneval::mil
