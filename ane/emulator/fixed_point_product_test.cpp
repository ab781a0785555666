// The fast product against the scalar model, bit for bit: every pair of operands, and matrices made to hit each of its
// proofs at its edge, on every SIMD target.
#include "ane/emulator/fixed_point_product.h"

#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "ane/emulator/fixed_point.h"
#include "ane/emulator/product_test_support.h"
#include "ane/every_target.h"

namespace aneval::emulator {
namespace {

struct Case {
  std::int64_t batches = 1, m = 1, k = 1, n = 1;
  Layout x = Layout::rows, y = Layout::rows;
  bool has_bias = false;
};

/// Operands, and the model's result.
class Product {
 public:
  explicit Product(const Case& c)
      : c_(c), x(c.batches, c.m, c.k, c.x), y(c.batches, c.k, c.n, c.y), bias(1, 1, 2 * c.m) {}

  void expect_exact(ThreadPool* pool) {
    if (expected_.empty()) compute();
    // Rows lie apart, and what lies between them must stay.
    constexpr float kUntouched = -7.0F;
    const std::int64_t step = c_.n + 3;
    std::vector<float> out(static_cast<std::size_t>(c_.batches * c_.m * step), kUntouched);
    TensorView<float> view;
    view.data = out.data();
    for (const std::int64_t size : {c_.batches, c_.m, c_.n}) view.shape.push(size);
    for (const std::int64_t stride : {c_.m * step, step, std::int64_t{1}}) view.strides.push(stride);
    TensorView<const float> bias_view;
    bias_view.data = bias.values().data();
    bias_view.shape.push(c_.m);
    bias_view.strides.push(2);
    work = {};
    fixed_point_product(x.constant(), y.constant(), c_.has_bias ? &bias_view : nullptr, view, pool, &work);
    ASSERT_EQ(work.total(), c_.batches * c_.m * c_.n * c_.k);
    for (std::size_t row = 0, at = 0; row < static_cast<std::size_t>(c_.batches * c_.m); ++row) {
      for (std::int64_t column = 0; column < step; ++column) {
        const float got = out[row * static_cast<std::size_t>(step) + static_cast<std::size_t>(column)];
        const float expected = column < c_.n ? expected_[at++] : kUntouched;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(expected))
            << "row " << row << " column " << column << ": " << got << " instead of " << expected << " in "
            << c_.batches << " x " << c_.m << " x " << c_.k << " x " << c_.n;
      }
    }
  }

  std::vector<float>& expected() {
    if (expected_.empty()) compute();
    return expected_;
  }

 private:
  void compute() {
    const auto x_view = x.constant(), y_view = y.constant();
    for (std::int64_t b = 0; b < c_.batches; ++b)
      for (std::int64_t i = 0; i < c_.m; ++i)
        for (std::int64_t j = 0; j < c_.n; ++j)
          expected_.push_back(fixed_point::dot(c_.k, x_view.matrix(b) + i * x_view.strides[1], x_view.strides[2],
                                               y_view.matrix(b) + j * y_view.strides[2], y_view.strides[1],
                                               c_.has_bias ? bias.values()[static_cast<std::size_t>(2 * i)] : 0.0F));
  }

  Case c_;
  std::vector<float> expected_;

 public:
  Operand x, y, bias;
  FixedPointWork work;
};

/// fp16 numbers of chosen exponents and fractions.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : random_(seed) {}

  std::int64_t below(std::int64_t n) { return random_.below(n); }
  bool one_in(std::int64_t n) { return below(n) == 0; }
  unsigned sign() { return static_cast<unsigned>(below(2)) << 15; }
  float any() { return engine_value(static_cast<unsigned>(below(65536))); }
  float normal(double sd) { return rounded_half(sd * random_.normal()); }

  /// Fractions: any, those near 0, 1/2 and 1, or with few bits, which make ties.
  enum Fraction { all, edges, short_ones };
  /// Exponent from..to; below -14 a subnormal. Now and then a zero of either sign.
  float of_exponent(int from, int to, Fraction kind) {
    static constexpr unsigned kEdges[] = {0,     1,     2,     0x3FF, 0x3FE, 0x200, 0x1FF,
                                          0x201, 0x155, 0x2AA, 0x100, 0x300, 0x080, 0x3C0};
    if (one_in(200)) return engine_value(sign());
    const int exponent = from + static_cast<int>(below(to - from + 1));
    const unsigned fraction = kind == all     ? static_cast<unsigned>(below(1024))
                              : kind == edges ? kEdges[below(std::size(kEdges))]
                                              : static_cast<unsigned>(below(32)) << 5;
    const unsigned field = exponent < -14 ? 0U : static_cast<unsigned>(exponent + 15);
    return engine_value(sign() | field << 10 | fraction);
  }

