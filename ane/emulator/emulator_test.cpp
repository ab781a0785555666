// Operations against results worked out by hand or by a naive loop, fp16 rounding, and the device around them.
#include "ane/emulator/emulator.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "ane/mil/text.h"
#include "common/error.h"
#include "common/random.h"

namespace aneval::emulator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

StoredTensor stored(const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
  StoredTensor tensor{"F32", shape, std::vector<std::byte>(values.size() * 4)};
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

std::string program_text(const std::string& parameters, const std::string& body) {
  return "program(1.3)\n{\n  func main<ios18>(" + parameters + ") {\n" + body + "  } -> (y);\n}\n";
}

std::vector<float> run(const std::string& parameters, const std::string& body, const StoredTensors& inputs,
                       ThreadPool* pool = nullptr) {
  const mil::Program program = mil::parse(program_text(parameters, body), "test.mil");
  const Tensor y = run_program(program, {}, inputs, find_profile("ieee"), pool).at("y");
  return {y.data.begin(), y.data.end()};
}

const char* kFlags =
    "bool yes = const()[name = string(\"yes\"), val = bool(true)];\n"
    "bool no = const()[name = string(\"no\"), val = bool(false)];\n"
    "int32 last = const()[name = string(\"last\"), val = int32(-1)];\n"
    "int32 first = const()[name = string(\"first\"), val = int32(0)];\n"
    "tensor<int32, [1]> rows = const()[name = string(\"rows\"), val = tensor<int32, [1]>([0])];\n";

TEST(Matmul, TransposeFlagsExchangeTheLastTwoAxes) {
  const StoredTensors inputs = {{"a", stored({2, 3}, {1, 2, 3, 4, 5, 6})}, {"b", stored({2, 3}, {1, 0, 1, 0, 1, 0})}};
  const std::string flags = kFlags;
  EXPECT_THAT(run("tensor<fp16, [2, 3]> a, tensor<fp16, [2, 3]> b",
                  flags + "tensor<fp16, [2, 2]> y = matmul(transpose_x = no, transpose_y = yes, x = a, y = b)[name = "
                          "string(\"y\")];\n",
                  inputs),
              ElementsAre(4, 2, 10, 5));
  EXPECT_THAT(run("tensor<fp16, [2, 3]> a, tensor<fp16, [2, 3]> b",
                  flags + "tensor<fp16, [3, 3]> y = matmul(transpose_x = yes, transpose_y = no, x = a, y = b)[name = "
                          "string(\"y\")];\n",
                  inputs),
              ElementsAre(1, 4, 1, 2, 5, 2, 3, 6, 3));
}

TEST(Matmul, VectorsAreARowInFrontAndAColumnBehind) {
  const std::string flags = kFlags;
  const StoredTensors inputs = {{"v", stored({2}, {1, 10})}, {"m", stored({2, 2}, {1, 2, 3, 4})}};
  const std::string parameters = "tensor<fp16, [2]> v, tensor<fp16, [2, 2]> m";
  EXPECT_THAT(run(parameters, flags + "tensor<fp16, [2]> y = matmul(x = v, y = m)[name = string(\"y\")];\n", inputs),
              ElementsAre(31, 42));
  EXPECT_THAT(run(parameters, flags + "tensor<fp16, [2]> y = matmul(x = m, y = v)[name = string(\"y\")];\n", inputs),
              ElementsAre(21, 43));
}

TEST(Matmul, BatchesBroadcast) {
  // [2, 1, 1, 2]·[3, 2, 1]: six products of a row and a column.
  const StoredTensors inputs = {{"a", stored({2, 1, 1, 2}, {1, 2, 3, 4})},
                                {"b", stored({3, 2, 1}, {1, 1, 1, 0, 0, 1})}};
  EXPECT_THAT(run("tensor<fp16, [2, 1, 1, 2]> a, tensor<fp16, [3, 2, 1]> b",
                  std::string(kFlags) + "tensor<fp16, [2, 3, 1, 1]> y = matmul(transpose_x = no, transpose_y = no, x = "
                                        "a, y = b)[name = string(\"y\")];\n",
                  inputs),
              ElementsAre(3, 1, 2, 7, 3, 4));
}

TEST(Matmul, BitsDoNotDependOnTheNumberOfThreads) {
  const std::int64_t m = 70, k = 300, n = 1100;
  std::vector<float> a(static_cast<std::size_t>(m * k)), b(static_cast<std::size_t>(k * n));
  Random(1).fill_normal(a, 1);
  Random(2).fill_normal(b, 1);
  const StoredTensors inputs = {{"a", stored({m, k}, a)}, {"b", stored({k, n}, b)}};
  const std::string body =
      std::string(kFlags) +
      "tensor<fp16, [70, 1100]> y = matmul(transpose_x = no, transpose_y = no, x = a, y = b)[name = string(\"y\")];\n";
  const std::string parameters = "tensor<fp16, [70, 300]> a, tensor<fp16, [300, 1100]> b";
  ThreadPool three(3);
  EXPECT_EQ(run(parameters, body, inputs), run(parameters, body, inputs, &three));
}

// Tall products are cut by rows, wide ones by columns: every element must be computed, once, from its own row and
// column.
TEST(Matmul, TallAndWideProductsAreCutWithoutGaps) {
  for (const auto& [m, n] : {std::pair<std::int64_t, std::int64_t>{1300, 3}, {3, 1300}}) {
    std::vector<float> a(static_cast<std::size_t>(m * 2)), b(static_cast<std::size_t>(2 * n)), expected;
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 31);
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 29);
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        expected.push_back(a[static_cast<std::size_t>(2 * i)] * b[static_cast<std::size_t>(j)] +
                           a[static_cast<std::size_t>(2 * i + 1)] * b[static_cast<std::size_t>(n + j)]);
    const std::string type_a = "tensor<fp16, [" + std::to_string(m) + ", 2]>";
    const std::string type_b = "tensor<fp16, [2, " + std::to_string(n) + "]>";
    const std::string type_y = "tensor<fp16, [" + std::to_string(m) + ", " + std::to_string(n) + "]>";
    EXPECT_EQ(run(type_a + " a, " + type_b + " b",
                  std::string(kFlags) + type_y +
                      " y = matmul(transpose_x = no, transpose_y = no, x = a, y = b)[name = string(\"y\")];\n",
                  {{"a", stored({m, 2}, a)}, {"b", stored({2, n}, b)}}),
              expected);
  }
}

