// The exact softmax in vectors: how far its exponentials are off, and that what is stored is what libm gives, but for
// quotients as near to a tie as the bound on both.
#include "ane/emulator/softmax_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "ane/every_target.h"
#include "common/random.h"

namespace aneval::emulator {
namespace {

constexpr HalfFormat kIeee{Rounding::nearest_even, Specials::ieee};

TEST(SoftmaxRows, ExponentialsAreOffByOneUnitAtMost) {
  on_every_target([] {
    double worst = 0;
    Random random(1);
    std::vector<float> x(4096);
    std::vector<double> got(x.size());
    for (int round = 0; round < (kSlowBuild ? 4 : 100); ++round) {
      for (float& value : x) value = static_cast<float>(-random.uniform() * (round % 4 == 0 ? 700.0 : 20.0));
      if (round == 0) x[0] = 0;
      exponentials(x.data(), static_cast<std::int64_t>(x.size()), 0, got.data());
      for (std::size_t i = 0; i < x.size(); ++i) {
        const long double exact = std::exp(static_cast<long double>(x[i]));
        const double unit = std::ldexp(1.0, std::ilogb(static_cast<double>(exact)) - 52);
        worst = std::max(worst, static_cast<double>(std::abs(static_cast<long double>(got[i]) - exact)) / unit);
      }
    }
    EXPECT_LE(worst, 1);    // measured: 0.8
    EXPECT_GT(worst, 0.4);  // what is compared is not one and the same
  });
}

TEST(SoftmaxRows, SpecialsAreThoseOfIeee) {
  on_every_target([] {
    const std::vector<float> x = {0, -INFINITY, NAN, -2000};
    std::vector<double> got(x.size());
    EXPECT_TRUE(std::isnan(exponentials(x.data(), 4, 0, got.data())));
    EXPECT_EQ(got[0], 1);
    EXPECT_EQ(got[1], 0);
    EXPECT_TRUE(std::isnan(got[2]));
    EXPECT_EQ(got[3], 0);
    EXPECT_TRUE(std::isnan(exponentials(x.data() + 1, 1, -INFINITY, got.data())));
  });
}

TEST(SoftmaxRows, SumIsTheTerms) {
  on_every_target([] {
    for (std::int64_t n = 1; n < 40; ++n) {
      const std::vector<float> x(static_cast<std::size_t>(n), 2.0F);
      std::vector<double> got(x.size() + 1, -1.0);
      EXPECT_EQ(exponentials(x.data(), n, 2.0F, got.data()), static_cast<double>(n));
      EXPECT_EQ(got.back(), -1);
    }
  });
}

/// What libm's exp, a sum from left to right and a division give, before it is stored.
std::vector<double> by_libm(const std::vector<float>& x, float largest) {
  std::vector<double> p;
  for (const float value : x) p.push_back(std::exp(static_cast<double>(value) - static_cast<double>(largest)));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

TEST(SoftmaxRows, StoredNumbersAreThoseOfLibm) {
  on_every_target([] {
    Random random(2);
    for (const std::size_t n : {std::size_t{1}, std::size_t{13}, std::size_t{256}, std::size_t{512}}) {
      for (int round = 0; round < (kSlowBuild ? 10 : 1000); ++round) {
        std::vector<float> x(n), got(n);
        random.fill_normal(x, round % 3 == 0 ? 10 : round % 3 == 1 ? 1 : 0.01);
        round_to_half(kIeee, x.data(), static_cast<std::int64_t>(n));
        const float largest = *std::max_element(x.begin(), x.end());
        std::vector<double> numerators(n);
        const auto count = static_cast<std::int64_t>(n);
        const double sum = exponentials(x.data(), count, largest, numerators.data());
        quotients(kIeee, mil::DType::fp16, numerators.data(), sum, got.data(), count);
        const std::vector<double> expected = by_libm(x, largest);
        const double error = static_cast<double>(n + 8) * 0x1p-52;
        for (std::size_t i = 0; i < n; ++i) {
          if (got[i] == round_to_half(kIeee, expected[i])) continue;
          const float low = round_to_half(kIeee, expected[i] * (1 - 2 * error));
          const float high = round_to_half(kIeee, expected[i] * (1 + 2 * error));
          ASSERT_TRUE(low < high && (got[i] == low || got[i] == high))
              << got[i] << " instead of " << round_to_half(kIeee, expected[i]);
        }
      }
    }
  });
}

// Numerators that are the quotients: ties, and what lies next to a tie in double but not in float.
TEST(SoftmaxRows, QuotientsAreRoundedOnce) {
  on_every_target([] {
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::half_away}) {
      const HalfFormat format{rounding, rounding == Rounding::nearest_even ? Specials::ieee : Specials::ordinary};
      std::vector<double> values;
      for (std::uint32_t bits = 0; bits < 0x3C00; ++bits) {
        const double value = static_cast<double>(ane::to_float(static_cast<ane::half_t>(bits)));
        const double tie = value + ane::half_ulp(value) / 2;
        for (const double near : {value, tie, std::nextafter(tie, 0.0), std::nextafter(tie, 1.0)})
          values.push_back(near);
      }
      std::vector<float> got(values.size());
      const auto n = static_cast<std::int64_t>(values.size());
      quotients(format, mil::DType::fp16, values.data(), 1, got.data(), n);
      for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(got[i], round_to_half(format, values[i])) << values[i];
      quotients(format, mil::DType::fp32, values.data(), 3, got.data(), n);
      for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(got[i], static_cast<float>(values[i] / 3));
    }
  });
}

}  // namespace
}  // namespace aneval::emulator
