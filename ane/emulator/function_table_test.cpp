// The tabulated functions have the errors that were published for them, to their digits.
#include "ane/emulator/function_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ane/emulator/half_values.h"

namespace aneval::emulator {
namespace {

struct Largest {
  double absolute = 0, ulp = 0;
};

/// Over every fp16 number with |x| ≤ 10.
template <class Exact>
Largest largest_error(Function function, const Exact& exact) {
  Largest largest;
  for (std::uint32_t word = 0; word < 65536; ++word) {
    const float x = ane::to_float(static_cast<ane::half_t>(word));
    if (!(std::abs(x) <= 10)) continue;
    const double expected = exact(static_cast<double>(x));
    const double error = std::abs(static_cast<double>(table_function(function, x)) - expected);
    largest.absolute = std::max(largest.absolute, error);
    largest.ulp = std::max(largest.ulp, error / ane::half_ulp(expected));
  }
  return largest;
}

// Half a digit of what was published: 3.355e-3, 1.613e-3, 9.08 ulp.
TEST(FunctionTable, SigmoidIsOffByThePublishedError) {
  EXPECT_NEAR(largest_error(Function::sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }).absolute, 3.355e-3,
              0.0005e-3);
}

TEST(FunctionTable, TanhIsOffByThePublishedError) {
  EXPECT_NEAR(largest_error(Function::tanh, [](double x) { return std::tanh(x); }).absolute, 1.613e-3, 0.0005e-3);
}

TEST(FunctionTable, ExpIsOffByThePublishedError) {
  EXPECT_NEAR(largest_error(Function::exp, [](double x) { return std::exp(x); }).ulp, 9.08, 0.005);
}

TEST(FunctionTable, ClampsAndSaturates) {
  EXPECT_EQ(table_function(Function::sigmoid, 0), 0.5F);
  EXPECT_EQ(table_function(Function::sigmoid, 100), table_function(Function::sigmoid, 8));
  EXPECT_EQ(table_function(Function::sigmoid, -65536), table_function(Function::sigmoid, -8));
  EXPECT_GT(table_function(Function::sigmoid, -65536), 0.0F);  // σ(−8), not 0: saturation is the table's last point
  EXPECT_EQ(table_function(Function::tanh, -4.00390625F), -1.0F);
  EXPECT_EQ(table_function(Function::tanh, 0.3F), -table_function(Function::tanh, -0.3F));
  EXPECT_EQ(table_function(Function::exp, 0), 1.0F);
  EXPECT_EQ(table_function(Function::exp, 12), 65536.0F);  // beyond 65504
  EXPECT_EQ(table_function(Function::exp, -18), 0.0F);
  EXPECT_EQ(table_function(Function::exp, -65536), 0.0F);
  EXPECT_EQ(table_function(Function::exp, 98304), 65536.0F);  // a NaN is a large number
}

TEST(FunctionTable, LookingUpIsComputing) {
  for (const Function function : {Function::sigmoid, Function::tanh, Function::exp})
    for (std::uint32_t word = 0; word < 65536; ++word) {
      const auto bits = static_cast<ane::half_t>(word);
      float x = 0;
      decode_halves(Specials::ordinary, &bits, &x, 1);
      ASSERT_EQ(function_values(function)[word], table_function(function, x));
    }
}

}  // namespace
}  // namespace aneval::emulator