// 2049 lies between 2048 and 2050, 2051 between 2050 and 2052: ties go to the even significand, 2048 and 2052.
TEST(Rounding, ElementwiseResultsRoundToNearestEven) {
  const StoredTensors inputs = {{"a", stored({4}, {2048, 2048, 65504, -65504})}, {"b", stored({4}, {1, 3, 15, -16})}};
  EXPECT_THAT(run("tensor<fp16, [4]> a, tensor<fp16, [4]> b",
                  "tensor<fp16, [4]> y = add(x = a, y = b)[name = string(\"y\")];\n", inputs),
              ElementsAre(2048, 2052, 65504, -INFINITY));
}

TEST(Rounding, InputsOfFp16ParametersAreRoundedAndFp32OnesAreNot) {
  const StoredTensors inputs = {{"a", stored({1}, {2049})}};
  EXPECT_THAT(run("tensor<fp16, [1]> a", "tensor<fp16, [1]> y = add(x = a, y = a)[name = string(\"y\")];\n", inputs),
              ElementsAre(4096));
  EXPECT_THAT(run("tensor<fp32, [1]> a", "tensor<fp32, [1]> y = add(x = a, y = a)[name = string(\"y\")];\n", inputs),
              ElementsAre(4098));
}

TEST(Softmax, RunsAlongAnyAxisAndSurvivesLargeScores) {
  const StoredTensors inputs = {{"a", stored({2, 2}, {1000, 0, 1000, -1000})}};
  EXPECT_THAT(run("tensor<fp16, [2, 2]> a",
                  std::string(kFlags) + "tensor<fp16, [2, 2]> y = softmax(axis = last, x = a)[name = string(\"y\")];\n",
                  inputs),
              ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(
      run("tensor<fp16, [2, 2]> a",
          std::string(kFlags) + "tensor<fp16, [2, 2]> y = softmax(axis = first, x = a)[name = string(\"y\")];\n",
          inputs),
      ElementsAre(0.5, 1, 0.5, 0));
}

TEST(Reduce, KeepsOrDropsTheAxis) {
  const StoredTensors inputs = {{"a", stored({2, 3}, {1, 2, 3, 10, 20, 30})}};
  EXPECT_THAT(
      run("tensor<fp16, [2, 3]> a",
          std::string(kFlags) +
              "tensor<fp16, [1, 3]> y = reduce_sum(axes = rows, keep_dims = yes, x = a)[name = string(\"y\")];\n",
          inputs),
      ElementsAre(11, 22, 33));
  EXPECT_THAT(run("tensor<fp16, [2, 3]> a",
                  std::string(kFlags) +
                      "tensor<fp16, [3]> y = reduce_max(axes = rows, keep_dims = no, x = a)[name = string(\"y\")];\n",
                  inputs),
              ElementsAre(10, 20, 30));
}

TEST(Concat, InterleaveTakesOneFromEachInTurn) {
  const StoredTensors inputs = {{"a", stored({2}, {1, 2})}, {"b", stored({2}, {3, 4})}};
  const std::string parameters = "tensor<fp16, [2]> a, tensor<fp16, [2]> b";
  EXPECT_THAT(
      run(parameters,
          std::string(kFlags) +
              "tensor<fp16, [4]> y = concat(axis = first, interleave = no, values = (a, b))[name = string(\"y\")];\n",
          inputs),
      ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(
      run(parameters,
          std::string(kFlags) +
              "tensor<fp16, [4]> y = concat(axis = first, interleave = yes, values = (a, b))[name = string(\"y\")];\n",
          inputs),
      ElementsAre(1, 3, 2, 4));
}

TEST(Slice, NegativeBeginCountsFromTheEndAndMinusOneTakesTheRest) {
  const std::string body =
      "tensor<int32, [1]> b = const()[name = string(\"b\"), val = tensor<int32, [1]>([-2])];\n"
      "tensor<int32, [1]> s = const()[name = string(\"s\"), val = tensor<int32, [1]>([-1])];\n"
      "tensor<fp16, [2]> y = slice_by_size(begin = b, size = s, x = a)[name = string(\"y\")];\n";
  EXPECT_THAT(run("tensor<fp16, [4]> a", body, {{"a", stored({4}, {1, 2, 3, 4})}}), ElementsAre(3, 4));
}

TEST(Conv, AgreesWithANaiveLoopForPaddingStrideGroupsAndBias) {
  // x [1, 4, 5, 6], weight [6, 2, 3, 2], groups 2, strides (2, 1), dilations (1, 2), pads (1, 0, 0, 1).
  const std::int64_t in_h = 5, in_w = 6, out_h = 2, out_w = 5;
  std::vector<float> x(4 * 30), w(6 * 12), bias = {1, 2, 3, 4, 5, 6};
  Random random(7);
  for (float& value : x) value = static_cast<float>(random.below(9) - 4);
  for (float& value : w) value = static_cast<float>(random.below(9) - 4);
  const std::string body =
      "string pt = const()[name = string(\"pt\"), val = string(\"custom\")];\n"
      "tensor<int32, [2]> st = const()[name = string(\"st\"), val = tensor<int32, [2]>([2, 1])];\n"
      "tensor<int32, [2]> di = const()[name = string(\"di\"), val = tensor<int32, [2]>([1, 2])];\n"
      "tensor<int32, [4]> pd = const()[name = string(\"pd\"), val = tensor<int32, [4]>([1, 0, 0, 1])];\n"
      "int32 gr = const()[name = string(\"gr\"), val = int32(2)];\n"
      "tensor<fp16, [6]> bi = const()[name = string(\"bi\"), val = tensor<fp16, [6]>([1, 2, 3, 4, 5, 6])];\n"
      "tensor<fp16, [1, 6, 2, 5]> y = conv(bias = bi, dilations = di, groups = gr, pad = pd, pad_type = pt, strides = "
      "st, weight = w, x = x)[name = string(\"y\")];\n";
  const auto got = run("tensor<fp16, [1, 4, 5, 6]> x, tensor<fp16, [6, 2, 3, 2]> w", body,
                       {{"x", stored({1, 4, 5, 6}, x)}, {"w", stored({6, 2, 3, 2}, w)}});
  std::vector<float> expected;
  for (std::int64_t o = 0; o < 6; ++o)
    for (std::int64_t r = 0; r < out_h; ++r)
      for (std::int64_t c = 0; c < out_w; ++c) {
        float sum = bias[static_cast<std::size_t>(o)];
        for (std::int64_t i = 0; i < 2; ++i)
          for (std::int64_t kh = 0; kh < 3; ++kh)
            for (std::int64_t kw = 0; kw < 2; ++kw) {
              const std::int64_t h = 2 * r + kh - 1, at = c + 2 * kw;
              if (h < 0 || h >= in_h || at >= in_w) continue;
              sum += x[static_cast<std::size_t>(((o / 3 * 2 + i) * in_h + h) * in_w + at)] *
                     w[static_cast<std::size_t>(((o * 2 + i) * 3 + kh) * 2 + kw)];
            }
        expected.push_back(sum);  // integers below 2048: nothing rounds
      }
  EXPECT_EQ(got, expected);
}

// x 1, 2, … in one row, three taps of 1, stride 3: the four outputs of ten columns need two of padding, of eleven one,
// the three of nine none. The odd one is behind, with same_lower in front.
TEST(Conv, PadsToTheSameSizeAndPutsTheOddColumnWhereItIsTold) {
  const auto run_same = [](const std::string& pad_type, std::int64_t width) {
    std::vector<float> x(static_cast<std::size_t>(width));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i + 1);
    const std::string n = std::to_string(width);
    return run("tensor<fp16, [1, 1, 1, " + n + "]> x, tensor<fp16, [1, 1, 1, 3]> w",
               "string pt = const()[name = string(\"pt\"), val = string(\"" + pad_type +
                   "\")];\n"
                   "tensor<int32, [2]> st = const()[name = string(\"st\"), val = tensor<int32, [2]>([1, 3])];\n"
                   "tensor<fp16, [1, 1, 1, " +
                   std::to_string((width + 2) / 3) +
                   "]> y = conv(pad_type = pt, strides = st, weight = w, x = x)[name = string(\"y\")];\n",
               {{"x", stored({1, 1, 1, width}, x)}, {"w", stored({1, 1, 1, 3}, {1, 1, 1})}});
  };
  EXPECT_THAT(run_same("same", 10), ElementsAre(1 + 2, 3 + 4 + 5, 6 + 7 + 8, 9 + 10));
  EXPECT_THAT(run_same("same_lower", 10), ElementsAre(1 + 2, 3 + 4 + 5, 6 + 7 + 8, 9 + 10));
  EXPECT_THAT(run_same("same", 11), ElementsAre(1 + 2 + 3, 4 + 5 + 6, 7 + 8 + 9, 10 + 11));
  EXPECT_THAT(run_same("same_lower", 11), ElementsAre(1 + 2, 3 + 4 + 5, 6 + 7 + 8, 9 + 10 + 11));
  EXPECT_THAT(run_same("same", 9), ElementsAre(1 + 2 + 3, 4 + 5 + 6, 7 + 8 + 9));
}

TEST(Conv, OfOneDimensionIsRefused) {
  try {
    (void)run("tensor<fp16, [1, 1, 4]> x, tensor<fp16, [1, 1, 3]> w",
              "tensor<fp16, [1, 1, 2]> y = conv(weight = w, x = x)[name = string(\"y\")];\n",
              {{"x", stored({1, 1, 4}, {1, 2, 3, 4})}, {"w", stored({1, 1, 3}, {1, 1, 1})}});
    FAIL() << "ran a conv it has no rule for";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("test.mil:4:"));
    EXPECT_THAT(error.what(), HasSubstr("[N, C, H, W]"));
  }
}

