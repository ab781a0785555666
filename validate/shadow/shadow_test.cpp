// The rules of the error shadows, each against what it promises: no perturbation within the operands' bounds may leave
// the result's bound. Perturbations are drawn at random and at the ends of the intervals.
#include "validate/shadow/shadow.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "ane/emulator/evaluator.h"
#include "ane/half.h"
#include "ane/mil/text.h"
#include "common/error.h"
#include "common/random.h"

namespace aneval::validate {
namespace {

using ShadowEvaluator = emulator::Evaluator<ShadowArithmetic>;

const std::map<std::string, std::vector<double>, std::less<>> kNoConstants;

std::shared_ptr<const emulator::Plan> plan_of(const std::string& parameters, const std::string& body) {
  const std::string text = "program(1.3)\n{ func main<ios18>(" + parameters + ") {\n" + body + "} -> (y); }\n";
  return std::make_shared<const emulator::Plan>(emulator::make_plan(mil::parse(text, "test.mil"), {}));
}

std::vector<Shadow> run(const std::shared_ptr<const emulator::Plan>& plan, ErrorModel model,
                        const std::vector<std::vector<Shadow>>& inputs) {
  ShadowEvaluator evaluator(plan, ShadowArithmetic(model, kNoConstants), nullptr);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    std::copy(inputs[i].begin(), inputs[i].end(), evaluator.input(i).begin());
  evaluator.run();
  const auto out = evaluator.output(0);
  return {out.begin(), out.end()};
}

std::vector<Shadow> random_shadows(Random& random, std::size_t n, double sd, double bound) {
  std::vector<Shadow> shadows(n);
  for (Shadow& s : shadows) s = {sd * random.normal(), bound * random.uniform(), false};
  return shadows;
}

/// Moves every value within its bound: to an end half of the time.
std::vector<Shadow> perturbed(Random& random, std::vector<Shadow> shadows) {
  for (Shadow& s : shadows) {
    const double at = random.below(2) == 0 ? (random.below(2) == 0 ? -1.0 : 1.0) : 2 * random.uniform() - 1;
    s = {s.value + at * s.bound, 0, false};
  }
  return shadows;
}

/// Exact arithmetic of perturbed operands stays within the shadow of the unperturbed ones.
void expect_enclosed(const std::string& parameters, const std::string& body, std::vector<std::vector<Shadow>> inputs) {
  const auto plan = plan_of(parameters, body);
  const auto shadows = run(plan, ErrorModel::exact(), inputs);
  Random random(99);
  double reached = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<std::vector<Shadow>> moved;
    for (const auto& input : inputs) moved.push_back(perturbed(random, input));
    const auto values = run(plan, ErrorModel::exact(), moved);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double error = std::abs(values[i].value - shadows[i].value);
      ASSERT_LE(error, shadows[i].bound * (1 + 1e-12) + 1e-300) << "element " << i << " in trial " << trial;
      if (shadows[i].bound > 0) reached = std::max(reached, error / shadows[i].bound);
    }
  }
  EXPECT_GT(reached, 0.2) << "the bound is so loose that it tells nothing";
}

TEST(ShadowRules, ElementwiseOperationsEncloseEveryPerturbation) {
  for (const std::string op : {"add", "sub", "mul", "real_div", "maximum", "minimum"}) {
    Random random(1);
    auto x = random_shadows(random, 64, 2, 0.05), y = random_shadows(random, 64, 2, 0.05);
    if (op == "real_div")
      for (Shadow& s : y) s.value += s.value < 0 ? -1 : 1;  // away from zero
    SCOPED_TRACE(op);
    expect_enclosed("tensor<fp16, [64]> a, tensor<fp16, [64]> b",
                    "tensor<fp16, [64]> y = " + op + "(x = a, y = b)[name = string(\"y\")];\n", {x, y});
  }
}

TEST(ShadowRules, FunctionsEncloseEveryPerturbation) {
  for (const std::string op : {"sigmoid", "tanh", "exp", "sqrt", "rsqrt", "square", "silu", "relu"}) {
    Random random(2);
    auto x = random_shadows(random, 64, 2, 0.05);
    if (op.ends_with("sqrt"))
      for (Shadow& s : x) s.value = std::abs(s.value) + 0.1;
    SCOPED_TRACE(op);
    expect_enclosed("tensor<fp16, [64]> a", "tensor<fp16, [64]> y = " + op + "(x = a)[name = string(\"y\")];\n", {x});
  }
}

TEST(ShadowRules, PowersOfAnExactExponentEncloseEveryPerturbation) {
  Random random(5);
  auto x = random_shadows(random, 64, 2, 0.05), y = random_shadows(random, 64, 1.5, 0);
  for (Shadow& s : x) s.value = std::abs(s.value) + 0.1;
  expect_enclosed("tensor<fp16, [64]> a, tensor<fp16, [64]> b",
                  "tensor<fp16, [64]> y = pow(x = a, y = b)[name = string(\"y\")];\n", {x, y});
}