 private:
  Random random_;
};

constexpr int kFamilies = 15;

/// Fills both operands with one kind of trouble.
void fill(int family, Numbers& numbers, const Case& c, Product& product) {
  auto& x = product.x.values();
  auto& y = product.y.values();
  const auto each = [](std::vector<float>& values, const auto& make) {
    for (float& value : values) value = make();
  };
  const auto kind = static_cast<Numbers::Fraction>(numbers.below(3));
  const auto near = [&](int from, int to) { return [&, from, to] { return numbers.of_exponent(from, to, kind); }; };
  switch (family) {
    case 0:  // any bits at all
      each(x, [&] { return numbers.any(); });
      each(y, [&] { return numbers.any(); });
      break;
    case 1: {  // sums of exponents around -17
      const int e = -14 + static_cast<int>(numbers.below(14));
      each(x, near(std::max(-15, e - 1), e + 1));
      each(y, near(std::max(-15, -18 - e), std::max(-14, -15 - e)));
      break;
    }
    case 2:  // small values and subnormals
      each(x, near(-15, -1));
      each(y, near(-15, -1));
      break;
    case 3:  // ties
      each(x, [&] { return numbers.of_exponent(-15, 2, Numbers::short_ones); });
      each(y, [&] { return numbers.of_exponent(-15, 2, Numbers::short_ones); });
      break;
    case 4:  // activations
    case 5:  // gradients
      each(x, [&] { return numbers.normal(family == 4 ? 1 : 1e-3); });
      each(y, [&] { return numbers.normal(1 / std::sqrt(static_cast<double>(c.k))); });
      break;
    case 6: {  // from chains to overflow
      const double sd = std::ldexp(1.0, static_cast<int>(numbers.below(14)));
      each(x, [&] { return numbers.normal(sd); });
      each(y, [&] { return numbers.normal(sd / 16); });
      break;
    }
    case 7:  // overflow in the middle, and back: runs of large values of one sign
      each(y, [&] { return numbers.one_in(3) ? numbers.normal(1) : 1.0F; });
      for (std::int64_t b = 0; b < c.batches; ++b)
        for (std::int64_t i = 0; i < c.m; ++i)
          for (std::int64_t k = 0; k < c.k; ++k)
            product.x.at(b, i, k) = engine_value((k / (1 + i) % 2 != 0 ? 0x8000U : 0U) + 0x7000U +
                                                 static_cast<unsigned>(numbers.below(4096)));
      break;
    case 8:  // a few of exponent 16 among small ones
      each(x, [&] { return numbers.one_in(50) ? numbers.of_exponent(10, 16, Numbers::all) : numbers.normal(0.1); });
      each(y, [&] { return numbers.one_in(50) ? numbers.normal(0.2) : numbers.of_exponent(-15, -8, Numbers::all); });
      break;
    case 9:  // mostly zeros of both signs
      each(x, [&] { return numbers.one_in(4) ? numbers.of_exponent(-15, -10, kind) : 0.0F; });
      each(y, [&] { return numbers.one_in(4) ? numbers.of_exponent(-15, 6, kind) : engine_value(numbers.sign()); });
      break;
    case 10:  // sums just below and just above 2^15, decided by the last steps
      each(x, [] { return 0.0F; });
      each(y, [] { return 1.0F; });
      for (std::int64_t b = 0; b < c.batches; ++b)
        for (std::int64_t i = 0; i < c.m; ++i) {
          product.x.at(b, i, 0) = engine_value(0x77FFU - static_cast<unsigned>(numbers.below(3)));
          if (c.k > 1) product.x.at(b, i, c.k - 1) = numbers.normal(8);
          if (c.k > 2) product.x.at(b, i, c.k / 2) = numbers.of_exponent(-4, 3, Numbers::edges);
        }
      break;
    case 11: {  // one-signed sums around the limit of a chain, in a block of k or in all of k
      const std::int64_t steps = std::min<std::int64_t>(c.k, numbers.one_in(2) ? 192 : 256);
      const double value = std::sqrt(static_cast<double>(58 + numbers.below(16)) / static_cast<double>(steps));
      const float sign = numbers.one_in(2) ? 1.0F : -1.0F;
      each(x, [&] { return rounded_half(sign * value * (1 + 1e-3 * static_cast<double>(numbers.below(3)))); });
      each(y, [&] { return rounded_half(value * (1 + 1e-3 * static_cast<double>(numbers.below(3)))); });
      break;
    }
    case 12: {  // products around 64, the limit of single ones, among ties
      const auto make = [&] {
        return numbers.one_in(8) ? engine_value(numbers.sign() | (0x47F0U + static_cast<unsigned>(numbers.below(40))))
                                 : numbers.of_exponent(-12, 0, Numbers::short_ones);
      };
      each(x, make);
      each(y, make);
      break;
    }
    case 13:  // blocks of k that are harmless alone, overflow together, and come back
      each(y, [&] { return 8 + 0.0625F * static_cast<float>(numbers.below(4)); });
      for (std::int64_t b = 0; b < c.batches; ++b)
        for (std::int64_t i = 0; i < c.m; ++i)
          for (std::int64_t k = 0; k < c.k; ++k)
            product.x.at(b, i, k) = (k < 192 * 4 ? 1.0F : -4.0F) * static_cast<float>(4 + (i + k) % 4);
      break;
    default:  // large and tiny ones side by side: the wide path meets the grid and the drops
      each(x, [&] { return numbers.one_in(3) ? numbers.of_exponent(5, 7, kind) : numbers.of_exponent(-12, -2, kind); });
      each(y,
           [&] { return numbers.one_in(3) ? numbers.of_exponent(-4, 2, kind) : numbers.of_exponent(-13, -3, kind); });
  }
  each(product.bias.values(), [&] {
    return numbers.one_in(20) ? numbers.of_exponent(14, 16, Numbers::edges) : numbers.of_exponent(-15, 13, kind);
  });
}

