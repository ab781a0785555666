// Statistics of small programs, counted by hand.
#include "ane/emulator/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ane/mil/text.h"
#include "common/random.h"

namespace aneval::emulator {
namespace {

ProgramStatistics measure(const std::string& profile, const std::string& parameter, const std::string& body,
                          const std::vector<float>& input, ThreadPool* pool = nullptr) {
  const mil::Program program =
      mil::parse("program(1.3)\n{\n  func main<ios18>(" + parameter + ") {\n" + body + "  } -> (y);\n}\n", "test.mil");
  const Profile chip = find_profile(profile);
  const auto plan = std::make_shared<const Plan>(make_plan(program, {}, chip.slice_gain));
  std::vector<ane::half_t> bits(input.size());
  ane::to_half(input.data(), bits.data(), static_cast<std::int64_t>(bits.size()));
  return measure_program(plan, chip, bits, pool);
}

const std::string kFlags =
    "bool no = const()[name = string(\"no\"), val = bool(false)];\n"
    "bool yes = const()[name = string(\"yes\"), val = bool(true)];\n";

/// x [n] as [1, n] times itself as [n, 1].
std::string square(std::size_t n) {
  const std::string size = std::to_string(n);
  return kFlags +
         "tensor<fp16, [1, 1]> y = matmul(transpose_x = no, transpose_y = yes, x = a, y = a)[name = "
         "string(\"y\")];\n";
}

TEST(Statistics, PeakIsOfPartialSumsInOrder) {
  // 128² + 64² − … : the largest partial sum is in the middle.
  const std::string body =
      kFlags +
      "tensor<int32, [2]> b0 = const()[name = string(\"b0\"), val = tensor<int32, [2]>([0, 0])];\n"
      "tensor<int32, [2]> b1 = const()[name = string(\"b1\"), val = tensor<int32, [2]>([0, 3])];\n"
      "tensor<int32, [2]> size = const()[name = string(\"size\"), val = tensor<int32, [2]>([1, 3])];\n"
      "tensor<fp16, [1, 3]> p = slice_by_size(begin = b0, size = size, x = a)[name = string(\"p\")];\n"
      "tensor<fp16, [1, 3]> q = slice_by_size(begin = b1, size = size, x = a)[name = string(\"q\")];\n"
      "tensor<fp16, [1, 1]> y = matmul(transpose_x = no, transpose_y = yes, x = p, y = q)[name = string(\"y\")];\n";
  const ProgramStatistics s = measure("h16", "tensor<fp16, [1, 6]> a", body, {64, 64, -64, 64, 64, 100});
  ASSERT_EQ(s.matmuls.size(), 1U);
  EXPECT_EQ(s.matmuls[0].result, "y");
  EXPECT_EQ(s.matmuls[0].acc_peak, 8192.0 / 32768);
  EXPECT_EQ(s.matmuls[0].headroom(), 2);
  ASSERT_EQ(s.slices.size(), 1U);  // p begins at 0
  EXPECT_EQ(s.slices[0].result, "q");
  EXPECT_EQ(s.slices[0].peak, 100);
  EXPECT_TRUE(s.specials.empty());
}

TEST(Statistics, DroppedPairsAreCountedAmongNonzeroOnes) {
  // Squares of 2^-8 (exponents sum to −16: kept), 2^-9 (−18), a subnormal (−28), 0 (no pair), 1.
  const ProgramStatistics s = measure("h16", "tensor<fp16, [1, 5]> a", square(5), {0x1p-8F, 0x1p-9F, 0x1p-20F, 0, 1});
  EXPECT_EQ(s.matmuls[0].nonzero_pairs, 4);
  EXPECT_EQ(s.matmuls[0].drop_fraction, 0.5);
}

TEST(Statistics, ManyRowsColumnsAndThreadsAgreeWithCounting) {
  const std::int64_t n = 67, k = 90;  // no multiples of a tile
  std::vector<float> a(static_cast<std::size_t>(n * k));
  Random(5).fill_normal(a, 0.02);
  for (float& value : a) value = ane::to_float(ane::to_half(value));
  const std::string body =
      kFlags +
      "tensor<fp16, [67, 67]> y = matmul(transpose_x = no, transpose_y = yes, x = a, y = a)[name = "
      "string(\"y\")];\n";
  ThreadPool pool(2);
  const ProgramStatistics s = measure("h16", "tensor<fp16, [67, 90]> a", body, a, &pool);
  std::int64_t dropped = 0, pairs = 0;
  double peak = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < k; ++l) {
        const double p = static_cast<double>(a[static_cast<std::size_t>(i * k + l)]);
        const double q = static_cast<double>(a[static_cast<std::size_t>(j * k + l)]);
        if (p != 0 && q != 0) {
          ++pairs;
          dropped += std::max(-14, std::ilogb(p)) + std::max(-14, std::ilogb(q)) <= -17 ? 1 : 0;
        }
        sum += p * q;
        peak = std::max(peak, std::abs(sum));
      }
    }
  EXPECT_EQ(s.matmuls[0].nonzero_pairs, pairs);
  EXPECT_DOUBLE_EQ(s.matmuls[0].drop_fraction, static_cast<double>(dropped) / static_cast<double>(pairs));
  EXPECT_GT(dropped, 0);
  EXPECT_NEAR(s.matmuls[0].acc_peak, peak / 32768, 1e-6 * peak / 32768);  // fp32 sums of 90 terms
}