const std::string kSoftmax =
    "int32 last = const()[name = string(\"last\"), val = int32(-1)];\n"
    "tensor<fp16, [4, 16]> y = softmax(axis = last, x = a)[name = string(\"y\")];\n";

TEST(ShadowRules, SoftmaxEnclosesEveryPerturbation) {
  Random random(3);
  expect_enclosed("tensor<fp16, [4, 16]> a", kSoftmax, {random_shadows(random, 64, 2, 0.1)});
}

TEST(ShadowRules, MatmulAndReduceEncloseEveryPerturbation) {
  Random random(4);
  expect_enclosed(
      "tensor<fp16, [3, 5]> a, tensor<fp16, [5, 4]> b",
      "bool no = const()[name = string(\"no\"), val = bool(false)];\n"
      "tensor<fp16, [3, 4]> y = matmul(transpose_x = no, transpose_y = no, x = a, y = b)[name = string(\"y\")];\n",
      {random_shadows(random, 15, 1, 0.05), random_shadows(random, 20, 1, 0.05)});
  for (const std::string op : {"reduce_sum", "reduce_mean", "reduce_max"}) {
    SCOPED_TRACE(op);
    expect_enclosed("tensor<fp16, [4, 4]> a",
                    "bool no = const()[name = string(\"no\"), val = bool(false)];\n"
                    "tensor<int32, [1]> ax = const()[name = string(\"ax\"), val = tensor<int32, [1]>([1])];\n"
                    "tensor<fp16, [4]> y = " +
                        op + "(axes = ax, keep_dims = no, x = a)[name = string(\"y\")];\n",
                    {random_shadows(random, 16, 1, 0.05)});
  }
}

std::vector<Shadow> ieee(const std::string& parameters, const std::string& body,
                         const std::vector<std::vector<Shadow>>& inputs) {
  return run(plan_of(parameters, body), ErrorModel::of(emulator::find_profile("ieee")), inputs);
}

const std::string kAdd = "tensor<fp16, [1]> y = add(x = a, y = b)[name = string(\"y\")];\n";
const std::string kTwo = "tensor<fp16, [1]> a, tensor<fp16, [1]> b";

// Spacing of fp16 between 2048 and 4096 is 2: an uncertainty of 0.25 cannot move 2050 off its place, and moves 2050.5
// to 2050 only; 2051 ± 0.25 may go both ways.
TEST(Store, RoundsTheEndsOfTheInterval) {
  EXPECT_EQ(ieee(kTwo, kAdd, {{{2048, 0.25, false}}, {{2, 0, false}}}).front().bound, 0);
  EXPECT_EQ(ieee(kTwo, kAdd, {{{2048, 0.25, false}}, {{2.5, 0, false}}}).front().bound, 0.5);
  EXPECT_EQ(ieee(kTwo, kAdd, {{{2048, 0.25, false}}, {{3, 0, false}}}).front().bound, 1);
}

TEST(Store, MarksWhatMayOverflowAndKeepsTheFiniteSide) {
  const Shadow s = ieee(kTwo, kAdd, {{{65000}}, {{520, 8, false}}}).front();
  EXPECT_TRUE(s.plus_infinity);
  EXPECT_LE(s.bound, 32);  // if it stays finite it is within one spacing
  EXPECT_FALSE(ieee(kTwo, kAdd, {{{65000}}, {{500, 8}}}).front().plus_infinity);
}

TEST(Softmax, AScoreThatOverflowsToMinusInfinityIsHarmless) {
  std::vector<Shadow> scores(64, Shadow{});
  scores[1] = {.value = -65520, .bound = 8, .minus_infinity = true};
  const auto p = ieee("tensor<fp16, [4, 16]> a", kSoftmax, {scores});
  EXPECT_FALSE(p[0].plus_infinity);
  EXPECT_EQ(p[1].value, 0);
  EXPECT_EQ(p[1].bound, 0);
  EXPECT_LT(p[0].bound, 1e-4);
  scores[1] = {.value = 65520, .bound = 8, .plus_infinity = true};  // +inf is not
  EXPECT_TRUE(ieee("tensor<fp16, [4, 16]> a", kSoftmax, {scores})[0].plus_infinity);
}

// 1 ± 100 against −30 ± 1: the first is most likely alone, but it may as well be nothing.
TEST(Softmax, AnotherScoreCountsHoweverFarTheOwnIntervalReaches) {
  std::vector<Shadow> scores(64, Shadow{-400, 0});
  scores[0] = {1, 100};
  scores[1] = {-30, 1};
  EXPECT_GT(ieee("tensor<fp16, [4, 16]> a", kSoftmax, {scores})[0].bound, 0.999);
}

