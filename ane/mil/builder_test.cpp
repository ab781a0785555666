#include "ane/mil/builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "ane/half.h"
#include "ane/mil/checker.h"
#include "ane/mil/ops.h"
#include "ane/mil/test_programs.h"
#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::mil {
namespace {

std::string error_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.subject() + ": " + error.reason();
  }
  return "";
}

/// y = softmax(x·0.1 @ wᵀ) over the sum of its rows, with every helper of the builder once.
BuiltProgram sample() {
  Builder b;
  const Value x = b.input("x", {1, 4, 1, 6});
  const Value a = b.reshape(b.slice(x, {0, 0, 0, 0}, {1, 4, 1, 4}, "a"), {1, 1, 4, 4}, "a_m");
  const std::vector<double> exact(16, 0.1);
  const Value w = b.weights("w", {1, 1, 4, 4}, exact);
  const Value product = b.matmul(b.mul(a, b.scalar(0.1, "tenth"), "scaled"), w, false, true, "product");
  const Value p = b.softmax(b.add(product, b.transpose(a, {0, 1, 3, 2}, "t"), "sum"), -1, "p");
  const Value rest = b.sub(b.sigmoid(p, "s"), b.reduce_sum(p, {-1}, true, "rows"), "rest");
  return b.finish(b.concat({p, rest}, 1, false, "joined"), "out");
}

TEST(Builder, TheProgramIsSoundAndItsTextReadsBack) {
  const BuiltProgram built = sample();
  for (const Finding& finding : check(built.graph, &built.weights)) ADD_FAILURE() << finding_text(built.graph, finding);
  const Program back = parse(built.text, "t");
  EXPECT_TRUE(testing::same(back, built.graph));
  EXPECT_EQ(print(back), built.text);
  EXPECT_EQ(built.graph.main().results, std::vector<std::string>{"out"});
  EXPECT_EQ(type_text(built.graph.main().operations.back().type), "tensor<fp16, [1, 2, 4, 4]>");
  EXPECT_EQ(matmul_flops(built.graph.main()), 2.0 * 4 * 4 * 4);
}

TEST(Builder, FlagsAreNamedConstants) {
  const BuiltProgram built = sample();
  EXPECT_NE(built.text.find("bool bF = const()[name = string(\"bF\"), val = bool(false)];"), std::string::npos);
  EXPECT_NE(built.text.find("product = matmul(transpose_x = bF, transpose_y = bT, x = scaled, y = w)"),
            std::string::npos);
}

TEST(Builder, WeightsAreRoundedOnceAndKeepTheirExactValues) {
  const BuiltProgram built = sample();
  ASSERT_TRUE(built.weights.contains("@model_path/weights/w.bin"));
  const ane::Blob blob = ane::read_blob(built.weights.at("@model_path/weights/w.bin"), 64, 32, "w");
  const ane::half_t expected = ane::to_half(0.1);
  EXPECT_EQ(std::to_integer<int>(blob.bytes[30]) | std::to_integer<int>(blob.bytes[31]) << 8, expected);
  EXPECT_EQ(built.exact_constants.at("w"), std::vector<double>(16, 0.1));
  EXPECT_EQ(built.exact_constants.at("tenth"), std::vector<double>{0.1});
  const Operation* tenth = built.graph.main().find("tenth");
  EXPECT_EQ(std::get<std::vector<double>>(tenth->attribute("val")->literal.value).at(0), ane::to_float(expected));
}

TEST(Builder, NamesAreMadeUniqueAndConstantsShared) {
  Builder b;
  const Value x = b.input("x", {2, 2});
  const Value first = b.add(x, x, "y"), second = b.add(x, x, "y"), third = b.add(x, x, "y_1");
  EXPECT_EQ(first.id, "y");
  EXPECT_EQ(second.id, "y_1");
  EXPECT_EQ(third.id, "y_1_1");
  EXPECT_EQ(b.ints({1, 2}, "a").id, b.ints({1, 2}, "b").id);
  EXPECT_NE(b.ints({1, 2}, "a").id, b.ints({2, 1}, "a").id);
  EXPECT_NE(b.integer(1, "i").id, b.ints({1}, "i").id);  // rank 0 and rank 1
  EXPECT_EQ(b.scalar(0.1, "s").id, b.scalar(0.1, "r").id);
  EXPECT_NE(b.scalar(0.1, "s").id, b.scalar(0.1000001, "s").id);  // the same half, other exact values
  EXPECT_EQ(b.boolean(true).id, "bT");
  EXPECT_EQ(b.text("valid", "v").id, b.text("valid", "w").id);
}

