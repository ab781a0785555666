// Programs and comparisons that several tests of this folder use.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "ane/mil/program.h"

namespace aneval::mil::testing {

/// Every operation of the table once, with types that follow from its arguments. Needs no weight files.
inline constexpr std::string_view kAllOperations = R"(program(1.3)
[buildInfo = dict<string, string>({{"coremlc-component-MIL", "3510.2.1"}, {"coremltools-version", "9.0"}})]
{
    func main<ios18>(tensor<fp16, [1, 4, 1, 8]> x) {
        bool bF = const()[name = string("bF"), val = bool(false)];
        bool bT = const()[name = string("bT"), val = bool(true)];
        fp16 half = const()[name = string("half"), val = fp16(0x1p-1)];
        fp16 neg = const()[name = string("neg"), val = fp16(-0x1.ffcp+15)];
        int32 last = const()[name = string("last"), val = int32(-1)];
        int32 one = const()[name = string("one"), val = int32(1)];
        int8 zero = const()[name = string("zero"), val = int8(0)];
        string i8 = const()[name = string("i8"), val = string("int8")];
        string f32 = const()[name = string("f32"), val = string("fp32")];
        string valid = const()[name = string("valid"), val = string("valid")];
        tensor<int32, [4]> b0 = const()[name = string("b0"), val = tensor<int32, [4]>([0, 0, 0, 4])];
        tensor<int32, [4]> s0 = const()[name = string("s0"), val = tensor<int32, [4]>([1, -1, 1, 4])];
        tensor<fp16, [1, 4, 1, 4]> a = slice_by_size(x = x, begin = b0, size = s0)[name = string("a")];
        tensor<int32, [4]> e0 = const()[name = string("e0"), val = tensor<int32, [4]>([1, 4, 1, 8])];
        tensor<int32, [4]> st = const()[name = string("st"), val = tensor<int32, [4]>([1, 1, 1, 2])];
        tensor<bool, [4]> sq = const()[name = string("sq"), val = tensor<bool, [4]>([true, false, false, false])];
        tensor<fp16, [4, 1, 2]> i = slice_by_index(x = x, begin = b0, end = e0, stride = st, squeeze_mask = sq)[name = string("i")];
        tensor<int32, [4]> rs = const()[name = string("rs"), val = tensor<int32, [4]>([1, 1, 4, 4])];
        tensor<fp16, [1, 1, 4, 4]> r = reshape(x = a, shape = rs)[name = string("r")];
        tensor<int32, [4]> pm = const()[name = string("pm"), val = tensor<int32, [4]>([0, 1, 3, 2])];
        tensor<fp16, [1, 1, 4, 4]> t = transpose(x = r, perm = pm)[name = string("t")];
        tensor<int32, [1]> ax = const()[name = string("ax"), val = tensor<int32, [1]>([0])];
        tensor<fp16, [1, 4, 1, 2]> ed = expand_dims(x = i, axes = ax)[name = string("ed")];
        tensor<fp16, [4, 1, 2]> sz = squeeze(x = ed, axes = ax)[name = string("sz")];
        tensor<fp16, [1, 1, 4, 8]> ct = concat(axis = last, interleave = bF, values = (r, t))[name = string("ct")];
        tensor<fp16, [1, 1, 4, 4]> mm = matmul(transpose_x = bF, transpose_y = bT, x = r, y = t)[name = string("mm")];
        tensor<fp16, [2, 4, 1, 1]> w = const()[name = string("w"), val = tensor<fp16, [2, 4, 1, 1]>([0x1p+0, 0x0p+0, -0x1p+0, 0x1.8p+1, 0x1p-24, 0x1p-14, 0x1.ffcp+15, 0x1.554p-2])];
        tensor<fp16, [2, 4, 1, 1]> wb = const()[name = string("wb"), val = tensor<fp16, [2, 4, 1, 1]>(BLOBFILE(path = string("@model_path/weights/w.bin"), offset = uint64(64)))];
        tensor<fp16, [1, 2, 1, 4]> cv = conv(x = a, weight = w, pad_type = valid, groups = one)[name = string("cv")];
        tensor<fp16, [1, 1, 4, 4]> ad = add(x = r, y = half)[name = string("ad")];
        tensor<fp16, [1, 1, 4, 4]> sb = sub(x = r, y = t)[name = string("sb")];
        tensor<fp16, [1, 1, 4, 4]> ml = mul(x = r, y = t)[name = string("ml")];
        tensor<fp16, [1, 1, 4, 4]> dv = real_div(x = r, y = half)[name = string("dv")];
        tensor<fp16, [1, 1, 4, 4]> mx = maximum(x = r, y = neg)[name = string("mx")];
        tensor<fp16, [1, 1, 4, 4]> mn = minimum(x = r, y = half)[name = string("mn")];
        tensor<fp16, [1, 1, 4, 4]> pw = pow(x = r, y = half)[name = string("pw")];
        tensor<fp16, [1, 1, 4, 4]> sm = softmax(axis = last, x = r)[name = string("sm")];
        tensor<fp16, [1, 1, 4, 4]> sg = sigmoid(x = r)[name = string("sg")];
        tensor<fp16, [1, 1, 4, 4]> th = tanh(x = r)[name = string("th")];
        tensor<fp16, [1, 1, 4, 4]> ex = exp(x = r)[name = string("ex")];
        tensor<fp16, [1, 1, 4, 4]> sr = sqrt(x = r)[name = string("sr")];
        tensor<fp16, [1, 1, 4, 4]> rq = rsqrt(x = r, epsilon = half)[name = string("rq")];
        tensor<fp16, [1, 1, 4, 4]> sy = square(x = r)[name = string("sy")];
        tensor<fp16, [1, 1, 4, 4]> sl = silu(x = r)[name = string("sl")];
        tensor<fp16, [1, 1, 4, 4]> re = relu(x = r)[name = string("re")];
        tensor<int32, [1]> la = const()[name = string("la"), val = tensor<int32, [1]>([-1])];
        tensor<fp16, [1, 1, 4, 1]> su = reduce_sum(x = r, axes = la, keep_dims = bT)[name = string("su")];
        tensor<fp16, [1, 1, 4]> me = reduce_mean(x = r, axes = la, keep_dims = bF)[name = string("me")];
        fp16 ma = reduce_max(x = r)[name = string("ma")];
        tensor<fp32, [1, 1, 4, 4]> ca = cast(x = r, dtype = f32)[name = string("ca")];
        tensor<int8, [1, 1, 4, 4]> qu = quantize(input = r, scale = half, zero_point = zero, output_dtype = i8)[name = string("qu")];
        tensor<fp16, [1, 1, 4, 4]> dq = dequantize(input = qu, scale = half, zero_point = zero)[name = string("dq")];
        tensor<fp16, [2, 2]> cd = constexpr_affine_dequantize()[axis = int32(0), name = string("cd"), quantized_data = tensor<int8, [2, 2]>([1, -2, 127, -128]), scale = tensor<fp16, [2]>([0x1p-1, 0x1p-2]), zero_point = int8(3)];
    } -> (mm, cv);
}
)";