// The packed tensor [1, 4, 1, 21] holds x in columns 0 to 14 and the weight in the six behind: parts of rows, turned or
// split into windows. Pixels of a view may lie apart, in order or not.
TEST(Conv, TakesWeightsAndImagesThatAreViewsOfOneTensor) {
  std::vector<float> packed(4 * 21);
  Random random(8);
  for (float& value : packed) value = static_cast<float>(random.below(9) - 4);
  const auto at = [&](std::int64_t row, std::int64_t column) {
    return packed[static_cast<std::size_t>(row * 21 + column)];
  };
  const std::string begin =
      "tensor<int32, [4]> b0 = const()[name = string(\"b0\"), val = tensor<int32, [4]>([0, 0, 0, 0])];\n"
      "tensor<int32, [4]> s0 = const()[name = string(\"s0\"), val = tensor<int32, [4]>([1, 4, 1, 15])];\n"
      "tensor<int32, [4]> b1 = const()[name = string(\"b1\"), val = tensor<int32, [4]>([0, 0, 0, 15])];\n"
      "tensor<int32, [4]> s1 = const()[name = string(\"s1\"), val = tensor<int32, [4]>([1, 4, 1, 6])];\n"
      "tensor<int32, [4]> swap = const()[name = string(\"swap\"), val = tensor<int32, [4]>([0, 1, 3, 2])];\n"
      "tensor<int32, [4]> front = const()[name = string(\"front\"), val = tensor<int32, [4]>([3, 1, 0, 2])];\n"
      "tensor<int32, [4]> image = const()[name = string(\"image\"), val = tensor<int32, [4]>([1, 4, 5, 3])];\n"
      "tensor<int32, [4]> window = const()[name = string(\"window\"), val = tensor<int32, [4]>([4, 1, 3, 2])];\n"
      "tensor<int32, [4]> window2 = const()[name = string(\"window2\"), val = tensor<int32, [4]>([4, 1, 2, 3])];\n"
      "int32 four = const()[name = string(\"four\"), val = int32(4)];\n"
      "tensor<fp16, [1, 4, 1, 15]> flat = slice_by_size(begin = b0, size = s0, x = p)[name = string(\"flat\")];\n"
      "tensor<fp16, [1, 4, 1, 6]> w = slice_by_size(begin = b1, size = s1, x = p)[name = string(\"w\")];\n"
      "tensor<fp16, [1, 4, 5, 3]> a = reshape(shape = image, x = flat)[name = string(\"a\")];\n"
      "tensor<fp16, [1, 4, 3, 5]> at = transpose(perm = swap, x = a)[name = string(\"at\")];\n";
  const auto run_on = [&](const std::string& body) {
    return run("tensor<fp16, [1, 4, 1, 21]> p", begin + body, {{"p", stored({1, 4, 1, 21}, packed)}});
  };
  // 1x1, six filters of four channels: column n of the part is filter n.
  const std::string filters = "tensor<fp16, [6, 4, 1, 1]> f = transpose(perm = front, x = w)[name = string(\"f\")];\n";
  const auto one = [&](std::int64_t filter, std::int64_t pixel) {
    float sum = 0;
    for (std::int64_t c = 0; c < 4; ++c) sum += at(c, 15 + filter) * at(c, pixel);
    return sum;
  };
  std::vector<float> in_order, turned;
  for (std::int64_t n = 0; n < 6; ++n) {
    for (std::int64_t pixel = 0; pixel < 15; ++pixel) in_order.push_back(one(n, pixel));
    for (std::int64_t row = 0; row < 3; ++row)
      for (std::int64_t column = 0; column < 5; ++column) turned.push_back(one(n, column * 3 + row));
  }
  EXPECT_EQ(run_on(filters + "tensor<fp16, [1, 6, 1, 15]> y = conv(weight = f, x = flat)[name = string(\"y\")];\n"),
            in_order);
  EXPECT_EQ(run_on(filters + "tensor<fp16, [1, 6, 5, 3]> y = conv(weight = f, x = a)[name = string(\"y\")];\n"),
            in_order);
  EXPECT_EQ(run_on(filters + "tensor<fp16, [1, 6, 3, 5]> y = conv(weight = f, x = at)[name = string(\"y\")];\n"),
            turned);
  // Four groups of one channel, windows of 3 x 2: rows of the part as they lie, and turned, which takes a copy.
  const auto windows = [&](bool transposed) {
    std::vector<float> expected;
    for (std::int64_t c = 0; c < 4; ++c)
      for (std::int64_t row = 0; row < 3; ++row)
        for (std::int64_t column = 0; column < 2; ++column) {
          float sum = 0;
          for (std::int64_t i = 0; i < 3; ++i)
            for (std::int64_t j = 0; j < 2; ++j)
              sum += at(c, 15 + (transposed ? 3 * j + i : 2 * i + j)) * at(c, (row + i) * 3 + column + j);
          expected.push_back(sum);
        }
    return expected;
  };
  EXPECT_EQ(run_on("tensor<fp16, [4, 1, 3, 2]> k = reshape(shape = window, x = w)[name = string(\"k\")];\n"
                   "tensor<fp16, [1, 4, 3, 2]> y = conv(groups = four, weight = k, x = a)[name = string(\"y\")];\n"),
            windows(false));
  EXPECT_EQ(run_on("tensor<fp16, [4, 1, 2, 3]> k = reshape(shape = window2, x = w)[name = string(\"k\")];\n"
                   "tensor<fp16, [4, 1, 3, 2]> kt = transpose(perm = swap, x = k)[name = string(\"kt\")];\n"
                   "tensor<fp16, [1, 4, 3, 2]> y = conv(groups = four, weight = kt, x = a)[name = string(\"y\")];\n"),
            windows(true));
}