TEST(Statistics, NaNsAndInfinitiesAreCountedWhereTheyAreRead) {
  const std::string body =
      "tensor<fp16, [4]> b = mul(x = a, y = a)[name = string(\"b\")];\n"
      "tensor<fp16, [4]> y = sub(x = b, y = a)[name = string(\"y\")];\n";
  for (const std::string profile : {"ieee", "h16", "h13"}) {
    const ProgramStatistics s = measure(profile, "tensor<fp16, [4]> a", body, {1, 300, INFINITY, NAN});
    ASSERT_EQ(s.specials.size(), 2U) << profile;
    EXPECT_EQ(s.specials[0].result, "b");
    EXPECT_EQ(s.specials[0].nan_count, 2);  // a is both operands
    EXPECT_EQ(s.specials[0].inf_count, 2);
    // 300² and inf² are infinite; a NaN stays one only in IEEE arithmetic.
    EXPECT_EQ(s.specials[1].nan_count, profile == "ieee" ? 2 : 1) << profile;
    EXPECT_EQ(s.specials[1].inf_count, profile == "ieee" ? 3 : 4) << profile;
  }
}

TEST(Statistics, BroadcastElementsCountOnce) {
  // a [3, 2] minus its first column, and times one number: each operand's infinities, not their repetitions.
  const std::string body =
      "tensor<int32, [2]> b = const()[name = string(\"b\"), val = tensor<int32, [2]>([0, 0])];\n"
      "tensor<int32, [2]> s = const()[name = string(\"s\"), val = tensor<int32, [2]>([3, 1])];\n"
      "tensor<int32, [2]> t = const()[name = string(\"t\"), val = tensor<int32, [2]>([1, 1])];\n"
      "tensor<fp16, [3, 1]> column = slice_by_size(begin = b, size = s, x = a)[name = string(\"column\")];\n"
      "tensor<fp16, [1, 1]> first = slice_by_size(begin = b, size = t, x = a)[name = string(\"first\")];\n"
      "tensor<fp16, [3, 2]> d = sub(x = a, y = column)[name = string(\"d\")];\n"
      "tensor<fp16, [3, 2]> y = mul(x = a, y = first)[name = string(\"y\")];\n";
  const ProgramStatistics s = measure("h16", "tensor<fp16, [3, 2]> a", body, {INFINITY, 1, INFINITY, 2, 3, 4});
  ASSERT_EQ(s.specials.size(), 2U);
  EXPECT_EQ(s.specials[0].result, "d");
  EXPECT_EQ(s.specials[0].inf_count, 4);  // two in a, two in the column
  EXPECT_EQ(s.specials[1].result, "y");
  EXPECT_EQ(s.specials[1].inf_count, 3);  // two in a, and the number
}

TEST(Statistics, ConvolutionsCountImagesGroupsAndBias) {
  const std::string body =
      "int32 two = const()[name = string(\"two\"), val = int32(2)];\n"
      "tensor<fp16, [2, 1, 1, 1]> w = const()[name = string(\"w\"), val = tensor<fp16, [2, 1, 1, 1]>([1, 2])];\n"
      "tensor<fp16, [2]> bi = const()[name = string(\"bi\"), val = tensor<fp16, [2]>([100, -4096])];\n"
      "tensor<fp16, [2, 2, 1, 1]> y = conv(bias = bi, groups = two, weight = w, x = a)[name = string(\"y\")];\n";
  const ProgramStatistics s = measure("h16", "tensor<fp16, [2, 2, 1, 1]> a", body, {1, 2, 3, 0});
  ASSERT_EQ(s.matmuls.size(), 1U);
  EXPECT_EQ(s.matmuls[0].nonzero_pairs, 3);
  EXPECT_EQ(s.matmuls[0].acc_peak, 4096.0 / 32768);
}

}  // namespace
}  // namespace aneval::emulator
