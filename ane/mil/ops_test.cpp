#include "ane/mil/ops.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "ane/mil/text.h"

namespace aneval::mil {
namespace {

const std::string kConstants = R"(
  bool f = const()[val = bool(false)]; bool t = const()[val = bool(true)];
  int32 i0 = const()[val = int32(0)]; int32 i1 = const()[val = int32(1)]; int32 i2 = const()[val = int32(2)];
  int32 m1 = const()[val = int32(-1)]; int32 i9 = const()[val = int32(9)];
  fp16 h = const()[val = fp16(0.5)];
  string s = const()[val = string("same")]; string custom = const()[val = string("custom")];
  string int8s = const()[val = string("int8")]; string fp32s = const()[val = string("fp32")];
)";

/// An int32 vector constant.
std::string ints(const std::string& name, const std::string& values) {
  const auto count = std::count(values.begin(), values.end(), ',') + 1;
  const std::string type = "tensor<int32, [" + std::to_string(count) + "]>";
  return type + " " + name + " = const()[val = " + type + "([" + values + "])]; ";
}

/// The inferred type of `call` over the given parameters and constants, or "key: reason".
std::string infer(const std::string& parameters, const std::string& call, const std::string& constants = "") {
  const Program program = parse("program(1.3) { func main<ios18>(" + parameters + ") {" + kConstants + constants +
                                    "fp16 result = " + call + "[]; } -> (result); }",
                                "t.mil");
  const Operation& operation = program.main().operations.back();
  try {
    return type_text(find_op(operation.op)->infer(resolve_arguments(program.main(), operation)));
  } catch (const InferenceError& error) {
    return error.key + ": " + error.what();
  }
}

const std::string kX = "tensor<fp16, [2, 3, 4]> x";

TEST(OpTable, NamesAreUniqueAndFound) {
  for (const OpDefinition& definition : op_definitions()) EXPECT_EQ(find_op(definition.name), &definition);
  EXPECT_EQ(find_op("einsum"), nullptr);
}

TEST(Broadcast, FollowsNumpy) {
  EXPECT_EQ(broadcast({2, 3}, {3}), (Shape{2, 3}));
  EXPECT_EQ(broadcast({1, 3}, {2, 1}), (Shape{2, 3}));
  EXPECT_EQ(broadcast({}, {4}), (Shape{4}));
  EXPECT_THROW(broadcast({2, 3}, {2}), InferenceError);
}

TEST(InferElementwise, ShapesAndTypes) {
  EXPECT_EQ(infer(kX, "add(x = x, y = h)"), "tensor<fp16, [2, 3, 4]>");
  EXPECT_EQ(infer(kX + ", tensor<fp16, [5, 1, 1, 4]> z", "mul(x = x, y = z)"), "tensor<fp16, [5, 2, 3, 4]>");
  EXPECT_EQ(infer(kX + ", tensor<fp16, [3]> z", "mul(x = x, y = z)"), ": shapes [2, 3, 4] and [3] do not broadcast");
  EXPECT_EQ(infer(kX + ", tensor<fp32, [4]> z", "sub(x = x, y = z)"),
            "y: y is tensor<fp32, [4]> but x is tensor<fp16, [2, 3, 4]>: the types of their elements differ");
  EXPECT_EQ(infer("bool x", "pow(x = x, y = x)"), "x: x is bool, expected one of fp16, fp32, int32");
  EXPECT_EQ(infer("int32 x", "exp(x = x)"), "x: x is int32, expected one of fp16, fp32");
  EXPECT_EQ(infer("int32 x", "relu(x = x)"), "int32");
  EXPECT_EQ(infer(kX, "rsqrt(x = x, epsilon = x)"), "epsilon: epsilon of shape [2, 3, 4] has rank 3, expected 0");
  EXPECT_EQ(infer(kX + ", fp16 e", "rsqrt(x = x, epsilon = e)"), "epsilon: epsilon must be a constant");
  EXPECT_EQ(infer(kX, "add(x = x)"), "y: y is missing");
}

TEST(InferElementwise, ResultsBeyondTheElementLimitAreRefused) {
  EXPECT_EQ(infer("tensor<fp16, [1048576, 1]> a, tensor<fp16, [1, 1048577]> b", "add(x = a, y = b)"),
            ": the result of shape [1048576, 1048577] has more than 2^40 elements");
}

TEST(InferSliceBySize, BoundsNegativesAndToTheEnd) {
  const auto slice = [](const std::string& begin, const std::string& size) {
    return infer(kX, "slice_by_size(x = x, begin = b, size = z)", ints("b", begin) + ints("z", size));
  };
  EXPECT_EQ(slice("0, 1, 2", "2, 2, 2"), "tensor<fp16, [2, 2, 2]>");
  EXPECT_EQ(slice("1, -1, -3", "-1, -1, 2"), "tensor<fp16, [1, 1, 2]>");
  EXPECT_EQ(slice("0, 3, 0", "1, 1, 1"), "begin: begin [0, 3, 0] is outside x of shape [2, 3, 4]");
  EXPECT_EQ(slice("-3, 0, 0", "1, 1, 1"), "begin: begin [-3, 0, 0] is outside x of shape [2, 3, 4]");
  EXPECT_EQ(slice("0, 1, 0", "1, 3, 1"), "size: size [1, 3, 1] from begin [0, 1, 0] is outside x of shape [2, 3, 4]");
  EXPECT_EQ(slice("0, 0, 0", "1, 0, 1"), "size: size [1, 0, 1] from begin [0, 0, 0] is outside x of shape [2, 3, 4]");
  EXPECT_EQ(slice("0, 0", "1, 1, 1"), "begin: begin has 2 entries for x of shape [2, 3, 4]");
}

TEST(InferSliceByIndex, FollowsPythonSlices) {
  const auto slice = [](const std::string& begin, const std::string& end, const std::string& stride,
                        const std::string& more = "") {
    return infer("tensor<fp16, [2, 3, 10]> x", "slice_by_index(x = x, begin = b, end = e, stride = st" + more + ")",
                 ints("b", begin) + ints("e", end) + ints("st", stride) +
                     "tensor<bool, [3]> k = const()[val = tensor<bool, [3]>([true, false, true])];");
  };
  EXPECT_EQ(slice("0, 0, 0", "2, 3, 10", "1, 1, 3"), "tensor<fp16, [2, 3, 4]>");
  EXPECT_EQ(slice("0, 0, -4", "2, 3, 99", "1, 2, 1"), "tensor<fp16, [2, 2, 4]>");
  EXPECT_EQ(slice("0, 0, 9", "2, 3, 0", "1, 1, -2"), "tensor<fp16, [2, 3, 5]>");  // 9 7 5 3 1
  EXPECT_EQ(slice("0, 1, 0", "1, -1, 0", "1, 1, 1", ", begin_mask = k, end_mask = k"), "tensor<fp16, [2, 1, 10]>");
  EXPECT_EQ(slice("0, 0, 5", "1, 3, 0", "1, 1, -1", ", end_mask = k"), "tensor<fp16, [2, 3, 6]>");  // 5 4 3 2 1 0
  EXPECT_EQ(slice("-1, 0, 9", "0, 3, 0", "1, 1, 1", ", squeeze_mask = k"), "tensor<fp16, [3]>");
  EXPECT_EQ(slice("0, 0, 10", "0, 3, 0", "1, 1, 1", ", squeeze_mask = k"), "begin: begin 10 is outside rank 10");
  EXPECT_EQ(slice("0, 0, 3", "2, 3, 3", "1, 1, 1"),
            "end: begin [0, 0, 3], end [2, 3, 3], stride [1, 1, 1] take nothing from x of shape [2, 3, 10]");
  EXPECT_EQ(slice("0, 0, 0", "2, 3, 10", "1, 1, 0"), "stride: stride [1, 1, 0] has a zero");
}

TEST(InferReshape, InfersOneCopiesZeroes) {
  const auto reshape = [](const std::string& shape) {
    return infer(kX, "reshape(x = x, shape = z)", ints("z", shape));
  };
  EXPECT_EQ(reshape("6, 4"), "tensor<fp16, [6, 4]>");
  EXPECT_EQ(reshape("4, -1"), "tensor<fp16, [4, 6]>");
  EXPECT_EQ(reshape("0, 0, -1"), "tensor<fp16, [2, 3, 4]>");
  EXPECT_EQ(reshape("5, 5"), "shape: x of shape [2, 3, 4] cannot become [5, 5]: 24 elements, not 25");
  EXPECT_EQ(reshape("-1, 5"), "shape: x of shape [2, 3, 4] cannot become [-1, 5]: the element count is not divisible");
  EXPECT_EQ(reshape("-1, -1"), "shape: x of shape [2, 3, 4] cannot become [-1, -1]: -1 stands there twice");
  EXPECT_EQ(reshape("0, 12"),
            "shape: x of shape [2, 3, 4] cannot become [0, 12]: 0 copies a dimension of x, which needs equal ranks");
  EXPECT_EQ(reshape("-2, -12"), "shape: x of shape [2, 3, 4] cannot become [-2, -12]: a dimension is negative");
  EXPECT_EQ(reshape("2147483647, 2147483647, 2147483647"),
            "shape: x of shape [2, 3, 4] cannot become [2147483647, 2147483647, 2147483647]: there are more than 2^40 "
            "elements");
}

TEST(InferShapes, TransposeExpandSqueeze) {
  const auto with = [](const std::string& call, const std::string& values) {
    return infer("tensor<fp16, [2, 1, 4]> x", call, ints("z", values));
  };
  EXPECT_EQ(with("transpose(x = x, perm = z)", "2, 0, 1"), "tensor<fp16, [4, 2, 1]>");
  EXPECT_EQ(with("transpose(x = x, perm = z)", "0, -1, -2"), "tensor<fp16, [2, 4, 1]>");
  EXPECT_EQ(with("transpose(x = x, perm = z)", "0, 0, 1"), "perm: perm names axis 0 twice");
  EXPECT_EQ(with("transpose(x = x, perm = z)", "0, 1, 3"), "perm: perm 3 is outside rank 3");
  EXPECT_EQ(with("transpose(x = x, perm = z)", "0, 1"), "perm: perm has 2 entries for x of shape [2, 1, 4]");
  EXPECT_EQ(with("expand_dims(x = x, axes = z)", "0, -1"), "tensor<fp16, [1, 2, 1, 4, 1]>");
  EXPECT_EQ(with("expand_dims(x = x, axes = z)", "0, 5"), "axes: axes 5 is outside rank 5");
  EXPECT_EQ(with("squeeze(x = x, axes = z)", "-2"), "tensor<fp16, [2, 4]>");
  EXPECT_EQ(with("squeeze(x = x)", "0"), "tensor<fp16, [2, 4]>");
  EXPECT_EQ(with("squeeze(x = x, axes = z)", "0"), "axes: axis 0 of x of shape [2, 1, 4] is not 1");
}

TEST(InferConcat, JoinsOrInterleaves) {
  const std::string parameters = kX + ", tensor<fp16, [2, 5, 4]> z, tensor<fp32, [2, 3, 4]> w";
  EXPECT_EQ(infer(parameters, "concat(values = (x, z, x), axis = i1)"), "tensor<fp16, [2, 11, 4]>");
  EXPECT_EQ(infer(parameters, "concat(values = (x, x), axis = m1, interleave = t)"), "tensor<fp16, [2, 3, 8]>");
  EXPECT_EQ(infer(parameters, "concat(values = (x, z), axis = i1, interleave = t)"),
            "values: tensor<fp16, [2, 3, 4]> and tensor<fp16, [2, 5, 4]> cannot be interleaved along axis 1");
  EXPECT_EQ(infer(parameters, "concat(values = (x, z), axis = i2)"),
            "values: tensor<fp16, [2, 3, 4]> and tensor<fp16, [2, 5, 4]> cannot be joined along axis 2");
  EXPECT_EQ(infer(parameters, "concat(values = (x, w), axis = i1)"),
            "values: tensor<fp16, [2, 3, 4]> and tensor<fp32, [2, 3, 4]> cannot be joined along axis 1");
  EXPECT_EQ(infer(parameters, "concat(values = (x), axis = i9)"), "axis: axis 9 is outside rank 3");
}

TEST(InferMatmul, BatchesFlagsAndVectors) {
  const auto product = [](const std::string& a, const std::string& b, const std::string& flags = "") {
    return infer("tensor<fp16, [" + a + "]> a, tensor<fp16, [" + b + "]> b", "matmul(x = a, y = b" + flags + ")");
  };
  EXPECT_EQ(product("1, 1, 8, 4", "1, 1, 4, 6"), "tensor<fp16, [1, 1, 8, 6]>");
  EXPECT_EQ(product("1, 3, 8, 4", "2, 1, 6, 4", ", transpose_x = f, transpose_y = t"), "tensor<fp16, [2, 3, 8, 6]>");
  EXPECT_EQ(product("3, 4, 8", "4, 6", ", transpose_x = t"), "tensor<fp16, [3, 8, 6]>");
  EXPECT_EQ(product("4", "3, 4, 6"), "tensor<fp16, [3, 6]>");
  EXPECT_EQ(product("3, 8, 4", "4"), "tensor<fp16, [3, 8]>");
  EXPECT_EQ(product("4", "4"), "fp16");
  EXPECT_EQ(product("8, 4", "6, 4"),
            "y: x of shape [8, 4] and y of shape [6, 4]: the contracted dimensions 4 and 6 differ");
  EXPECT_EQ(product("8, 4", "4, 6", ", transpose_y = t"),
            "y: x of shape [8, 4] and y of shape [4, 6] transposed: the contracted dimensions 4 and 6 differ");
  EXPECT_EQ(product("2, 8, 4", "3, 4, 6"),
            "y: x of shape [2, 8, 4] and y of shape [3, 4, 6]: the batch dimensions do not broadcast");
  EXPECT_EQ(product("4", "4, 6", ", transpose_x = t"), "transpose_x: a vector cannot be transposed");
  EXPECT_EQ(product("4", "4, 6", ", transpose_x = i1"), "transpose_x: transpose_x must be bool, not int32");
  EXPECT_EQ(infer("tensor<fp16, [4, 4]> a, bool c", "matmul(x = a, y = a, transpose_x = c)"),
            "transpose_x: transpose_x must be a constant");
}

TEST(InferConv, PaddingStridesDilationsGroups) {
  const auto conv = [](const std::string& x, const std::string& weight, const std::string& more = "",
                       const std::string& constants = "") {
    return infer("tensor<fp16, [" + x + "]> x, tensor<fp16, [" + weight + "]> w, tensor<fp16, [6]> b",
                 "conv(x = x, weight = w" + more + ")", constants);
  };
  EXPECT_EQ(conv("1, 4, 1, 8", "6, 4, 1, 1", ", bias = b"), "tensor<fp16, [1, 6, 1, 8]>");
  EXPECT_EQ(conv("1, 4, 10", "6, 4, 3"), "tensor<fp16, [1, 6, 8]>");
  EXPECT_EQ(conv("1, 4, 10", "6, 4, 3", ", strides = st, dilations = di", ints("st", "2") + ints("di", "4")),
            "tensor<fp16, [1, 6, 1]>");  // (10 − 9)/2 + 1
  EXPECT_EQ(conv("1, 4, 10", "6, 4, 3", ", pad_type = s, strides = st", ints("st", "3")), "tensor<fp16, [1, 6, 4]>");
  EXPECT_EQ(conv("1, 4, 5, 10", "6, 2, 3, 3", ", pad_type = custom, pad = p, groups = i2", ints("p", "1, 1, 0, 2")),
            "tensor<fp16, [1, 6, 5, 10]>");
  EXPECT_EQ(conv("1, 4, 10", "6, 4, 3", ", pad = p", ints("p", "5, 5")), "tensor<fp16, [1, 6, 8]>");
  EXPECT_EQ(conv("1, 4, 10", "6, 3, 3"),
            "weight: x of shape [1, 4, 10] and weight of shape [6, 3, 3] do not fit in 1 groups");
  EXPECT_EQ(conv("1, 4, 10", "6, 4, 3", ", groups = i9"),
            "groups: x of shape [1, 4, 10] and weight of shape [6, 4, 3] do not fit in 9 groups");
  EXPECT_EQ(conv("1, 4, 2", "6, 4, 3"),
            "weight: x of shape [1, 4, 2] and weight of shape [6, 4, 3]: the kernel is larger than the padded input");
  EXPECT_EQ(conv("1, 4, 10", "5, 4, 3", ", bias = b"), "bias: bias of shape [6], expected [5]");
  EXPECT_EQ(conv("1, 4", "6, 4"), "x: x of shape [1, 4] has rank 2, expected 3 to 5");
  EXPECT_EQ(conv("1, 4, 10", "6, 4, 3, 1"), "weight: weight of shape [6, 4, 3, 1] has rank 4, expected 3");
  EXPECT_EQ(conv("1, 4, 10", "6, 4, 3", ", strides = st", ints("st", "0")),
            "strides: strides is [0], expected 1 numbers of at least 1");
  EXPECT_EQ(conv("1, 4, 10", "6, 4, 3", ", pad_type = int8s"),
            "pad_type: pad_type 'int8' is none of valid, same, same_lower, custom");
  EXPECT_EQ(
      conv("1, 1, 1", "1, 1, 1099511627776", ", dilations = di", ints("di", "2147483647")),
      "weight: x of shape [1, 1, 1] and weight of shape [1, 1, 1099511627776]: the kernel is larger than the padded "
      "input");
}

TEST(InferReduce, AxesAndKeptDimensions) {
  EXPECT_EQ(infer(kX, "reduce_sum(x = x)"), "fp16");
  EXPECT_EQ(infer(kX, "reduce_sum(x = x, keep_dims = t)"), "tensor<fp16, [1, 1, 1]>");
  EXPECT_EQ(infer(kX, "reduce_mean(x = x, axes = z)", ints("z", "0, -1")), "tensor<fp16, [3]>");
  EXPECT_EQ(infer(kX, "reduce_max(x = x, axes = z, keep_dims = t)", ints("z", "1")), "tensor<fp16, [2, 1, 4]>");
  EXPECT_EQ(infer(kX, "reduce_max(x = x, axes = z)", ints("z", "3")), "axes: axes 3 is outside rank 3");
  EXPECT_EQ(infer(kX, "reduce_max(x = x, axes = z)", ints("z", "1, -2")), "axes: axes names axis 1 twice");
  EXPECT_EQ(infer(kX, "softmax(x = x, axis = i2)"), "tensor<fp16, [2, 3, 4]>");
  EXPECT_EQ(infer(kX, "softmax(x = x, axis = i9)"), "axis: axis 9 is outside rank 3");
  EXPECT_EQ(infer("fp16 x", "softmax(x = x)"), "axis: axis -1 is outside rank 0");
}

TEST(InferConversions, CastAndQuantization) {
  const std::string q = "tensor<int8, [2, 3]> q, tensor<fp16, [3]> v, int8 zero, uint8 other, tensor<fp16, [2, 3]> x";
  EXPECT_EQ(infer(q, "cast(x = q, dtype = fp32s)"), "tensor<fp32, [2, 3]>");
  EXPECT_EQ(infer(q, "cast(x = q, dtype = s)"), "dtype: dtype 'same' is none of fp16, fp32, int32, int8, uint8, bool");
  EXPECT_EQ(infer(q, "cast(x = q, dtype = i1)"), "dtype: dtype must be a string, not int32");
  EXPECT_EQ(infer(q, "quantize(input = x, scale = h, output_dtype = int8s, zero_point = zero)"),
            "tensor<int8, [2, 3]>");
  EXPECT_EQ(infer(q, "quantize(input = x, scale = v, output_dtype = int8s, axis = i1)"), "tensor<int8, [2, 3]>");
  EXPECT_EQ(infer(q, "quantize(input = x, scale = v, output_dtype = int8s)"), "axis: axis is missing");
  EXPECT_EQ(infer(q, "quantize(input = x, scale = v, output_dtype = int8s, axis = i0)"),
            "scale: scale of shape [3] along axis 0 of input of shape [2, 3]");
  EXPECT_EQ(infer(q, "quantize(input = x, scale = h, output_dtype = fp32s)"),
            "output_dtype: output_dtype 'fp32' is none of int8, uint8");
  EXPECT_EQ(infer(q, "dequantize(input = q, scale = v, axis = m1)"), "tensor<fp16, [2, 3]>");
  EXPECT_EQ(infer(q, "dequantize(input = q, scale = h, zero_point = other)"),
            "zero_point: zero_point is uint8, but the quantized type is int8");
  EXPECT_EQ(infer(q, "dequantize(input = x, scale = h)"),
            "input: input is tensor<fp16, [2, 3]>, expected one of int8, uint8");
  const auto constexpr_of = [](const std::string& scale, const std::string& axis) {
    const Program program = parse(
        "program(1.3) { func main<ios18>(fp16 x) { fp16 y = constexpr_affine_dequantize()["
        "quantized_data = tensor<int8, [2, 3]>([1, 2, 3, 4, 5, 6]), zero_point = int8(0), scale = " +
            scale + ", axis = int32(" + axis + ")]; } -> (y); }",
        "t");
    const Operation& operation = program.main().operations.back();
    return type_text(find_op(operation.op)->infer(resolve_arguments(program.main(), operation)));
  };
  EXPECT_EQ(constexpr_of("fp32(2)", "0"), "tensor<fp32, [2, 3]>");
  EXPECT_EQ(constexpr_of("tensor<fp16, [3]>([1, 2, 3])", "1"), "tensor<fp16, [2, 3]>");
  EXPECT_THROW(constexpr_of("tensor<fp16, [3]>([1, 2, 3])", "0"), InferenceError);
}

TEST(ConstantArguments, WhatCannotBeReadIsSaid) {
  const auto perm = [](const std::string& constant) { return infer(kX, "transpose(x = x, perm = z)", constant); };
  EXPECT_EQ(perm("tensor<int32, [3]> z = const()[val = tensor<int32, [3]>([0, 1])];"),
            "perm: perm has 2 values for tensor<int32, [3]>");
  EXPECT_EQ(perm("tensor<fp16, [3]> z = const()[val = tensor<fp16, [3]>([0, 1, 2])];"),
            "perm: perm must be int32 numbers, not tensor<fp16, [3]>");
  EXPECT_EQ(perm("tensor<int32, [3]> z = const()[val = tensor<int32, [3]>([0, 1, 0.5])];"),
            "perm: perm holds 0.5, which is no int32");
  EXPECT_EQ(perm("tensor<int32, [3]> z = const()[val = tensor<int32, [3]>(BLOBFILE(path = string(\"a\"), "
                 "offset = uint64(64)))];"),
            "perm: perm must be written in the text, not in a weight file");
  EXPECT_EQ(infer(kX, "transpose(x = x, perm = x)"), "perm: perm must be a constant");
  EXPECT_EQ(infer(kX, "softmax(x = x, axis = z)", ints("z", "0, 1")), "axis: axis must be one number, not 2");
  EXPECT_EQ(infer(kX, "transpose(x = x, perm = gone)"), "perm: 'gone' is not defined");
  EXPECT_EQ(infer(kX, "exp(x = (x, x))"), "x: x takes one value, not 2");
}

TEST(Scopes, FirstMeaningStaysAndLaterOperationsAreOutOfSight) {
  const Program program = parse(
      "program(1.3) { func main<ios18>(fp16 x) { int32 x = const()[val = int32(1)]; fp16 a = exp(x = b)[]; "
      "fp16 b = exp(x = x)[]; } -> (b); }",
      "t");
  const Function& function = program.main();
  Scope scope;
  EXPECT_TRUE(scope.add(function.parameters[0]));
  EXPECT_FALSE(scope.add(function.operations[0]));
  EXPECT_EQ(scope.find("x")->type.dtype, DType::fp16);
  EXPECT_EQ(scope.find("b"), nullptr);
  EXPECT_THROW(resolve_arguments(function, function.operations[1]), InferenceError);
  EXPECT_NO_THROW(resolve_arguments(function, function.operations[2]));
}

}  // namespace
}  // namespace aneval::mil
