// Each rule of the profiles, seen through a program: what tells one chip from another.
#include "ane/emulator/profile.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <set>

#include "ane/emulator/emulator.h"
#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::emulator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string> kChips = {"h13", "h14", "h15", "h16", "h17", "h18"};
const std::vector<std::string> kFixedPoint = {"h15", "h16", "h17", "h18"};

StoredTensor stored(const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
  StoredTensor tensor{"F32", shape, std::vector<std::byte>(values.size() * 4)};
  std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

std::vector<float> run(const std::string& profile, const std::string& parameters, const std::string& body,
                       const StoredTensors& inputs) {
  const mil::Program program =
      mil::parse("program(1.3)\n{\n  func main<ios18>(" + parameters + ") {\n" + body + "  } -> (y);\n}\n", "test.mil");
  const Tensor y = run_program(program, {}, inputs, find_profile(profile), nullptr).at("y");
  return {y.data.begin(), y.data.end()};
}

std::string vector_type(std::size_t n) { return "tensor<fp16, [" + std::to_string(n) + "]>"; }

std::vector<float> binary(const std::string& profile, const std::string& op, const std::vector<float>& a,
                          const std::vector<float>& b) {
  const auto n = static_cast<std::int64_t>(a.size());
  const std::string type = vector_type(a.size());
  return run(profile, type + " a, " + type + " b", type + " y = " + op + "(x = a, y = b)[name = string(\"y\")];\n",
             {{"a", stored({n}, a)}, {"b", stored({n}, b)}});
}

float sum(const std::string& profile, const std::vector<float>& values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return run(profile, vector_type(values.size()) + " a",
             "bool yes = const()[name = string(\"yes\"), val = bool(true)];\n"
             "tensor<int32, [1]> axes = const()[name = string(\"axes\"), val = tensor<int32, [1]>([0])];\n"
             "tensor<fp16, [1]> y = reduce_sum(axes = axes, keep_dims = yes, x = a)[name = string(\"y\")];\n",
             {{"a", stored({n}, values)}})
      .front();
}

float dot(const std::string& profile, const std::vector<float>& a, const std::vector<float>& b) {
  const auto k = static_cast<std::int64_t>(a.size());
  const std::string size = std::to_string(k);
  return run(profile, "tensor<fp16, [1, " + size + "]> a, tensor<fp16, [" + size + ", 1]> b",
             "bool no = const()[name = string(\"no\"), val = bool(false)];\n"
             "tensor<fp16, [1, 1]> y = matmul(transpose_x = no, transpose_y = no, x = a, y = b)[name = "
             "string(\"y\")];\n",
             {{"a", stored({1, k}, a)}, {"b", stored({k, 1}, b)}})
      .front();
}

TEST(Profile, TiesOfElementwiseResults) {
  for (const std::string name : {"ieee", "h13", "h14"})
    EXPECT_THAT(binary(name, "add", {2048}, {1}), ElementsAre(2048)) << name;
  for (const std::string& name : kFixedPoint) EXPECT_THAT(binary(name, "add", {2048}, {1}), ElementsAre(2050)) << name;
}

TEST(Profile, InfinitiesAndNaNsAreNumbersOfTheChips) {
  EXPECT_TRUE(std::isnan(binary("ieee", "sub", {INFINITY}, {INFINITY}).front()));
  EXPECT_TRUE(std::isnan(binary("ieee", "mul", {INFINITY}, {0}).front()));
  for (const std::string& name : kChips) {
    EXPECT_THAT(binary(name, "sub", {INFINITY, NAN, -INFINITY}, {INFINITY, 1, 0}), ElementsAre(0, INFINITY, -INFINITY))
        << name;
    EXPECT_THAT(binary(name, "mul", {INFINITY, INFINITY}, {0, 0.25}), ElementsAre(0, 16384)) << name;
    EXPECT_EQ(dot(name, {INFINITY}, {1}), INFINITY) << name;
    EXPECT_EQ(dot(name, {INFINITY}, {0.25}), 16384) << name;
  }
}

TEST(Profile, MinusZeroBecomesPlusZero) {
  EXPECT_TRUE(std::signbit(binary("ieee", "mul", {-1}, {0}).front()));
  for (const std::string& name : kChips) {
    EXPECT_FALSE(std::signbit(binary(name, "mul", {-1}, {0}).front())) << name;
    EXPECT_FALSE(std::signbit(dot(name, {-1}, {0}))) << name;
  }
}

TEST(Profile, AccumulatorsOverflowAt32768AndFixedPointStaysThere) {
  EXPECT_EQ(dot("ieee", {16384, 16384}, {1, 1}), 32768);
  for (const std::string& name : kChips) EXPECT_EQ(dot(name, {16384, 16384}, {1, 1}), INFINITY) << name;
  for (const std::string& name : kFixedPoint) EXPECT_EQ(dot(name, {16384, 16384, -16384}, {1, 1, 1}), INFINITY) << name;
  EXPECT_EQ(dot("h13", {16384, 16384, -16384}, {1, 1, 1}), 16384);  // only what comes out counts
}

TEST(Profile, SmallProductsAreDroppedFlushedOrKept) {
  // 2^-9·2^-8: exponents sum to −17. 1.5·2^-15 is subnormal.
  EXPECT_EQ(dot("ieee", {0x1p-9F}, {0x1p-8F}), 0x1p-17F);
  EXPECT_EQ(dot("h13", {0x1p-9F}, {0x1p-8F}), 0x1p-17F);
  EXPECT_EQ(dot("ieee", {0x1.8p-15F}, {1024}), 0x1.8p-5F);
  EXPECT_EQ(dot("h13", {0x1.8p-15F}, {1024}), 0);
  for (const std::string& name : kFixedPoint) {
    EXPECT_EQ(dot(name, {0x1p-9F}, {0x1p-8F}), 0) << name;
    EXPECT_EQ(dot(name, {0x1p-8F}, {0x1p-8F}), 0x1p-16F) << name;
    EXPECT_EQ(dot(name, {0x1.8p-15F}, {1024}), 0x1.8p-5F) << name;
  }
}

TEST(Profile, ReduceSumIsNarrowOrWide) {
  const std::vector<float> ones(2148, 1);
  EXPECT_EQ(sum("ieee", ones), 2148);
  EXPECT_EQ(sum("h13", ones), 2048);  // 2048 + 1 is a tie, and 2048 is even
  EXPECT_EQ(sum("h16", ones), 2248);  // every further 1 counts 2
  for (const std::string& name : kChips) {
    EXPECT_EQ(sum(name + ":reduce_sum=wide", ones), 2148) << name;
    EXPECT_EQ(sum(name + ":reduce_sum=fp32", ones), 2148) << name;
  }
  EXPECT_EQ(sum("ieee:reduce_sum=fp16", ones), 2048);
  // Exact in double, not in fp32: 1 + 2^-24, once, against many 2^-24.
  std::vector<float> tiny(4097, 0x1p-24F);
  tiny.front() = 2048;
  EXPECT_EQ(sum("h16:reduce_sum=wide", tiny), 2048);
  EXPECT_EQ(sum("h16:reduce_sum=wide", {2048, 1, 0x1p-24F, -0x1p-23F}), 2048);  // below the tie by 2^-24
}

TEST(Profile, SoftmaxOfEqualScoresShowsItsSum) {
  const auto softmax = [](const std::string& profile, std::size_t n) {
    const std::vector<float> zeros(n, 0);
    return run(profile, vector_type(n) + " a",
               "int32 last = const()[name = string(\"last\"), val = int32(-1)];\n" + vector_type(n) +
                   " y = softmax(axis = last, x = a)[name = string(\"y\")];\n",
               {{"a", stored({static_cast<std::int64_t>(n)}, zeros)}})
        .front();
  };
  EXPECT_EQ(softmax("ieee", 4096), 0x1p-12F);
  EXPECT_EQ(softmax("h13", 4096), 0x1p-11F);                  // its sum stops at 2048
  EXPECT_EQ(softmax("h16:reduce_sum=wide", 4096), 0x1p-12F);  // an exact sum gives the exact inverse
  EXPECT_EQ(softmax("h16", 256), 0x1p-8F);
}

TEST(Profile, OperationsWithoutARuleAreNamedWithTheirPlace) {
  const std::string unary = "tensor<fp16, [1]> y = sqrt(x = a)[name = string(\"y\")];\n";
  EXPECT_THAT(run("ieee", "tensor<fp16, [1]> a", unary, {{"a", stored({1}, {4})}}), ElementsAre(2));
  const std::string wide = "tensor<fp32, [1]> y = add(x = a, y = a)[name = string(\"y\")];\n";
  for (const auto& [type, body, what] :
       {std::tuple{"fp16", unary, "sqrt"}, std::tuple{"fp32", wide, "computing in fp32"}}) {
    try {
      (void)run("h16", std::string("tensor<") + type + ", [1]> a", body, {{"a", stored({1}, {4})}});
      FAIL() << "ran " << what;
    } catch (const Error& error) {
      EXPECT_THAT(error.subject(), HasSubstr("test.mil:4:"));
      EXPECT_THAT(error.what(), HasSubstr(what));
      EXPECT_THAT(error.what(), HasSubstr("h16"));
    }
  }
}

TEST(Profiles, EveryRuleOfEveryRowHasItsGround) {
  std::set<std::string> names;
  for (const Profile& profile : profiles()) {
    EXPECT_TRUE(names.insert(profile.name).second);
    EXPECT_EQ(profile.grounds.size(), all_rules().size()) << profile.name;
    for (const Rule rule : all_rules()) {
      EXPECT_FALSE(profile.ground(rule).source.empty()) << profile.name << " " << rule_name(rule);
      EXPECT_FALSE(rule_text(profile, rule).empty());
    }
  }
  EXPECT_EQ(names.size(), 7U);
  EXPECT_EQ(find_profile(kDefaultProfile).name, "h16");
}

TEST(Profiles, SettingsChangeOneRuleAndAreNamed) {
  const Profile wide = find_profile("h16:reduce_sum=wide");
  EXPECT_EQ(wide.name, "h16:reduce_sum=wide");
  EXPECT_EQ(wide.reduce_sum, Summation::wide);
  EXPECT_EQ(wide.accumulator, Accumulator::fixed_point);
  for (const auto& [text, near] :
       {std::pair{"ieeee", "ieee"}, std::pair{"h16:", "reduce_sum"}, std::pair{"h16:reduce_sum", "reduce_sum"},
        std::pair{"h16:sum=wide", "reduce_sum=fp16"}, std::pair{"h16:reduce_sum=wid", "wide"}}) {
    try {
      (void)find_profile(text);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::bad_input);
      EXPECT_THAT(error.what(), HasSubstr(near)) << text;
    }
  }
}

}  // namespace
}  // namespace aneval::emulator
