// What the CPU does between kernels against formulas in double, on every SIMD target of this machine. Bounds count the
// fp32 roundings of each expression; the gradients are checked against finite differences as well, because a formula
// can be wrong in both places.
#include "ane/cpu_ops.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <stdexcept>
#include <vector>

#include "ane/every_target.h"

namespace aneval::ane {
namespace {

constexpr double kRoundoff = 0x1p-24;  // of fp32
constexpr double kEps = 1e-5;

std::vector<float> random_floats(std::int64_t n, unsigned seed, float mean = 0) {
  std::mt19937 generator(seed);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& value : values) value = mean + static_cast<float>(static_cast<std::int32_t>(generator())) * 0x1p-30F;
  return values;
}

std::vector<double> widen(const std::vector<float>& values) { return {values.begin(), values.end()}; }

struct Norm {
  std::int64_t dim, seq;
  std::vector<double> x, w, dy;

  std::size_t at(std::int64_t d, std::int64_t s) const { return static_cast<std::size_t>(d * seq + s); }
  double r(std::int64_t s) const {
    double sum = 0;
    for (std::int64_t d = 0; d < dim; ++d) sum += x[at(d, s)] * x[at(d, s)];
    return 1 / std::sqrt(sum / static_cast<double>(dim) + kEps);
  }
  double y(std::int64_t d, std::int64_t s) const { return x[at(d, s)] * w[static_cast<std::size_t>(d)] * r(s); }
  /// Σ_d w·dy·x · r³ / D
  double share(std::int64_t s) const {
    double sum = 0;
    for (std::int64_t d = 0; d < dim; ++d) sum += w[static_cast<std::size_t>(d)] * dy[at(d, s)] * x[at(d, s)];
    return sum * std::pow(r(s), 3) / static_cast<double>(dim);
  }
  /// The scalar whose gradient rmsnorm_backward computes.
  double loss() const {
    double sum = 0;
    for (std::int64_t d = 0; d < dim; ++d)
      for (std::int64_t s = 0; s < seq; ++s) sum += dy[at(d, s)] * y(d, s);
    return sum;
  }
};

TEST(CpuOps, RmsnormMatchesItsFormula) {
  on_every_target([] {
    const std::int64_t dim = 37, seq = 19;
    const std::vector<float> x = random_floats(dim * seq, 1), w = random_floats(dim, 2, 1.5F);
    std::vector<float> y(x.size());
    rmsnorm(x, w, dim, seq, kEps, y);
    const Norm norm{dim, seq, widen(x), widen(w), {}};
    for (std::int64_t d = 0; d < dim; ++d)
      for (std::int64_t s = 0; s < seq; ++s) {
        const double expected = norm.y(d, s);  // r is rounded, and two products: three roundings
        ASSERT_LE(std::fabs(static_cast<double>(y[norm.at(d, s)]) - expected), 3.01 * kRoundoff * std::fabs(expected));
      }
  });
}

TEST(CpuOps, RmsnormOfZerosIsZero) {
  const std::vector<float> x(8, 0.0F), w(4, 1.0F);
  std::vector<float> y(8, 9.0F);
  rmsnorm(x, w, 4, 2, kEps, y);
  EXPECT_EQ(y, x);
}

struct Gradient {
  std::vector<float> dx, dw;
};

Gradient backward(const Norm& norm, const std::vector<float>& x, const std::vector<float>& w,
                  const std::vector<float>& dy, const std::vector<float>& dw_before) {
  Gradient gradient{std::vector<float>(x.size()), dw_before};
  rmsnorm_backward(x, w, dy, norm.dim, norm.seq, kEps, gradient.dx, gradient.dw);
  return gradient;
}

TEST(CpuOps, RmsnormBackwardMatchesItsFormula) {
  on_every_target([] {
    const std::int64_t dim = 33, seq = 21;
    const std::vector<float> x = random_floats(dim * seq, 3), w = random_floats(dim, 4, 1.5F),
                             dy = random_floats(dim * seq, 5), before = random_floats(dim, 6);
    const Norm norm{dim, seq, widen(x), widen(w), widen(dy)};
    const Gradient gradient = backward(norm, x, w, dy, before);
    for (std::int64_t d = 0; d < dim; ++d) {
      const auto row = static_cast<std::size_t>(d);
      double sum = static_cast<double>(before[row]);
      for (std::int64_t s = 0; s < seq; ++s) {
        const std::size_t i = norm.at(d, s);
        const double direct = norm.r(s) * norm.w[row] * norm.dy[i], through_r = norm.x[i] * norm.share(s);
        // r, two products, the share, its product and the difference: at most four roundings of either term.
        ASSERT_LE(std::fabs(static_cast<double>(gradient.dx[i]) - (direct - through_r)),
                  4.01 * kRoundoff * (std::fabs(direct) + std::fabs(through_r)));
        sum += norm.dy[i] * norm.x[i] * norm.r(s);
      }
      // Summed in double and rounded once; the double sum's own roundings are 2^-29 of that.
      ASSERT_LE(std::fabs(static_cast<double>(gradient.dw[row]) - sum), 1.01 * kRoundoff * std::fabs(sum) + 1e-13);
    }
  });
}

TEST(CpuOps, RmsnormBackwardIsTheSlopeOfTheLoss) {
  const std::int64_t dim = 9, seq = 4;
  // w far from 1 and of both signs: the seed's formula, w·r·(dy − x·Σ(dy∘x)·r²/D), is right for w = 1 only.
  const std::vector<float> x = random_floats(dim * seq, 7), w = random_floats(dim, 8, 0.3F),
                           dy = random_floats(dim * seq, 9);
  Norm norm{dim, seq, widen(x), widen(w), widen(dy)};
  const Gradient gradient = backward(norm, x, w, dy, std::vector<float>(static_cast<std::size_t>(dim), 0.0F));
  const auto slope = [&](double& variable) {
    const double h = 1e-5, kept = variable;  // error h²·f''' ≈ 1e-10 · the third derivative, below 1e3 here
    variable = kept + h;
    const double up = norm.loss();
    variable = kept - h;
    const double down = norm.loss();
    variable = kept;
    return (up - down) / (2 * h);
  };
  double misplaced_distance = 0;
  for (std::int64_t d = 0; d < dim; ++d) {
    const auto row = static_cast<std::size_t>(d);
    EXPECT_NEAR(static_cast<double>(gradient.dw[row]), slope(norm.w[row]), 2e-6);
    for (std::int64_t s = 0; s < seq; ++s) {
      const std::size_t i = norm.at(d, s);
      const double expected = slope(norm.x[i]);
      EXPECT_NEAR(static_cast<double>(gradient.dx[i]), expected, 2e-6);
      double dot = 0;
      for (std::int64_t k = 0; k < dim; ++k) dot += norm.dy[norm.at(k, s)] * norm.x[norm.at(k, s)];
      const double r = norm.r(s);
      const double misplaced = norm.w[row] * r * (norm.dy[i] - norm.x[i] * r * r / static_cast<double>(dim) * dot);
      misplaced_distance = std::max(misplaced_distance, std::fabs(misplaced - expected));
    }
  }
  EXPECT_GT(misplaced_distance, 1e-2) << "the data cannot tell the right formula from the seed's";
}

TEST(CpuOps, RmsnormBackwardMayOverwriteItsGradient) {
  const std::int64_t dim = 16, seq = 10;
  const std::vector<float> x = random_floats(dim * seq, 10), w = random_floats(dim, 11, 1.0F),
                           dy = random_floats(dim * seq, 12);
  const Norm norm{dim, seq, {}, {}, {}};
  const Gradient apart = backward(norm, x, w, dy, w);
  std::vector<float> in_place = dy, dw = w;
  rmsnorm_backward(x, w, in_place, dim, seq, kEps, in_place, dw);
  EXPECT_EQ(in_place, apart.dx);
  EXPECT_EQ(dw, apart.dw);
}

TEST(CpuOps, ScaledSums) {
  on_every_target([] {
    const std::vector<float> x = {1, 2, -3}, f = {10, -20, 0.5F};
    std::vector<float> y(3);
    add_scaled(x, f, 0.5F, y);
    EXPECT_EQ(y, (std::vector<float>{6, -8, -2.75F}));
    scale(x, -2.0F, y);
    EXPECT_EQ(y, (std::vector<float>{-2, -4, 6}));
    add_scaled(y, y, 1.0F, y);  // in place
    EXPECT_EQ(y, (std::vector<float>{-4, -8, 12}));
  });
}

TEST(CpuOps, SiluBackwardMatchesItsFormulaAndTheSlope) {
  on_every_target([] {
    const std::int64_t n = 400;
    const std::vector<float> dg = random_floats(n, 13), h3 = random_floats(n, 14);
    std::vector<float> h1 = random_floats(n, 15), dh1(h1.size()), dh3(h1.size());
    for (float& value : h1) value *= 6.0F;
    silu_backward(dg, h1, h3, dh1, dh3);
    for (std::size_t i = 0; i < h1.size(); ++i) {
      const double g = static_cast<double>(dg[i]), a = static_cast<double>(h1[i]), b = static_cast<double>(h3[i]);
      const auto silu = [](double v) { return v / (1 + std::exp(-v)); };
      const double sigma = 1 / (1 + std::exp(-a)), slope = (silu(a + 1e-5) - silu(a - 1e-5)) / 2e-5;
      EXPECT_NEAR(g * b * sigma * (1 + a * (1 - sigma)), g * b * slope, 1e-8);
      // exp to 1 ulp, sum, quotient: 4 roundings in sigma, 2 products more.
      ASSERT_LE(std::fabs(static_cast<double>(dh3[i]) - g * silu(a)), 6.01 * kRoundoff * std::fabs(g * silu(a)));
      // 1 − σ carries σ's absolute error, |a|·4u in the bracket; around it 4 of σ and 3 of the products.
      const double bracket = 1 + std::fabs(a * (1 - sigma)) + std::fabs(a);
      ASSERT_LE(std::fabs(static_cast<double>(dh1[i]) - g * b * sigma * (1 + a * (1 - sigma))),
                10 * kRoundoff * std::fabs(g * b) * sigma * bracket);
    }
  });
}

TEST(CpuOps, SiluGateIsTheBackwardsSigmaTimesBothFactors) {
  const std::int64_t n = 100'003;  // several tasks, the last of them with a tail
  const std::vector<float> h1 = random_floats(n, 18), h3 = random_floats(n, 19);
  ThreadPool pool(3);
  on_every_target([&] {
    std::vector<float> g(h1.size()), g_pool(h1.size());
    silu_gate(h1, h3, g);
    silu_gate(h1, h3, g_pool, &pool);
    EXPECT_EQ(g, g_pool);
    for (std::size_t i = 0; i < g.size(); ++i) {
      const double a = static_cast<double>(h1[i]), exact = a / (1 + std::exp(-a)) * static_cast<double>(h3[i]);
      // exp to 1 ulp, sum, quotient: 4 roundings in σ, 2 products more.
      ASSERT_LE(std::fabs(static_cast<double>(g[i]) - exact), 6.01 * kRoundoff * std::fabs(exact)) << h1[i];
    }
    const std::vector<float> ones(2, 1.0F), ends = {-65504.0F, 65504.0F};
    std::vector<float> saturated(2);
    silu_gate(ends, ones, saturated);
    EXPECT_EQ(saturated, (std::vector<float>{0.0F, 65504.0F}));
  });
  std::vector<float> five(5), six(6);
  EXPECT_THROW(silu_gate(six, five, six), std::logic_error);
}

TEST(CpuOps, SiluBackwardSaturatesWithoutNan) {
  on_every_target([] {
    const std::vector<float> ones(2, 1.0F), h1 = {-65504.0F, 65504.0F};
    std::vector<float> dh1(2), dh3(2);
    silu_backward(ones, h1, ones, dh1, dh3);
    EXPECT_EQ(dh1[0], 0.0F);
    EXPECT_EQ(dh3[0], 0.0F);
    EXPECT_EQ(dh1[1], 1.0F);
    EXPECT_EQ(dh3[1], 65504.0F);
  });
}

TEST(CpuOps, SiluBackwardOfGatesOfAllSizes) {
  // The upper 16 bits of a float are its sign, exponent and seven digits.
  std::vector<float> h1;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper) {
    const float gate = std::bit_cast<float>(upper << 16 | 0x5A5A);
    if (std::isfinite(gate)) h1.push_back(gate);
  }
  const std::vector<float> ones(h1.size(), 1.0F);
  on_every_target([&] {
    std::vector<float> dh1(h1.size()), dh3(h1.size());
    silu_backward(ones, h1, ones, dh1, dh3);
    for (std::size_t i = 0; i < h1.size(); ++i) {
      const double a = static_cast<double>(h1[i]), e = std::exp(-std::fabs(a));
      const double sigma = (a < 0 ? e : 1) / (1 + e), rest = (a < 0 ? 1 : e) / (1 + e);
      // exp to 1 ulp, sum, quotient: 4 roundings in σ and in 1 − σ, one product more; e may be off by half of the
      // smallest float, and is passed over below 2^-150.
      ASSERT_LE(std::fabs(static_cast<double>(dh3[i]) - a * sigma),
                5.01 * kRoundoff * std::fabs(a * sigma) + 0x1p-149 * (1 + std::fabs(a)))
          << h1[i];
      // The bracket's sum and the two products by σ and by h1.
      const double bracket = 1 + std::fabs(a * rest);
      ASSERT_LE(std::fabs(static_cast<double>(dh1[i]) - sigma * (1 + a * rest)),
                11 * kRoundoff * sigma * bracket + 0x1p-149 * bracket)
          << h1[i];
    }
  });
}