TEST(Program, AnOperationWithoutARuleIsNamedWithItsPlace) {
  const std::string body =
      "tensor<int32, [1]> b = const()[name = string(\"b\"), val = tensor<int32, [1]>([0])];\n"
      "tensor<bool, [1]> m = const()[name = string(\"m\"), val = tensor<bool, [1]>([true])];\n"
      "tensor<fp16, [4]> y = slice_by_index(x = a, begin = b, end = e, begin_mask = m)[name = string(\"y\")];\n";
  try {
    (void)run("tensor<fp16, [4]> a",
              "tensor<int32, [1]> e = const()[name = string(\"e\"), val = tensor<int32, [1]>([4])];\n" + body,
              {{"a", stored({4}, {1, 2, 3, 4})}});
    FAIL() << "ran an operation it has no rule for";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("slice_by_index"));
    EXPECT_THAT(error.subject(), HasSubstr("test.mil:7:"));
  }
}

TEST(Program, MissingAndMisshapenInputsAreNamed) {
  const std::string body = "tensor<fp16, [4]> y = add(x = a, y = a)[name = string(\"y\")];\n";
  for (const StoredTensors& inputs : {StoredTensors{}, StoredTensors{{"a", stored({2, 2}, {1, 2, 3, 4})}}}) {
    try {
      (void)run("tensor<fp16, [4]> a", body, inputs);
      FAIL() << "ran without its input";
    } catch (const Error& error) {
      EXPECT_THAT(error.subject(), HasSubstr("'a'"));
    }
  }
}