Case some_case(int family, Numbers& numbers) {
  Case c;
  c.batches = numbers.one_in(3) ? 1 + numbers.below(3) : 1;
  c.m = 1 + numbers.below(numbers.one_in(4) ? 60 : 14);
  c.n = 1 + numbers.below(numbers.one_in(3) ? 300 : 70);
  c.k = 1 + numbers.below(numbers.one_in(3) ? 8 : numbers.one_in(3) ? 900 : 200);
  if (family == 13) c.k = 600 + numbers.below(400);
  c.x = kLayouts[numbers.below(std::size(kLayouts))];
  c.y = kLayouts[numbers.below(std::size(kLayouts))];
  c.has_bias = numbers.one_in(2);
  return c;
}

TEST(FixedPointProduct, AdversarialMatricesOnEveryTarget) {
  ThreadPool three(3);
  FixedPointWork all;
  bool fused = false;
  constexpr std::uint64_t kCasesPerFamily = kSlowBuild ? 6 : 40;
  for (int family = 0; family < kFamilies; ++family) {
    for (std::uint64_t i = 0; i < kCasesPerFamily; ++i) {
      const std::uint64_t seed = static_cast<std::uint64_t>(family) * 1000 + i;
      SCOPED_TRACE("seed " + std::to_string(seed));
      Numbers numbers(seed);
      const Case c = some_case(family, numbers);
      Product product(c);
      fill(family, numbers, c, product);
      on_every_target([&] {
        product.expect_exact(nullptr);
        all += product.work;
        fused = fused || product.work.chained > 0;
        product.expect_exact(&three);
      });
      if (HasFatalFailure()) return;
    }
  }
  if (!fused) return;
  // The families reach every path.
  EXPECT_GT(all.chained, 1'000'000);
  EXPECT_GT(all.single, 1'000'000);
  EXPECT_GT(all.wide, 1'000'000);
  EXPECT_GT(all.in_order, 1'000'000);
}

TEST(FixedPointProduct, EverySmallShape) {
  ThreadPool three(3);
  for (std::int64_t m = 1; m <= 13; m += 2)
    for (const std::int64_t n : {1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 200})
      for (const std::int64_t k : {1, 2, 7, 8, 9, 191, 192, 193}) {
        Numbers numbers(static_cast<std::uint64_t>(m * 1'000'000 + n * 1000 + k));
        const Case c = {.batches = 1, .m = m, .k = k, .n = n};
        Product product(c);
        fill(1, numbers, c, product);
        on_every_target([&] { product.expect_exact(&three); });
        if (HasFatalFailure()) return;
      }
}

TEST(FixedPointProduct, TheLimitItselfOverflows) {
  Product product({.batches = 1, .m = 4, .k = 3, .n = 1});
  for (std::int64_t i = 0; i < 4; ++i)
    for (const std::int64_t k : {0, 1, 2}) {
      const float near = i % 2 == 0 ? 16.0F : 15.9921875F;
      product.x.at(0, i, k) = (i < 2 ? 1.0F : -1.0F) * (k == 0 ? 32752.0F : k == 1 ? near : -1.0F);
    }
  for (std::int64_t k = 0; k < 3; ++k) product.y.at(0, k, 0) = 1.0F;
  EXPECT_EQ(product.expected(), (std::vector<float>{65536.0F, 32768.0F, -65536.0F, -32768.0F}));
  on_every_target([&] { product.expect_exact(nullptr); });
}