TEST(CpuOps, SiluBackwardHasTheSameBitsForAnyNumberOfThreads) {
  const std::int64_t n = 100'003;  // several tasks, the last of them with a tail
  const std::vector<float> dg = random_floats(n, 17), h1 = random_floats(n, 18), h3 = random_floats(n, 19);
  std::vector<float> dh1(dg.size()), dh3(dg.size()), dh1_pool(dg.size()), dh3_pool(dg.size());
  silu_backward(dg, h1, h3, dh1, dh3);
  ThreadPool pool(3);
  silu_backward(dg, h1, h3, dh1_pool, dh3_pool, &pool);
  EXPECT_EQ(dh1, dh1_pool);
  EXPECT_EQ(dh3, dh3_pool);
  // A vector's lane and the single element of the tail are the same arithmetic.
  std::vector<float> last_dh1(1), last_dh3(1);
  for (const std::size_t i : {0U, 1U, 77'777U}) {
    silu_backward({&dg[i], 1}, {&h1[i], 1}, {&h3[i], 1}, last_dh1, last_dh3);
    EXPECT_EQ(last_dh1[0], dh1[i]);
    EXPECT_EQ(last_dh3[0], dh3[i]);
  }
}

ModelShape rope_shape(RopePairing pairing) {
  return {.name = "rope",
          .dim = 4,
          .hidden = 4,
          .heads = 3,
          .kv_heads = 3,
          .head_dim = 8,
          .seq = 11,
          .layers = 1,
          .vocab = 2,
          .rope_base = 500.0,
          .rope_pairing = pairing};
}

TEST(CpuOps, RopeInverseUndoesTheRotation) {
  on_every_target([] {
    for (const RopePairing pairing : {RopePairing::interleaved, RopePairing::half}) {
      const ModelShape shape = rope_shape(pairing);
      const std::int64_t seq = shape.seq, h = shape.head_dim;
      const std::vector<float> original = random_floats(shape.heads * h * seq, 16);
      std::vector<float> x(original.size());
      for (std::int64_t head = 0; head < shape.heads; ++head)
        for (std::int64_t i = 0; i < h / 2; ++i)
          for (std::int64_t p = 0; p < seq; ++p) {
            const bool interleaved = pairing == RopePairing::interleaved;
            const std::int64_t first_lane = interleaved ? 2 * i : i, second_lane = interleaved ? 2 * i + 1 : i + h / 2;
            const auto first = static_cast<std::size_t>((head * h + first_lane) * seq + p);
            const auto second = static_cast<std::size_t>((head * h + second_lane) * seq + p);
            const double angle =
                static_cast<double>(p) * std::pow(500.0, -2.0 * static_cast<double>(i) / static_cast<double>(h));
            const double a = static_cast<double>(original[first]), b = static_cast<double>(original[second]);
            x[first] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
            x[second] = static_cast<float>(a * std::sin(angle) + b * std::cos(angle));
          }
      EXPECT_NE(x, original);
      // a·cos ∓ b·sin of numbers below 1: each of two products has two roundings, then one sum, and x was rounded.
      std::vector<float> turned = original;
      rope(shape, turned);
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_NEAR(static_cast<double>(turned[i]), static_cast<double>(x[i]), 8 * kRoundoff * 2 * std::sqrt(2.0));
      rope_inverse(shape, x);
      // Rotated values are at most 2·√2 in size; rounded once on the way in, and each of two products has two roundings
      // (cosine and product) before one difference.
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_NEAR(static_cast<double>(x[i]), static_cast<double>(original[i]), 8 * kRoundoff * 2 * std::sqrt(2.0));
    }
  });
}

TEST(CpuOps, RopeInverseOfLongSequences) {
  ModelShape shape = rope_shape(RopePairing::half);
  shape.heads = shape.kv_heads = 1;
  shape.seq = 5000;  // no power of two
  const std::int64_t pairs = shape.head_dim / 2;
  const std::vector<float> original = random_floats(shape.head_dim * shape.seq, 20);
  on_every_target([&] {
    std::vector<float> x = original;
    rope_inverse(shape, x);
    for (std::int64_t i = 0; i < pairs; ++i)
      for (std::int64_t p = 0; p < shape.seq; ++p) {
        const auto first = static_cast<std::size_t>(i * shape.seq + p);
        const auto second = static_cast<std::size_t>((i + pairs) * shape.seq + p);
        const double angle = static_cast<double>(p) * std::pow(500.0, -static_cast<double>(i) / 4.0);
        const double a = static_cast<double>(original[first]), b = static_cast<double>(original[second]);
        // cos and sin rounded, a product, a sum; 13 binary digits of the position cost 2^-51 each, the angle 2^-50.
        const double bound = 3.01 * kRoundoff * (std::fabs(a * std::cos(angle)) + std::fabs(b * std::sin(angle))) +
                             (angle * 0x1p-50 + 13 * 0x1p-51) * (std::fabs(a) + std::fabs(b));
        ASSERT_LE(std::fabs(static_cast<double>(x[first]) - (a * std::cos(angle) + b * std::sin(angle))), bound);
      }
  });
}

TEST(CpuOps, RopeInverseTakesFewerHeadsAndRefusesParts) {
  const ModelShape shape = rope_shape(RopePairing::interleaved);
  std::vector<float> one_head(static_cast<std::size_t>(shape.head_dim * shape.seq), 1.0F);
  rope_inverse(shape, one_head);
  EXPECT_EQ(one_head[0], 1.0F);  // position 0 is not rotated
  EXPECT_NE(one_head[1], 1.0F);
  one_head.pop_back();
  try {
    rope_inverse(shape, one_head);
    FAIL() << "turned a part of a head";
  } catch (const std::logic_error& error) {
    EXPECT_NE(std::string(error.what()).find("no multiple of a head's " + std::to_string(one_head.size() + 1)),
              std::string::npos)
        << error.what();
  }
}

TEST(CpuOps, WrongSizesAreMistakesOfTheCaller) {
  std::vector<float> six(6), five(5), two(2), three(3);
  EXPECT_THROW(rmsnorm(five, two, 2, 3, kEps, six), std::logic_error);
  EXPECT_THROW(rmsnorm(six, three, 2, 3, kEps, six), std::logic_error);
  EXPECT_THROW(rmsnorm(six, two, 2, 3, kEps, five), std::logic_error);
  EXPECT_THROW(rmsnorm_backward(six, two, five, 2, 3, kEps, six, two), std::logic_error);
  EXPECT_THROW(rmsnorm_backward(six, two, six, 2, 3, kEps, six, three), std::logic_error);
  EXPECT_THROW(add_scaled(six, five, 1.0F, six), std::logic_error);
  EXPECT_THROW(scale(six, 1.0F, five), std::logic_error);
  EXPECT_THROW(silu_backward(six, six, five, six, six), std::logic_error);
}

}  // namespace
}  // namespace aneval::ane
