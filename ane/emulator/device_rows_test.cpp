// Rows in vectors against their scalar definitions: every fp16 number as an operand, on every SIMD target.
#include "ane/emulator/device_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ane/emulator/exact_functions.h"
#include "ane/emulator/function_table.h"
#include "ane/every_target.h"
#include "common/random.h"

namespace aneval::emulator {
namespace {

constexpr HalfFormat kFormats[] = {{Rounding::nearest_even, Specials::ieee},
                                   {Rounding::nearest_even, Specials::ordinary},
                                   {Rounding::half_away, Specials::ordinary}};

std::vector<float> every_half(Specials specials) {
  std::vector<ane::half_t> bits(1 << 16);
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<ane::half_t>(i);
  std::vector<float> values(bits.size());
  decode_halves(specials, bits.data(), values.data(), static_cast<std::int64_t>(bits.size()));
  return values;
}

/// Equal bits; any NaN equals any other.
::testing::AssertionResult same(const std::vector<float>& got, const std::vector<float>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) ? std::isnan(got[i])
                                : std::bit_cast<std::uint32_t>(got[i]) == std::bit_cast<std::uint32_t>(expected[i]))
      continue;
    return ::testing::AssertionFailure() << "place " << i << ": " << got[i] << " instead of " << expected[i];
  }
  return ::testing::AssertionSuccess();
}

float scalar(Function function, float x, float y) {
  switch (function) {
    case Function::add:
      return x + y;
    case Function::sub:
      return x - y;
    case Function::mul:
      return x * y;
    case Function::real_div:
      return x / y;
    case Function::maximum:
      return x > y || std::isnan(x) ? x : y;
    default:
      return x < y || std::isnan(x) ? x : y;
  }
}

/// The stored number by definition: multiples of fp16's spacing, ties by the rule.
float stored(HalfFormat format, float value) {
  const double magnitude = std::abs(static_cast<double>(value));
  const bool ordinary = format.specials == Specials::ordinary;
  if (std::isnan(value)) return ordinary ? std::copysign(kOrdinaryInfinity, value) : value;
  const int exponent = magnitude == 0 ? -14 : std::clamp(std::ilogb(magnitude), -14, 15);
  const double spacing = std::ldexp(1.0, exponent - 10), units = std::min(magnitude, 1e6) / spacing;
  const double nearest = format.rounding == Rounding::half_away ? std::floor(units + 0.5) : std::nearbyint(units);
  double rounded = nearest * spacing;
  if (rounded > ane::kHalfMax)
    rounded = ordinary ? static_cast<double>(kOrdinaryInfinity) : std::numeric_limits<double>::infinity();
  const float result = std::copysign(static_cast<float>(rounded), value);
  return ordinary && result == 0 ? 0.0F : result;
}

TEST(DeviceRows, BinaryFunctionsOfEveryHalf) {
  on_every_target([] {
    for (const HalfFormat format : kFormats) {
      const std::vector<float> x = every_half(format.specials);
      const auto n = static_cast<std::int64_t>(x.size());
      std::vector<float> got(x.size()), expected(x.size());
      for (const Function function :
           {Function::add, Function::sub, Function::mul, Function::real_div, Function::maximum, Function::minimum}) {
        for (const float y : {1.0F, -3.0F, 0.333251953125F, 0x1p-24F, 65504.0F, -0x1.234p-13F}) {
          for (std::size_t i = 0; i < x.size(); ++i) expected[i] = stored(format, scalar(function, x[i], y));
          binary_row(function, format, mil::DType::fp16, x.data(), 1, &y, 0, got.data(), n);
          ASSERT_TRUE(same(got, expected)) << static_cast<int>(function) << " with " << y;
          for (std::size_t i = 0; i < x.size(); ++i) expected[i] = stored(format, scalar(function, y, x[i]));
          binary_row(function, format, mil::DType::fp16, &y, 0, x.data(), 1, got.data(), n);
          ASSERT_TRUE(same(got, expected)) << static_cast<int>(function) << " of " << y;
        }
        std::vector<float> y = x;
        std::rotate(y.begin(), y.begin() + 12345, y.end());
        for (std::size_t i = 0; i < x.size(); ++i) expected[i] = scalar(function, x[i], y[i]);
        binary_row(function, format, mil::DType::fp32, x.data(), 1, y.data(), 1, got.data(), n);
        ASSERT_TRUE(same(got, expected)) << static_cast<int>(function) << " in fp32";
      }
    }
  });
}

TEST(DeviceRows, AnyLengthAndNothingBeyondIt) {
  on_every_target([] {
    for (std::int64_t n = 0; n < 70; ++n) {
      std::vector<float> x(70, 3.0F), out(70, -1.0F);
      binary_row(Function::mul, kFormats[0], mil::DType::fp16, x.data(), 1, x.data(), 1, out.data(), n);
      for (std::int64_t i = 0; i < 70; ++i) ASSERT_EQ(out[static_cast<std::size_t>(i)], i < n ? 9.0F : -1.0F);
    }
  });
}

