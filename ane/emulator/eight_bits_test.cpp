// 8-bit numbers in programs: which products are of integers, what they give, what quantize does with ties and what does
// not fit, and what is refused. Readings: M6 study (751K/Apple-Neural-Engine-Microarchitecture-Study-M6),
// data/06_numerics/numerics_i8: quantize → dequantize → conv with constant 8-bit weights on an M6.
#include "ane/emulator/eight_bits.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <span>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/emulator.h"
#include "ane/emulator/plan.h"
#include "ane/mil/text.h"
#include "ane/weight_blob.h"
#include "common/error.h"

namespace aneval::emulator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

StoredTensor stored(const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
  StoredTensor tensor{"F32", shape, std::vector<std::byte>(values.size() * 4)};
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

mil::Program program(const std::string& parameters, const std::string& body) {
  return mil::parse("program(1.3)\n{\n  func main<ios18>(" + parameters + ") {\n" + body + "  } -> (y);\n}\n",
                    "test.mil");
}

std::vector<float> run(const std::string& profile, const std::string& parameters, const std::string& body,
                       const StoredTensors& inputs) {
  const Tensor y = run_program(program(parameters, body), {}, inputs, find_profile(profile), nullptr).at("y");
  return {y.data.begin(), y.data.end()};
}

std::string error_of(const std::string& profile, const std::string& parameters, const std::string& body,
                     const StoredTensors& inputs) {
  try {
    (void)run(profile, parameters, body, inputs);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  }
  return "ran";
}

std::string scalar(const std::string& name, const std::string& type, const std::string& value) {
  return fmt::format("{1} {0} = const()[name = string(\"{0}\"), val = {1}({2})];\n", name, type, value);
}

/// y = conv(dequantize(quantize(x)), w), the same number in every element of a 1x1 conv's weights.
std::string conv_body(std::int64_t channels, const std::string& scale, const std::string& weights,
                      const std::string& zero = "0") {
  return scalar("s", "fp16", scale) + scalar("z", "int8", zero) + scalar("t", "string", "\"int8\"") +
         fmt::format(
             "tensor<int8, [1, {0}, 1, 2]> q = quantize(input = x, scale = s, zero_point = z, output_dtype = t)"
             "[name = string(\"q\")];\n"
             "tensor<fp16, [1, {0}, 1, 2]> d = dequantize(input = q, scale = s, zero_point = z)"
             "[name = string(\"d\")];\n"
             "tensor<fp16, [2, {0}, 1, 1]> w = constexpr_affine_dequantize()[axis = int32(0), name = "
             "string(\"w\"), quantized_data = tensor<int8, [2, {0}, 1, 1]>([{1}]), scale = tensor<fp16, "
             "[2]>([{2}, {2}]), zero_point = int8(0)];\n"
             "tensor<fp16, [1, 2, 1, 2]> y = conv(weight = w, x = d)[name = string(\"y\")];\n",
             channels, weights, scale);
}

std::string repeated(std::int64_t count, const std::string& first, const std::string& second) {
  std::string all;
  for (std::int64_t i = 0; i < count; ++i)
    all += (i == 0 ? "" : ", ") + (2 * (i % (count / 2)) < count / 2 ? first : second);
  return all;
}

std::vector<float> reading(const std::string& profile, std::int64_t channels, int power,
                           const std::string& second = "127") {
  const std::vector<float> x(static_cast<std::size_t>(2 * channels), std::ldexp(127.0F, -power));
  return run(profile, fmt::format("tensor<fp16, [1, {}, 1, 2]> x", channels),
             conv_body(channels, fmt::format("0x1p-{}", power), repeated(2 * channels, "127", second)),
             {{"x", stored({1, channels, 1, 2}, x)}});
}

TEST(EightBits, ReadingsOfAnM6) {
  for (const auto& [channels, power, expected] : {std::tuple{2048, 7, 2016.0F},
                                                  {2080, 7, 2048.0F},
                                                  {2082, 7, 2050.0F},
                                                  {4096, 7, 4032.0F},
                                                  {8192, 7, 8064.0F},
                                                  {16384, 7, 16128.0F},
                                                  {4096, 6, 16128.0F},
                                                  {8192, 6, 32256.0F},
                                                  {8320, 6, 32768.0F},
                                                  {8330, 6, 32800.0F},
                                                  {9000, 6, 35424.0F},
                                                  {12000, 6, 47264.0F},
                                                  {16384, 6, 64512.0F}})
    EXPECT_THAT(reading("h18", channels, power), ElementsAre(expected, expected, expected, expected)) << channels;
  for (const int power : {6, 7}) EXPECT_THAT(reading("h18", 16384, power, "-127"), ElementsAre(0, 0, 0, 0));
}

// (-128)·(-128) 65536 times is 2^30, exact; twice as many are infinite, however small the result is.
TEST(EightBits, SumsHave32Bits) {
  for (const auto& [taps, expected] : {std::pair{1, 16384.0F}, {2, INFINITY}}) {
    const std::int64_t channels = 65536;
    std::string weights = "-128";
    for (std::int64_t i = 1; i < channels * taps; ++i) weights += ", -128";
    const std::string body =
        scalar("s", "fp16", "0x1p-8") + scalar("t", "string", "\"int8\"") +
        fmt::format(
            "tensor<int8, [1, {0}, {1}, 1]> q = quantize(input = x, scale = s, output_dtype = t)[name = "
            "string(\"q\")];\n"
            "tensor<fp16, [1, {0}, {1}, 1]> d = dequantize(input = q, scale = s)[name = string(\"d\")];\n"
            "tensor<fp16, [1, {0}, {1}, 1]> w = constexpr_affine_dequantize()[axis = int32(0), name = "
            "string(\"w\"), quantized_data = tensor<int8, [1, {0}, {1}, 1]>([{2}]), scale = fp16(0x1p-8), "
            "zero_point = int8(0)];\n"
            "tensor<fp16, [1, 1, 1, 1]> y = conv(weight = w, x = d)[name = string(\"y\")];\n",
            channels, taps, weights);
    const std::vector<float> x(static_cast<std::size_t>(channels * taps), -0.5F);
    EXPECT_THAT(run("h18", fmt::format("tensor<fp16, [1, {}, {}, 1]> x", channels, taps), body,
                    {{"x", stored({1, channels, taps, 1}, x)}}),
                ElementsAre(expected));
  }
}

// The same product with a weight of 8 bits alone, or with a zero point, is one of fp16 numbers: infinite from 32768 on.
TEST(EightBits, OnlyTheMeasuredPatternIsAProductOfIntegers) {
  const std::int64_t channels = 16;
  const std::vector<float> x(32, 64);
  const std::string weights = repeated(2 * channels, "64", "64"), parameters = "tensor<fp16, [1, 16, 1, 2]> x";
  const StoredTensors inputs{{"x", stored({1, channels, 1, 2}, x)}};
  const auto y = [&](const std::string& body) { return run("h16", parameters, body, inputs).front(); };
  const std::string both = conv_body(channels, "0x1p0", weights);
  EXPECT_EQ(y(both), INFINITY);  // 65536 is beyond fp16
  const std::string half = conv_body(channels, "0x1p-1", weights);
  EXPECT_EQ(y(half), 32512);  // clipped at 63.5: 127·64·16/4
  std::string weight_only = half;
  weight_only.replace(weight_only.find("x = d)"), 6, "x = x)");
  EXPECT_EQ(y(weight_only), INFINITY);  // 64·32·16 = 32768
  const auto is_integer = [&](const std::string& body) {
    return make_plan(program(parameters, body), {}).steps.back().integers.has_value();
  };
  EXPECT_TRUE(is_integer(half));
  EXPECT_FALSE(is_integer(weight_only));
  EXPECT_FALSE(is_integer(conv_body(channels, "0x1p0", weights, "1")));
  // What nobody reads is gone: the dequantization and the fp16 form of the weight.
  const Plan plan = make_plan(program(parameters, half), {});
  ASSERT_EQ(plan.steps.size(), 2U);
  EXPECT_EQ(plan.steps[0].function, Function::quantize);
  ASSERT_EQ(plan.constants.size(), 1U);
  EXPECT_TRUE(plan.constants[0].integers);
  EXPECT_EQ(plan.constants[0].values[0], 64);
}

std::string matmul_body(const std::string& axis, const std::string& scales, std::int64_t count) {
  return scalar("s", "fp16", "0x1p-2") + scalar("t", "string", "\"int8\"") + scalar("no", "bool", "false") +
         "tensor<int8, [3, 5]> q = quantize(input = a, scale = s, output_dtype = t)[name = string(\"q\")];\n"
         "tensor<fp16, [3, 5]> d = dequantize(input = q, scale = s)[name = string(\"d\")];\n" +
         fmt::format(
             "tensor<fp16, [5, 2]> w = constexpr_affine_dequantize()[axis = int32({}), name = string(\"w\"), "
             "quantized_data = tensor<int8, [5, 2]>([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), scale = tensor<fp16, "
             "[{}]>([{}]), zero_point = int8(0)];\n",
             axis, count, scales) +
         "tensor<fp16, [3, 2]> y = matmul(transpose_x = no, transpose_y = no, x = d, y = w)[name = string(\"y\")];\n";
}

TEST(EightBits, ScalesByOutputAreThoseOfTheirColumns) {
  std::vector<float> a;
  for (int i = 0; i < 15; ++i) a.push_back(0.25F * static_cast<float>(i - 7));
  const auto expected = [&](auto scale) {
    std::vector<float> y;
    for (std::size_t m = 0; m < 3; ++m)
      for (std::size_t n = 0; n < 2; ++n) {
        float sum = 0;
        for (std::size_t k = 0; k < 5; ++k) sum += a[m * 5 + k] * static_cast<float>(2 * k + n + 1) * scale(k, n);
        y.push_back(sum);
      }
    return y;
  };
  const std::string parameters = "tensor<fp16, [3, 5]> a";
  const StoredTensors inputs{{"a", stored({3, 5}, a)}};
  for (const char* profile : {"ieee", "h16", "h18"}) {
    EXPECT_EQ(run(profile, parameters, matmul_body("1", "0x1p0, 0x1p3", 2), inputs),
              expected([](std::size_t, std::size_t n) { return n == 0 ? 1.0F : 8.0F; }));
    // Along the sum they are no factor of it: fp16 numbers are multiplied.
    const std::string along = matmul_body("0", "0x1p0, 0x1p1, 0x1p2, 0x1p0, 0x1p0", 5);
    EXPECT_EQ(run(profile, parameters, along, inputs), expected([](std::size_t k, std::size_t) {
                return k == 1 ? 2.0F : k == 2 ? 4.0F : 1.0F;
              }));
    EXPECT_FALSE(make_plan(program(parameters, along), {}).steps.back().integers.has_value());
  }
}

// 30000 times 127·127, as often its negative, and 1: fp32 would lose the 1, in whatever order.
TEST(EightBits, LongSumsLoseNothing) {
  constexpr std::int64_t kHalf = 30000, kDepth = 2 * kHalf + 1;
  std::vector<float> a(kDepth, 127);
  std::fill(a.begin() + kHalf, a.end(), -127.0F);
  a.back() = 1;
  std::string weights;
  for (std::int64_t k = 0; k + 1 < kDepth; ++k) weights += "127, ";
  const std::string body =
      scalar("s", "fp16", "0x1p0") + scalar("t", "string", "\"int8\"") + scalar("no", "bool", "false") +
      fmt::format(
          "tensor<int8, [1, {0}]> q = quantize(input = a, scale = s, output_dtype = t)[name = string(\"q\")];\n"
          "tensor<fp16, [1, {0}]> d = dequantize(input = q, scale = s)[name = string(\"d\")];\n"
          "tensor<fp16, [{0}, 1]> w = constexpr_affine_dequantize()[axis = int32(0), name = string(\"w\"), "
          "quantized_data = tensor<int8, [{0}, 1]>([{1}1]), scale = fp16(0x1p-8), zero_point = int8(0)];\n"
          "tensor<fp16, [1, 1]> y = matmul(transpose_x = no, transpose_y = no, x = d, y = w)[name = "
          "string(\"y\")];\n",
          kDepth, weights);
  for (const char* profile : {"ieee", "h16"})
    EXPECT_THAT(run(profile, fmt::format("tensor<fp16, [1, {}]> a", kDepth), body, {{"a", stored({1, kDepth}, a)}}),
                ElementsAre(0x1p-8F));
}

std::string there_and_back(const std::string& type, const std::string& scale, const std::string& zero) {
  return scalar("s", "fp16", scale) + scalar("z", type, zero) + scalar("t", "string", "\"" + type + "\"") + "tensor<" +
         type +
         ", [8]> q = quantize(input = a, scale = s, zero_point = z, output_dtype = t)[name = "
         "string(\"q\")];\n"
         "tensor<fp16, [8]> y = dequantize(input = q, scale = s, zero_point = z)[name = string(\"y\")];\n";
}

TEST(EightBits, QuantizeRoundsAsTheProfileDoesAndClips) {
  const StoredTensors inputs{{"a", stored({8}, {0.5F, 1.5F, 2.5F, -0.5F, -2.5F, 127.5F, 500, -500})}};
  const std::string parameters = "tensor<fp16, [8]> a";
  EXPECT_THAT(run("ieee", parameters, there_and_back("int8", "0x1p0", "0"), inputs),
              ElementsAre(0, 2, 2, 0, -2, 127, 127, -128));
  EXPECT_THAT(run("h16", parameters, there_and_back("int8", "0x1p0", "0"), inputs),
              ElementsAre(1, 2, 3, -1, -3, 127, 127, -128));
  EXPECT_THAT(run("h16", parameters, there_and_back("int8", "0x1p1", "-10"), inputs),
              ElementsAre(0, 2, 2, 0, -2, 128, 274, -236));
  EXPECT_THAT(run("h16", parameters, there_and_back("uint8", "0x1p0", "10"), inputs),
              ElementsAre(1, 2, 3, -1, -3, 128, 245, -10));
}

TEST(EightBits, ProfilesWithoutTheRuleAndTensorsOutsideRefuse) {
  const StoredTensors inputs{{"a", stored({8}, std::vector<float>(8, 1))}};
  const std::string body = there_and_back("int8", "0x1p0", "0"), parameters = "tensor<fp16, [8]> a";
  for (const char* profile : {"h13", "h14", "h15"})
    EXPECT_THAT(error_of(profile, parameters, body, inputs), HasSubstr("has no rule for quantize ('q')"));
  EXPECT_THAT(error_of("h13", "tensor<fp16, [3, 5]> a", matmul_body("1", "0x1p0, 0x1p3", 2), inputs),
              HasSubstr("profile h13 has no rule for"));
  EXPECT_THAT(error_of("h16", "tensor<int8, [8]> a",
                       scalar("s", "fp16", "0x1p0") +
                           "tensor<fp16, [8]> y = dequantize(input = a, scale = s)[name = string(\"y\")];\n",
                       inputs),
              HasSubstr("input 'a' of type int8"));
  EXPECT_THAT(error_of("h16", parameters,
                       scalar("s", "fp16", "0x1p0") + scalar("t", "string", "\"int8\"") +
                           "tensor<int8, [8]> y = quantize(input = a, scale = s, output_dtype = t)[name = "
                           "string(\"y\")];\n",
                       inputs),
              HasSubstr("output 'y' of type int8"));
  EXPECT_THAT(error_of("ieee", parameters, there_and_back("int8", "-0x1p0", "0"), inputs), HasSubstr("not positive"));
  EXPECT_THAT(error_of("ieee", "tensor<fp16, [8]> a, fp16 s",
                       scalar("t", "string", "\"int8\"") +
                           "tensor<int8, [8]> q = quantize(input = a, scale = s, output_dtype = t)[name = "
                           "string(\"q\")];\n"
                           "tensor<fp16, [8]> y = dequantize(input = q, scale = s)[name = string(\"y\")];\n",
                       {}),
              HasSubstr("scale must be a constant"));
}

// Scale and zero may lie in a weight file, the scale in fp32 too.
TEST(EightBits, ScalesAndZerosMayComeFromAWeightFile) {
  const float scale = 2;
  const std::uint8_t zero = 10;
  ane::BlobWriter writer;
  const std::uint64_t at_scale = writer.add(ane::BlobType::fp32, std::as_bytes(std::span(&scale, 1))),
                      at_zero = writer.add(ane::BlobType::uint8, std::as_bytes(std::span(&zero, 1)));
  const auto blob = [](const std::string& name, const std::string& type, std::uint64_t offset) {
    return fmt::format(
        "{1} {0} = const()[name = string(\"{0}\"), val = {1}(BLOBFILE(path = string(\"w.bin\"), offset = "
        "uint64({2})))];\n",
        name, type, offset);
  };
  const mil::Program source = program(
      "tensor<fp32, [1, 3]> a", blob("s", "tensor<fp32, [1]>", at_scale) + blob("z", "tensor<uint8, [1]>", at_zero) +
                                    scalar("first", "int32", "0") + scalar("t", "string", "\"uint8\"") +
                                    "tensor<uint8, [1, 3]> q = quantize(input = a, axis = first, scale = s, zero_point "
                                    "= z, output_dtype = t)[name = "
                                    "string(\"q\")];\n"
                                    "tensor<fp32, [1, 3]> y = dequantize(input = q, axis = first, scale = s, "
                                    "zero_point = z)[name = string(\"y\")];\n");
  const StoredTensors inputs{{"a", stored({1, 3}, {4, 1000, -100})}};
  const Tensor y = run_program(source, {{"w.bin", writer.finish()}}, inputs, find_profile("h16"), nullptr).at("y");
  EXPECT_THAT(y.data, ElementsAre(4, 490, -20));  // 0 and 255 of 8 bits
  try {
    (void)run_program(source, {}, inputs, find_profile("h16"), nullptr);
    FAIL() << "ran without its weights";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("names the weight file 'w.bin', which does not exist"));
  }
}

TEST(EightBits, VariantsAskTheProfile) {
  const ane::Variant w8a8{.weights = ane::Weights::w8a8}, int8{.weights = ane::Weights::int8};
  for (const Profile& profile : profiles()) {
    EXPECT_TRUE(has_rules(profile, int8)) << profile.name;
    EXPECT_EQ(has_rules(profile, w8a8), profile.name == "ieee" || profile.name >= "h16") << profile.name;
  }
  try {
    require_rules(w8a8, find_profile("h13"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("profile h13 has no rule eight_bits"));
  }
}

}  // namespace
}  // namespace aneval::emulator
