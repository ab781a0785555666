// The parts of an error: that they add up, and that what is done to one of them shows in that one.
#include "validate/attribution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ane/emulator/evaluator.h"
#include "ane/mil/text.h"
#include "common/random.h"
#include "validate/emulated_device.h"
#include "validate/faulty_device.h"
#include "validate/kernel_check.h"
#include "validate/plain_arithmetic.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

Case small_case(const std::string& kernel, const std::string& variant = "default", DataKind data = DataKind::random) {
  Case c;
  c.kernel = kernel;
  c.shape = edge_shapes().front();
  c.variant = ane::parse_variant(variant);
  c.data = data;
  return c;
}

std::map<std::string, Attribution> attributions_of(ane::Device& device, const Case& c) {
  KernelChecker checker(options_for(device));
  std::map<std::string, Attribution> by_block;
  const CaseResult result = checker.run(c);
  for (const Attribution& a : result.attributions) by_block[a.block] = a;
  return by_block;
}

TEST(ErrorParts, AddUpToTheTotal) {
  Random random(7, "parts");
  std::vector<float> values(4000);
  random.fill_normal(values, 1.0);
  for (std::size_t i = 0; i + 4 <= values.size(); i += 4) {
    const auto at = [&](std::size_t k) { return static_cast<double>(values[i + k]); };
    const ErrorParts p = error_parts(at(0), at(1), at(1) * 1.001, at(1) * 1.002);
    // Four differences of numbers of size 1, each rounded by at most 2^-52.
    EXPECT_NEAR(p.input + p.constants + p.output_rounding + p.arithmetic, p.total, 0x1p-50 * (1 + std::abs(p.total)));
  }
}

TEST(ErrorParts, AreWhatTheyAreCalled) {
  // 1 is meant, staging makes 1.5 of it, constants 2 + 2^-12 (which fp16 cannot hold), the device 3.
  const ErrorParts p = error_parts(3, 1, 1.5, 2 + 0x1p-12);
  EXPECT_EQ(p.input, 0.5);
  EXPECT_EQ(p.constants, 0.5 + 0x1p-12);
  EXPECT_EQ(p.output_rounding, -0x1p-12);
  EXPECT_EQ(p.arithmetic, 1);
  EXPECT_EQ(p.total, 2);
}

TEST(AttributeBlock, LeavesOutAndCountsWhatIsNotFinite) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> device = {1, inf, nan, 1, 2};
  const std::vector<double> exact = {1, 1, 1, 1, 1}, compiled = {1, 1, 1, 1e6, 1};  // 1e6 rounds to infinity
  const Attribution a = attribute_block(device, exact, exact, compiled);
  EXPECT_EQ(a.left_out, 3);
  EXPECT_EQ(a.total, std::sqrt(0.5));
  EXPECT_EQ(a.arithmetic, std::sqrt(0.5));
  EXPECT_EQ(a.reference, 1);
  const std::vector<float> nothing = {inf, nan};
  const Attribution none = attribute_block(nothing, {exact.data(), 2}, {exact.data(), 2}, {exact.data(), 2});
  EXPECT_EQ(none.left_out, 2);
  EXPECT_EQ(none.total, 0);
  EXPECT_FALSE(none.excess);
}

TEST(AttributeBlock, ExcessIsAgainstTheReferencesOwnRounding) {
  // 1 + 2^-12 and 1 − 2^-13 both lie a quarter of a spacing from 1: half of what a device may be off by at best.
  const std::vector<double> reference = {1 + 0x1p-12, 1 - 0x1p-13};
  const double at_best = std::sqrt((0x1p-24 + 0x1p-26) / 2);
  const std::vector<float> best = {1, 1}, worse = {1 + 0x1p-10F, 1};
  EXPECT_DOUBLE_EQ(attribute_block(best, reference, reference, reference).excess.value(), 1);
  const double off = 0x1p-10 - 0x1p-12;
  EXPECT_DOUBLE_EQ(attribute_block(worse, reference, reference, reference).excess.value(),
                   std::sqrt((off * off + 0x1p-26) / 2) / at_best);
}