/// Equal up to locations and file name.
inline bool same(const Operation& a, const Operation& b) {
  const auto argument = [](const Argument& x, const Argument& y) {
    return x.key == y.key && x.values == y.values && x.tuple == y.tuple;
  };
  const auto attribute = [](const Attribute& x, const Attribute& y) {
    return x.key == y.key && x.literal == y.literal;
  };
  return a.op == b.op && a.result == b.result && a.type == b.type &&
         std::equal(a.arguments.begin(), a.arguments.end(), b.arguments.begin(), b.arguments.end(), argument) &&
         std::equal(a.attributes.begin(), a.attributes.end(), b.attributes.begin(), b.attributes.end(), attribute);
}

inline bool same(const Function& a, const Function& b) {
  const auto parameter = [](const Parameter& x, const Parameter& y) { return x.name == y.name && x.type == y.type; };
  return a.name == b.name && a.opset == b.opset && a.results == b.results &&
         std::equal(a.parameters.begin(), a.parameters.end(), b.parameters.begin(), b.parameters.end(), parameter) &&
         std::equal(a.operations.begin(), a.operations.end(), b.operations.begin(), b.operations.end(),
                    [](const Operation& x, const Operation& y) { return same(x, y); });
}

inline bool same(const Program& a, const Program& b) {
  return a.version == b.version && a.build_info == b.build_info &&
         std::equal(a.functions.begin(), a.functions.end(), b.functions.begin(), b.functions.end(),
                    [](const Function& x, const Function& y) { return same(x, y); });
}

}  // namespace aneval::mil::testing