TEST(Builder, TheResultTakesItsNameAndAnotherValueGivesWay) {
  Builder b;
  const Value x = b.input("x", {2, 2});
  const Value out = b.scalar(0.1, "out");
  const Value y = b.add(x, out, "y");
  const BuiltProgram built = b.finish(b.mul(y, y, "z"), "out");
  const Function& function = built.graph.main();
  EXPECT_EQ(function.results, std::vector<std::string>{"out"});
  EXPECT_EQ(function.find("out")->op, "mul");
  EXPECT_EQ(function.find("out_1")->op, "const");
  EXPECT_EQ(function.find("y")->find("y")->values.at(0), "out_1");
  EXPECT_EQ(std::get<std::string>(function.find("out")->attribute("name")->literal.value), "out");
  EXPECT_TRUE(built.exact_constants.contains("out_1"));
  EXPECT_FALSE(built.exact_constants.contains("out"));
  EXPECT_TRUE(check(built.graph, &built.weights).empty());
}

TEST(Builder, AnyOperationOfTheTable) {
  Builder b;
  const Value x = b.input("x", {1, 4, 1, 8});
  const std::vector<double> exact(8, 1.0);
  const Value y = b.op(
      "conv", {{"x", x}, {"weight", b.weights("w", {2, 4, 1, 1}, exact)}, {"pad_type", b.text("valid", "pt")}}, "y");
  EXPECT_EQ(y.type, (TensorType{DType::fp16, {1, 2, 1, 8}}));
  const Value joined = b.op("concat", {{"values", y}, {"axis", b.integer(1, "one")}, {"values", y}}, "j");
  EXPECT_EQ(joined.type, (TensorType{DType::fp16, {1, 4, 1, 8}}));
  const Value cast = b.op("cast", {{"x", joined}, {"dtype", b.text("fp32", "f32")}}, "c");
  EXPECT_EQ(cast.type.dtype, DType::fp32);
  const BuiltProgram built = b.finish(cast, "out");
  EXPECT_TRUE(check(built.graph, &built.weights).empty());
}

TEST(Builder, MistakesNameTheValueAndTheShapes) {
  Builder b;
  const Value x = b.input("x", {2, 3});
  const std::vector<double> three(3, 0.0), infinite(1, std::numeric_limits<double>::infinity());
  EXPECT_EQ(error_of([&] { b.matmul(x, x, false, false, "m"); }),
            "matmul 'm': x of shape [2, 3] and y of shape [2, 3]: the contracted dimensions 3 and 2 differ");
  EXPECT_EQ(error_of([&] { b.op("einsum", {{"x", x}}, "e"); }), "einsum 'e': the operation is unknown");
  EXPECT_EQ(error_of([&] { b.op("exp", {{"z", x}}, "f"); }), "exp 'f': there is no argument 'z'");
  EXPECT_EQ(error_of([&] { b.op("exp", {}, "g"); }), "exp 'g': x is missing");
  EXPECT_EQ(error_of([&] { b.op("exp", {{"x", {"gone", x.type}}}, "h"); }), "exp 'h': 'gone' is not defined");
  EXPECT_EQ(error_of([&] { b.scalar(65520, "s"); }), "constant 's': 65520 does not fit into fp16");
  EXPECT_EQ(error_of([&] { b.weights("w", {1}, infinite); }), "constant 'w': inf does not fit into fp16");
  EXPECT_EQ(error_of([&] { b.weights("w", {2, 2}, three); }), "constant 'w': 3 values for tensor<fp16, [2, 2]>");
  EXPECT_EQ(error_of([&] { b.weights("w", {0}, {}); }), "value 'w': the shape [0] is impossible");
  EXPECT_EQ(error_of([&] { b.input("big", {kMaxElements, 2}); }),
            "value 'big': the shape [1099511627776, 2] is impossible");
  EXPECT_EQ(error_of([&] { b.input("1x", {2}); }), "value '1x': the name is no identifier");
  EXPECT_EQ(error_of([&] { b.ints({std::int64_t{1} << 31}, "i"); }),
            "constant 'i': 2147483648 does not fit into int32");
  EXPECT_EQ(error_of([&] { b.ints(Shape{}, "i"); }), "constant 'i': it has no values");
  EXPECT_EQ(error_of([&] { b.finish(x, "out"); }), "result 'x': it is not the result of an operation of this program");
}

}  // namespace
}  // namespace aneval::mil