/// More rows than one block of panels has, and more batches than are packed at a time.
TEST(FixedPointProduct, ManyRowsAndBatches) {
  ThreadPool three(3);
  for (const Case& c : {Case{.batches = 1, .m = 1100, .k = 20, .n = 130, .has_bias = true},
                        Case{.batches = 70, .m = 130, .k = 12, .n = 5, .x = Layout::columns, .has_bias = true},
                        Case{.batches = 2, .m = 20, .k = 5000, .n = 9}}) {
    Numbers numbers(7);
    Product product(c);
    fill(6, numbers, c, product);
    on_every_target([&] { product.expect_exact(&three); });
    if (HasFatalFailure()) return;
  }
}

TEST(FixedPointProduct, OverflowIsCountedAndTheRestIsNot) {
  const Case c = {.batches = 1, .m = 12, .k = 400, .n = 256};
  Product product(c);
  Numbers numbers(3);
  fill(4, numbers, c, product);
  on_every_target([&] {
    product.expect_exact(nullptr);
    if (product.work.chained == 0) return;  // no fused multiply-add: the scalar model
    EXPECT_EQ(product.work.chained, product.work.total());
  });
  for (std::int64_t k = 0; k < c.k; ++k) product.x.at(0, 3, k) = 32768.0F;
  Product large(c);
  large.x = product.x;
  large.y = product.y;
  on_every_target([&] {
    large.expect_exact(nullptr);
    if (large.work.chained == 0) return;
    EXPECT_GT(large.work.in_order, 0);
    EXPECT_LE(large.work.in_order, c.k * c.n);  // one row of twelve
  });
}

/// All 2^32 pairs as products with k = 1. In `order` equal exponents lie side by side, so that tiles stay within a
/// chain where they can; `shuffled` puts all exponents into every tile, which takes the paths for large operands.
void expect_every_pair(bool shuffled) {
  constexpr std::int64_t kHalves = 65536, kBlock = 48;
  const auto value = [shuffled](std::int64_t i) {
    return engine_value(static_cast<unsigned>(shuffled ? i * 40503 % kHalves : i));  // odd: a permutation
  };
  Operand y(1, 1, kHalves);
  std::vector<fixed_point::Operand> decoded;
  for (std::int64_t j = 0; j < kHalves; ++j) {
    y.at(0, 0, j) = value(j);
    decoded.push_back(fixed_point::decode(value(j)));
  }
  std::vector<std::int64_t> wrong(kHalves, -1);
  ThreadPool pool;
  const auto check = [&](std::int64_t begin, std::int64_t end) {
    Operand x(1, end - begin, 1), out(1, end - begin, kHalves);
    for (std::int64_t i = begin; i < end; ++i) x.at(0, i - begin, 0) = value(i);
    fixed_point_product(x.constant(), y.constant(), nullptr, out.view(), nullptr);
    for (std::int64_t i = begin; i < end; ++i) {
      const float* row = out.values().data() + (i - begin) * kHalves;
      const fixed_point::Operand a = decoded[static_cast<std::size_t>(i)];
      for (std::int64_t j = 0; j < kHalves; ++j) {
        fixed_point::Accumulator sum;
        sum.add(fixed_point::product(a, decoded[static_cast<std::size_t>(j)]));
        if (std::bit_cast<std::uint32_t>(row[j]) != std::bit_cast<std::uint32_t>(sum.result()))
          wrong[static_cast<std::size_t>(i)] = j;
      }
    }
  };
  constexpr std::int64_t kStep = kSlowBuild ? 61 : 1;
  pool.parallel_for((kHalves + kBlock - 1) / kBlock, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block)
      if (block % kStep == 0) check(block * kBlock, std::min(kHalves, (block + 1) * kBlock));
  });
  for (std::int64_t i = 0; i < kHalves; ++i)
    ASSERT_EQ(wrong[static_cast<std::size_t>(i)], -1)
        << value(i) << " times " << value(wrong[static_cast<std::size_t>(i)]);
}

TEST(FixedPointProduct, EveryPairOfNeighbours) { expect_every_pair(false); }
TEST(FixedPointProduct, EveryPairShuffled) { expect_every_pair(true); }

}  // namespace
}  // namespace aneval::emulator