TEST(AttributeBlock, AnExactBlockHasNoExcessAndAWrongOneAFiniteOne) {
  const std::vector<double> reference = {1, 2};
  const std::vector<float> right = {1, 2}, wrong = {1, 3};
  EXPECT_FALSE(attribute_block(right, reference, reference, reference).excess);
  EXPECT_DOUBLE_EQ(attribute_block(wrong, reference, reference, reference).excess.value(),
                   std::sqrt(0.5) / (0x1p-24 / std::sqrt(12.0)));
}

// A weight in the wrong orientation or without its slot's factor would make the fp32 reference something else.
TEST(Attribution, TheFp32ReferenceIsCloseUnderEveryVariantOfEveryKernel) {
  const auto device = make_device();
  KernelChecker checker(options_for(*device));
  const auto registry = ane::KernelRegistry::builtin();
  for (const char* variant : {"default", "score_scale=folded", "pad=32", "packing=weights_first", "head_map=cyclic"}) {
    for (const ane::KernelSpec& spec : registry.all()) {
      Case c = small_case(spec.name, variant);
      if (spec.name == "dynMatmul") c.ic = 24, c.oc = 40;
      const CaseResult result = checker.run(c);
      EXPECT_EQ(result.attributions.size(), result.blocks.size()) << spec.name << ' ' << variant;
      for (const Attribution& a : result.attributions) {
        // A dozen roundings of 2^-11, as for a layer.
        EXPECT_LE(a.total, 12 * 0x1p-11 * a.reference) << spec.name << ' ' << variant << ' ' << a.block;
        EXPECT_LE(a.total, a.input + a.constants + a.output_rounding + a.arithmetic + 1e-12);
        EXPECT_GT(a.reference, 0);
        EXPECT_EQ(a.left_out, 0);
      }
    }
  }
}

TEST(Attribution, ConstantsCountOnlyWhereCompilingRoundedThem) {
  const auto device = make_device();
  for (const char* kernel : {"woFwd", "qBwd", "ffnBwdW13t"})
    for (const auto& [block, a] : attributions_of(*device, small_case(kernel))) {
      EXPECT_EQ(a.constants, 0) << kernel;
      EXPECT_GT(a.input, 0) << kernel;
      EXPECT_GT(a.output_rounding, 0) << kernel;
    }
  const auto forward = attributions_of(*device, small_case("sdpaFwd"));
  EXPECT_GT(forward.at("q_rope").constants, 1e-5 * forward.at("q_rope").reference);  // rounded cosines
  EXPECT_LT(forward.at("v").constants, 1e-14);                                       // v meets no constant
}

// Element by element the program without rounding is what the error shadows carry.
TEST(PlainArithmetic, GivesTheValuesOfTheShadows) {
  const auto registry = ane::KernelRegistry::builtin();
  for (const char* variant : {"default", "row_sum=matmul;pad=32"}) {
    for (const ane::KernelSpec& spec : registry.all()) {
      Case c = small_case(spec.name, variant);
      if (spec.name == "dynMatmul") c.ic = 24, c.oc = 40;
      const ane::CompiledKernel kernel = ane::prepare_kernel(spec, kernel_config(c));
      const auto plan = std::make_shared<const emulator::Plan>(
          emulator::make_plan(mil::parse(kernel.program.text, kernel.name), kernel.program.weights, false));
      std::map<std::string, std::vector<double>, std::less<>> compiled;
      for (const emulator::PlanConstant& constant : plan->constants) compiled[constant.identifier] = constant.values;
      emulator::Evaluator<PlainArithmetic> plain(plan, PlainArithmetic(), nullptr);
      emulator::Evaluator<ShadowArithmetic> shadows(plan, ShadowArithmetic(ErrorModel::exact(), compiled), nullptr);
      std::vector<float> values(plain.input(0).size());
      Random(3, spec.name).fill_normal(values, 0.5);
      for (std::size_t i = 0; i < values.size(); ++i)
        plain.input(0)[i] = shadows.input(0)[i].value = static_cast<double>(values[i]);
      plain.run();
      shadows.run();
      for (std::size_t i = 0; i < plain.output(0).size(); ++i)
        ASSERT_NEAR(plain.output(0)[i], shadows.output(0)[i].value, 1e-12) << spec.name << ' ' << variant << ' ' << i;
    }
  }
}