class EmulatorDevice : public ::testing::Test {
 protected:
  static ane::ProgramSource source() {
    return {"double",
            program_text("tensor<fp16, [1, 4, 1, 8]> x",
                         "tensor<fp16, [1, 4, 1, 8]> y = add(x = x, y = x)[name = string(\"y\")];\n"),
            {},
            64,
            64};
  }
  std::unique_ptr<ane::Device> device_ = make_emulator({});
};

TEST_F(EmulatorDevice, EvaluatesOnItsOwnAndOnOtherSurfacesAndCounts) {
  auto executable = device_->compile(source());
  device_->load(*executable);
  const auto input = device_->create_surface(64), other = device_->create_surface(64);
  const auto output = device_->create_surface(64);
  const auto request = device_->make_request(executable, input, output);
  const auto second = device_->make_request(executable, other, output);
  {
    ane::WriteLock(*input).halves()[3] = ane::to_half(1.5F);
  }
  {
    ane::WriteLock(*other).halves()[3] = ane::to_half(-2.0F);
  }
  device_->evaluate(*request);
  {
    EXPECT_EQ(ane::to_float(ane::ReadLock(*output).halves()[3]), 3.0F);
  }
  device_->evaluate(*second);
  {
    EXPECT_EQ(ane::to_float(ane::ReadLock(*output).halves()[3]), -4.0F);
  }
  const ane::DeviceCounters counters = device_->counters();
  EXPECT_EQ(counters.compile_attempts, 1);
  EXPECT_EQ(counters.compile_failures, 0);
  EXPECT_EQ(counters.loads, 1);
  EXPECT_EQ(counters.evaluations, 2);
  EXPECT_EQ(counters.surfaces, 3);
  EXPECT_EQ(counters.surface_bytes, 192);
}