TEST(DeviceRows, GainLosesWhatSixteenTimesIsBeyondFp16) {
  on_every_target([] {
    const std::vector<float> x = every_half(Specials::ordinary);
    std::vector<float> got(x.size()), expected;
    for (const float value : x)
      expected.push_back(std::abs(value) > 4094.0F ? std::copysign(kOrdinaryInfinity, value) : value);
    gain_row(x.data(), got.data(), static_cast<std::int64_t>(x.size()));
    ASSERT_TRUE(same(got, expected));
  });
}

TEST(DeviceRows, LooksUpEveryHalf) {
  on_every_target([] {
    for (const Function function : {Function::sigmoid, Function::tanh, Function::exp}) {
      const std::vector<float> x = every_half(Specials::ordinary);
      std::vector<float> got(x.size()), expected;
      for (const float value : x) expected.push_back(table_function(function, value));
      lookup_row(function_values(function).data(), Specials::ordinary, x.data(), got.data(),
                 static_cast<std::int64_t>(x.size()));
      ASSERT_TRUE(same(got, expected));
    }
    for (const Function function :
         {Function::sigmoid, Function::tanh, Function::exp, Function::sqrt, Function::rsqrt, Function::silu}) {
      const std::vector<float> x = every_half(Specials::ieee);
      std::vector<float> got(x.size()), expected;
      for (const float value : x)
        expected.push_back(stored(kFormats[0], exact_function(function, value, mil::DType::fp16)));
      lookup_row(exact_values(function).data(), Specials::ieee, x.data(), got.data(),
                 static_cast<std::int64_t>(x.size()));
      ASSERT_TRUE(same(got, expected)) << static_cast<int>(function);
    }
  });
}

TEST(DeviceRows, TheLargestIsNoNaN) {
  on_every_target([] {
    Random random(5);
    for (std::int64_t n = 1; n < 100; ++n) {
      std::vector<float> x(static_cast<std::size_t>(n));
      random.fill_normal(x, 3);
      const float expected = *std::max_element(x.begin(), x.end());
      x.push_back(NAN);
      std::rotate(x.begin(), x.begin() + random.below(n), x.end());
      ASSERT_EQ(largest_of(x.data(), n + 1, -INFINITY), expected);
      ASSERT_EQ(largest_of(x.data(), n + 1, 100.0F), 100.0F);
    }
  });
}

/// A matrix of fp16 numbers whose sums round often, at the strides of rows or columns side by side.
class Reduction : public ::testing::Test {
 protected:
  static constexpr std::int64_t kTerms = 150;

  Reduction() : values_(static_cast<std::size_t>(kTerms * kColumnsReduced)) {
    Random(9).fill_normal(values_, 40);
    round_to_half(kFormats[0], values_.data(), static_cast<std::int64_t>(values_.size()));
  }

  template <class Check>
  void each_layout(const Check& check) {
    on_every_target([&] {
      for (const std::int64_t columns : {std::int64_t{1}, std::int64_t{7}, kColumnsReduced})
        for (const bool side_by_side : {false, true})
          check(Matrix{values_.data(), kTerms, columns, side_by_side ? kColumnsReduced : 1, side_by_side ? 1 : kTerms});
    });
  }

  std::vector<float> values_;
};

TEST_F(Reduction, SumsKeepTheirOrder) {
  each_layout([&](const Matrix& terms) {
    for (const HalfFormat format : kFormats) {
      for (const Summation kind : {Summation::fp32, Summation::fp16, Summation::wide}) {
        ColumnSums sums;
        const std::int64_t half = terms.rows / 2;
        add_rows(kind, format, terms.block(0, 0, half, terms.columns), sums);
        add_rows(kind, format, terms.block(half, 0, terms.rows, terms.columns), sums);
        std::vector<float> got(static_cast<std::size_t>(terms.columns)), expected;
        column_totals(kind, sums, got.data(), terms.columns);
        for (std::int64_t c = 0; c < terms.columns; ++c) {
          float sum = 0;
          double wide = 0;
          for (std::int64_t r = 0; r < terms.rows; ++r) {
            const float term = terms.data[r * terms.row_step + c * terms.column_step];
            sum = kind == Summation::fp16 ? stored(format, sum + term) : sum + term;
            wide += static_cast<double>(term);
          }
          expected.push_back(kind == Summation::wide ? narrow(wide) : sum);
        }
        ASSERT_TRUE(same(got, expected)) << static_cast<int>(kind) << " of " << terms.columns << " columns";
      }
    }
  });
}

TEST_F(Reduction, TheLargestOfAColumnMayBeNaN) {
  values_[static_cast<std::size_t>(3 * kColumnsReduced)] = NAN;
  each_layout([&](const Matrix& terms) {
    std::vector<float> got(static_cast<std::size_t>(terms.columns), 1.0F), expected;
    largest_of_rows(terms, got.data());
    for (std::int64_t c = 0; c < terms.columns; ++c) {
      float largest = 1.0F;
      for (std::int64_t r = 0; r < terms.rows; ++r) {
        const float term = terms.data[r * terms.row_step + c * terms.column_step];
        if (term > largest || std::isnan(term)) largest = term;
      }
      expected.push_back(largest);
    }
    ASSERT_TRUE(same(got, expected));
  });
}

}  // namespace
}  // namespace aneval::emulator