TEST(Accumulator, IntegersDoNotRoundAndFractionsDo) {
  const std::string body =
      "bool no = const()[name = string(\"no\"), val = bool(false)];\n"
      "tensor<fp32, [1, 1]> y = matmul(transpose_x = no, transpose_y = no, x = a, y = b)[name = string(\"y\")];\n";
  const std::string parameters = "tensor<fp32, [1, 8]> a, tensor<fp32, [8, 1]> b";
  const std::vector<Shadow> whole(8, Shadow{3, 0}), part(8, Shadow{0.3, 0});
  // An fp32 result is stored with half a unit; what is left above it is the accumulator's share.
  const double store = 72 * 0x1p-24 + 0x1p-149;
  EXPECT_LE(ieee(parameters, body, {whole, whole}).front().bound, store);
  const double sum = 8 * 0.09;
  EXPECT_GT(ieee(parameters, body, {part, part}).front().bound, sum * 7 * 0x1p-24);
}

// Together the two models hold the device, which has the compiled constant, against what was meant.
TEST(Constants, UnknownOriginsAreHalfAUnitOfTheProgramAndKnownOnesTheDevicesError) {
  const auto plan = plan_of("tensor<fp32, [1]> a",
                            "fp32 c = const()[name = string(\"c\"), val = fp32(0x1.554p-2)];\n"
                            "tensor<fp32, [1]> y = mul(x = a, y = c)[name = string(\"y\")];\n");
  const auto fp16_plan = plan_of("tensor<fp16, [1]> a",
                                 "fp16 c = const()[name = string(\"c\"), val = fp16(0x1.554p-2)];\n"
                                 "tensor<fp16, [1]> y = mul(x = a, y = c)[name = string(\"y\")];\n");
  const std::vector<std::vector<Shadow>> one = {{{1, 0, false}}};
  EXPECT_EQ(run(plan, ErrorModel::exact(), one).front().bound, 0);                    // fp32 constants are as meant
  EXPECT_DOUBLE_EQ(run(fp16_plan, ErrorModel::exact(), one).front().bound, 0x1p-13);  // half the spacing at 1/3
  EXPECT_EQ(run(fp16_plan, ErrorModel::of(emulator::find_profile("ieee")), one).front().bound, 0);

  const std::map<std::string, std::vector<double>, std::less<>> known = {{"c", {1.0 / 3}}};
  for (const bool device : {false, true}) {
    const ErrorModel model = device ? ErrorModel::of(emulator::find_profile("ieee")) : ErrorModel::exact();
    ShadowEvaluator evaluator(fp16_plan, ShadowArithmetic(model, known), nullptr);
    evaluator.input(0)[0] = {1, 0, false};
    evaluator.run();
    EXPECT_DOUBLE_EQ(evaluator.output(0)[0].value, 1.0 / 3);
    EXPECT_GE(evaluator.output(0)[0].bound, device ? std::abs(0x1.554p-2 - 1.0 / 3) : 0);
    EXPECT_LE(evaluator.output(0)[0].bound, device ? 0x1p-12 : 0);
  }
}

// Beyond these arguments nothing bounds the result: an error, and no pass. Each stands beside one that is bounded.
TEST(NoBound, ADivisorARootOrAPowerThatMayLeaveItsDomain) {
  const auto reason = [](const std::string& call, Shadow a, Shadow b) -> std::string {
    try {
      (void)ieee(kTwo, "tensor<fp16, [1]> y = " + call + "[name = string(\"y\")];\n", {{a}, {b}});
    } catch (const Error& error) {
      return error.reason();
    }
    return "bounded";
  };
  const Shadow one{1}, half{0.5}, apart{.value = 0.25, .bound = 0.125}, zero{.value = 0.25, .bound = 0.25},
      negative{.value = 0.25, .bound = 0.5};
  EXPECT_EQ(reason("real_div(x = a, y = b)", one, apart), "bounded");
  EXPECT_EQ(reason("real_div(x = a, y = b)", one, zero), "the divisor may be zero");
  EXPECT_EQ(reason("sqrt(x = b)", one, zero), "bounded");
  EXPECT_EQ(reason("sqrt(x = b)", one, negative), "the argument of sqrt may be negative");
  EXPECT_EQ(reason("rsqrt(x = b)", one, apart), "bounded");
  EXPECT_EQ(reason("rsqrt(x = b)", one, zero), "the argument of rsqrt may be zero or negative");
  EXPECT_EQ(reason("pow(x = b, y = a)", half, apart), "bounded");
  EXPECT_EQ(reason("pow(x = b, y = a)", half, zero), "the base of pow may be zero or negative");
  EXPECT_EQ(reason("pow(x = a, y = b)", one, apart), "the exponent of pow is not exact");
}

}  // namespace
}  // namespace aneval::validate