TEST_F(EmulatorDevice, FailedCompilesCountAndTheLimitRefusesBeforeTheBackendIsAsked) {
  EmulatorOptions options;
  options.compile_limit = 2;
  device_ = make_emulator(options);
  ane::ProgramSource broken = source();
  broken.mil = "program(1.3) {";
  EXPECT_THROW((void)device_->compile(broken), Error);
  (void)device_->compile(source());
  try {
    (void)device_->compile(source());
    FAIL() << "compiled beyond the limit";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::refused);
    EXPECT_THAT(error.what(), HasSubstr("double"));
  }
  EXPECT_EQ(device_->counters().compile_attempts, 2);
  EXPECT_EQ(device_->counters().compile_failures, 1);
}

TEST_F(EmulatorDevice, RefusesSurfacesAndLayoutsThatDoNotFitTheProgram) {
  auto executable = device_->compile(source());
  device_->load(*executable);
  const auto small = device_->create_surface(32), right = device_->create_surface(64);
  EXPECT_THROW((void)device_->make_request(executable, small, right), Error);
  EXPECT_THROW((void)device_->make_request(executable, right, small), Error);
  ane::ProgramSource wrong = source();
  wrong.input_bytes = 128;
  EXPECT_THROW((void)device_->compile(wrong), Error);
}

TEST_F(EmulatorDevice, EvaluatingBeforeLoadIsAMistakeOfTheCaller) {
  auto executable = device_->compile(source());
  const auto surface = device_->create_surface(64), output = device_->create_surface(64);
  const auto request = device_->make_request(executable, surface, output);
  EXPECT_THROW(device_->evaluate(*request), std::logic_error);
}

TEST_F(EmulatorDevice, HashFollowsTextAndWeights) {
  ane::WeightFiles weights;
  const std::string empty = ane::program_hash("text", weights);
  weights["w"] = {std::byte{1}};
  EXPECT_NE(ane::program_hash("text", weights), empty);
  EXPECT_NE(ane::program_hash("texts", {}), empty);
  EXPECT_EQ(ane::program_hash("text", {}), empty);
}

}  // namespace
}  // namespace aneval::emulator