// The same for every function that shadows have a rule for, in kernels or not.
TEST(PlainArithmetic, GivesTheValuesOfTheShadowsForEachFunction) {
  const std::string no = "bool no = const()[name = string(\"no\"), val = bool(false)];\n";
  const std::string axes = "tensor<int32, [1]> ax = const()[name = string(\"ax\"), val = tensor<int32, [1]>([1])];\n";
  std::vector<std::pair<std::string, std::string>> calls;  // operation, shape of the result
  for (const std::string op : {"sigmoid", "tanh", "exp", "sqrt", "rsqrt", "square", "silu", "relu"})
    calls.emplace_back(op + "(x = a)", "[4, 8]");
  for (const std::string op : {"add", "sub", "mul", "real_div", "maximum", "minimum", "pow"})
    calls.emplace_back(op + "(x = a, y = b)", "[4, 8]");
  for (const std::string op : {"reduce_sum", "reduce_mean", "reduce_max"})
    calls.emplace_back(op + "(axes = ax, keep_dims = no, x = a)", "[4]");
  for (const auto& [call, shape] : calls) {
    const std::string text = "program(1.3)\n{ func main<ios18>(tensor<fp16, [4, 8]> a, tensor<fp16, [4, 8]> b) {\n" +
                             (shape == "[4]" ? no + axes : "") + "tensor<fp16, " + shape + "> y = " + call +
                             "[name = string(\"y\")];\n} -> (y); }\n";
    const auto plan = std::make_shared<const emulator::Plan>(emulator::make_plan(mil::parse(text, "test.mil"), {}));
    emulator::Evaluator<PlainArithmetic> plain(plan, PlainArithmetic(), nullptr);
    const std::map<std::string, std::vector<double>, std::less<>> none;
    emulator::Evaluator<ShadowArithmetic> shadows(plan, ShadowArithmetic(ErrorModel::exact(), none), nullptr);
    Random random(7, call);
    for (std::size_t input = 0; input < plan->inputs.size(); ++input)
      for (std::size_t i = 0; i < plain.input(input).size(); ++i)
        plain.input(input)[i] = shadows.input(input)[i].value = 0.1 + 3 * random.uniform();  // roots and powers of it
    plain.run();
    shadows.run();
    for (std::size_t i = 0; i < plain.output(0).size(); ++i)
      ASSERT_NEAR(plain.output(0)[i], shadows.output(0)[i].value, 1e-12) << call << ' ' << i;
  }
}

TEST(Attribution, ExactDataIsExact) {
  const auto device = make_device();
  const auto blocks = attributions_of(*device, small_case("woFwd", "default", DataKind::exact));
  const Attribution& o = blocks.at("o");
  EXPECT_EQ(o.total, 0);
  EXPECT_FALSE(o.excess);
}

TEST(Attribution, WhatADeviceGetsWrongIsItsArithmetic) {
  const auto healthy = make_device();
  const Attribution before = attributions_of(*healthy, small_case("qBwd")).at("dx_q");
  FaultyDevice device(make_device(), [](std::int64_t, std::span<ane::half_t> out) {
    for (ane::half_t& bits : out) bits = ane::to_half(ane::to_float(bits) * 1.125F);
  });
  const Attribution after = attributions_of(device, small_case("qBwd")).at("dx_q");
  EXPECT_EQ(after.input, before.input);
  EXPECT_EQ(after.output_rounding, before.output_rounding);
  EXPECT_NEAR(after.arithmetic, 0.125 * before.reference, 0.01 * before.reference);
  EXPECT_GT(after.excess.value(), 100 * before.excess.value());
}

TEST(Attribution, AWrongProgramIsNotChargedToItsConstants) {
  const auto device = make_device();
  const auto blocks = attributions_of(*device, small_case("sdpaFwd", "head_map=cyclic_fwd"));
  EXPECT_FALSE(blocks.contains("attn"));
  EXPECT_TRUE(blocks.contains("q_rope"));
}

}  // namespace
}  // namespace aneval::validate
