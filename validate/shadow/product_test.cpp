// Matmul and convolution on every profile's accumulator: the device stays within its shadow on ordinary and on awkward
// operands, and the bounds are no larger than what the accumulator can do.
#include <functional>
#include <ostream>

#include "validate/probe/profile_trial.h"

namespace aneval::validate {
namespace {

struct Operands {
  const char* name;
  std::function<double(Random&)> left, right;
};

double sign(Random& random) { return random.below(2) == 0 ? -1 : 1; }
/// A magnitude with a random significand and an exponent of low … high.
double spread(Random& random, std::int64_t low, std::int64_t high) {
  return sign(random) * std::ldexp(1 + random.uniform(), static_cast<int>(low + random.below(high - low + 1)));
}

const std::vector<Operands>& operand_kinds() {
  static const std::vector<Operands> kinds = {
      {"normal", [](Random& r) { return r.normal(); }, [](Random& r) { return r.normal() / 8; }},
      {"gradients", [](Random& r) { return 1e-3 * r.normal(); }, [](Random& r) { return r.normal() / 32; }},
      {"tiny gradients", [](Random& r) { return 1e-6 * r.normal(); }, [](Random& r) { return r.normal() / 32; }},
      // exponents that sum to −20 … −13, around −17
      {"drop edge", [](Random& r) { return spread(r, -10, -7); }, [](Random& r) { return spread(r, -10, -6); }},
      {"subnormals", [](Random& r) { return spread(r, -24, -13); }, [](Random& r) { return spread(r, -6, 4); }},
      // odd multiples of 2^-17, half of the fixed-point unit
      {"ties", [](Random& r) { return static_cast<double>(r.below(63) - 31) * 0x1p-9; },
       [](Random& r) { return static_cast<double>(r.below(63) - 31) * 0x1p-8; }},
      {"large", [](Random& r) { return 2000 * r.normal(); }, [](Random& r) { return r.normal(); }},
      {"range", [](Random& r) { return spread(r, 11, 13); }, [](Random& r) { return sign(r) * spread(r, 0, 1); }},
      {"integers", [](Random& r) { return static_cast<double>(r.below(5) - 2); },
       [](Random& r) { return static_cast<double>(r.below(3) - 1); }},
      {"mostly zero", [](Random& r) { return r.below(4) == 0 ? r.normal() : 0.0; },
       [](Random& r) { return r.normal(); }},
      {"all exponents", [](Random& r) { return spread(r, -24, 6); }, [](Random& r) { return spread(r, -24, 6); }},
  };
  return kinds;
}

/// How uncertain operands are: not at all, in proportion, or by the step between fp16's subnormals and normal numbers.
double uncertainty(Random& random, std::int64_t kind, double value) {
  if (kind == 0) return 0;
  if (kind == 1) return std::abs(value) * 0x1p-9 * random.uniform();
  return random.below(2) == 0 ? 0 : 0x1p-13 * random.uniform();
}

std::string matmul_text(std::int64_t m, std::int64_t k, std::int64_t n) {
  const auto shape = [](std::int64_t rows, std::int64_t cols) {
    return "tensor<fp16, [" + std::to_string(rows) + ", " + std::to_string(cols) + "]>";
  };
  return program_of(shape(m, k) + " a, " + shape(k, n) + " b",
                    "bool no = const()[name = string(\"no\"), val = bool(false)];\n" + shape(m, n) +
                        " y = matmul(transpose_x = no, transpose_y = no, x = a, y = b)[name = string(\"y\")];\n");
}

std::string conv_text(std::int64_t out, std::int64_t in, std::int64_t width) {
  const std::string o = std::to_string(out), i = std::to_string(in), w = std::to_string(width);
  return program_of("tensor<fp16, [" + o + ", " + i + ", 1, 1]> k, tensor<fp16, [1, " + std::to_string(2 * in) +
                        ", 1, " + w + "]> a, tensor<fp16, [" + o + "]> c",
                    "string pt = const()[name = string(\"pt\"), val = string(\"valid\")];\n"
                    "tensor<int32, [2]> one = const()[name = string(\"one\"), val = tensor<int32, [2]>([1, 1])];\n"
                    "tensor<int32, [4]> pd = const()[name = string(\"pd\"), val = tensor<int32, [4]>([0, 0, 0, 0])];\n"
                    "int32 gr = const()[name = string(\"gr\"), val = int32(2)];\n"
                    "tensor<fp16, [1, " +
                        o + ", 1, " + w +
                        "]> y = conv(bias = c, dilations = one, groups = gr, pad = pd, pad_type = pt, "
                        "strides = one, weight = k, x = a)[name = string(\"y\")];\n");
}

class Products : public ::testing::TestWithParam<std::string> {};

TEST_P(Products, TheDeviceStaysWithinItsShadow) {
  for (const Operands& kind : operand_kinds()) {
    double reached = 0;
    for (std::int64_t trial = 0; trial < 40 && !HasFailure(); ++trial) {
      Random random(static_cast<std::uint64_t>(trial) + 1, kind.name);
      const std::int64_t m = 1 + random.below(4), k = trial < 8 ? trial + 1 : 1 + random.below(60),
                         n = 1 + random.below(80);
      SCOPED_TRACE(std::string(kind.name) + " trial " + std::to_string(trial));
      const auto input = [&](std::int64_t count, const auto& draw) {
        return draw_input(
            static_cast<std::size_t>(count), [&] { return draw(random); },
            [&](double value) { return uncertainty(random, trial % 3, value); });
      };
      const std::vector<TrialInput> inputs = {input(m * k, kind.left), input(k * n, kind.right)};
      reached = std::max(reached, run_trial(GetParam(), matmul_text(m, k, n), inputs, random).reached);
    }
    // A bound that tells nothing would be far from every error. Where nothing rounds there is no error to be near to.
    if (std::string(kind.name) != "integers") {
      EXPECT_GT(reached, 0.3) << kind.name;
    }
  }
}

TEST_P(Products, ABiasIsPartOfTheAccumulator) {
  for (const Operands& kind : operand_kinds()) {
    for (std::int64_t trial = 0; trial < 12 && !HasFailure(); ++trial) {
      Random random(static_cast<std::uint64_t>(trial) + 1, kind.name);
      const std::int64_t out = 2 * (1 + random.below(3)), in = 1 + random.below(9), width = 1 + random.below(70);
      SCOPED_TRACE(std::string(kind.name) + " trial " + std::to_string(trial));
      const auto input = [&](std::int64_t count, const auto& draw) {
        return draw_input(
            static_cast<std::size_t>(count), [&] { return draw(random); },
            [&](double value) { return uncertainty(random, trial % 3, value); });
      };
      const auto bias = [](Random& r) { return r.below(3) == 0 ? spread(r, 12, 14) : spread(r, -24, 2); };
      (void)run_trial(GetParam(), conv_text(out, in, width),
                      {input(out * in, kind.right), input(2 * in * width, kind.left), input(out, bias)}, random);
    }
  }
}

// Sums around ±32768 that come back: whether they overflow on the way is the accumulator's business, and the shadow
// must foresee it. Certain operands leave no doubt in fixed point unless a sum comes within its bound of the limit.
TEST_P(Products, PartialSumsThatLeaveTheRangeAreForeseen) {
  std::int64_t infinite = 0, straddling = 0, elements = 0;
  for (std::int64_t trial = 0; trial < 60 && !HasFailure(); ++trial) {
    Random random(static_cast<std::uint64_t>(trial) + 1, "limit");
    const std::int64_t k = 8, n = 70;
    const TrialInput steps = draw_input(
        static_cast<std::size_t>(k),
        [&] { return sign(random) * (trial % 2 == 0 ? 8192.0 : 4096 * (2 + random.uniform())); },
        [&](double) { return trial % 3 == 2 ? 4.0 * random.uniform() : 0.0; });
    const TrialInput factors = draw_input(
        static_cast<std::size_t>(k * n), [&] { return trial % 2 == 0 ? sign(random) * 2.0 : 2 * random.normal(); },
        [](double) { return 0.0; });
    const TrialResult result = run_trial(GetParam(), matmul_text(1, k, n), {steps, factors}, random);
    infinite += result.infinite;
    straddling += result.straddling;
    elements += n;
  }
  if (GetParam() == "ieee") return;
  EXPECT_GT(infinite, 0);
  EXPECT_LT(infinite, elements);
  EXPECT_LT(straddling, infinite + elements / 20);
}

TEST_P(Products, IntegersAndGridsLeaveNoError) {
  // Multiples of 2^-p and 2^-q with p + q ≤ 16 and room for their sums; h13's adder holds 12 bits above the grid, fp32
  // 24, and the result must be an fp16 number: few terms of few bits.
  for (const auto& [p, q] : std::vector<std::pair<int, int>>{{0, 0}, {4, 6}, {8, 8}, {-3, 2}}) {
    Random random(5);
    const std::int64_t m = 3, k = 24, n = 66;
    const auto on_grid = [&](std::int64_t count, int exponent) {
      return draw_input(
          static_cast<std::size_t>(count),
          [&] { return std::ldexp(static_cast<double>(random.below(9) - 4), -exponent); }, [](double) { return 0.0; });
    };
    const TrialResult result =
        run_trial(GetParam(), matmul_text(m, k, n), {on_grid(m * k, p), on_grid(k * n, q)}, random);
    if (GetParam() == "ieee" && (p != 0 || q != 0)) continue;  // its rule knows integers only
    EXPECT_EQ(result.exact, m * n) << GetParam() << " grids " << p << ' ' << q;
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, Products, ::testing::Values("ieee", "h13", "h16"),
                         [](const auto& instance) { return instance.param; });

// The bound is at most what the accumulator can do to K products, in its own units.
TEST(FixedPoint, TheBoundIsHalfAUnitPerProductAndTheStore) {
  Random random(11);
  const std::int64_t k = 50, n = 64;
  const auto draw = [&](std::int64_t count) {
    return draw_input(static_cast<std::size_t>(count), [&] { return random.normal(); }, [](double) { return 0.0; });
  };
  const TrialResult result = run_trial("h16", matmul_text(1, k, n), {draw(k), draw(k * n)}, random);
  for (const Shadow& s : result.shadow)
    EXPECT_LE(s.bound, 50 * 0x1p-17 * 1.01 + half_spacing(std::abs(s.value) + 1e-2));
}

TEST(FixedPoint, DroppedProductsCostWhatTheyAre) {
  Random random(12);
  // 2^-9 · 2^-8 has exponents −17 and is dropped: the whole product is lost, K of them.
  const std::int64_t k = 32;
  const TrialInput left{std::vector<float>(k, 0x1p-9F), std::vector<double>(k, 0.0)};
  const TrialInput right{std::vector<float>(k, 0x1p-8F), std::vector<double>(k, 0.0)};
  const TrialResult dropped = run_trial("h16", matmul_text(1, k, 1), {left, right}, random);
  EXPECT_EQ(dropped.device[0], 0);
  EXPECT_NEAR(dropped.shadow[0].bound, 32 * 0x1p-17, 1e-6);
  EXPECT_GE(dropped.shadow[0].bound, 32 * 0x1p-17);
  // One exponent more, and nothing is lost: 2^-16 is a unit.
  const TrialInput kept{std::vector<float>(k, 0x1p-7F), std::vector<double>(k, 0.0)};
  EXPECT_EQ(run_trial("h16", matmul_text(1, k, 1), {left, kept}, random).shadow[0].bound, 0);
}

TEST(FixedPoint, ASureOverflowLeavesNoFiniteValue) {
  Random random(13);
  // 32768 after two of four terms, 0 at the end.
  const TrialInput left{{128, 128, 128, 128}, std::vector<double>(4, 0.0)};
  const TrialInput right{{128, 128, -128, -128}, std::vector<double>(4, 0.0)};
  const Shadow s = run_trial("h16", matmul_text(1, 4, 1), {left, right}, random).shadow[0];
  EXPECT_TRUE(s.plus_infinity);
  EXPECT_FALSE(s.minus_infinity);
  EXPECT_FALSE(s.finite);
  // The order matters: alternating terms never get there. h13 looks at the last sum only.
  const TrialInput alternating{{128, -128, 128, -128}, std::vector<double>(4, 0.0)};
  EXPECT_FALSE(run_trial("h16", matmul_text(1, 4, 1), {left, alternating}, random).shadow[0].straddles());
  EXPECT_FALSE(run_trial("h13", matmul_text(1, 4, 1), {left, right}, random).shadow[0].straddles());
}

TEST(FourLane, TheBoundIsSixTruncationsPerGroupAndTheStore) {
  Random random(14);
  const std::int64_t k = 48, n = 64;
  const auto draw = [&](std::int64_t count) {
    return draw_input(static_cast<std::size_t>(count), [&] { return random.normal(); }, [](double) { return 0.0; });
  };
  const TrialInput left = draw(k), right = draw(k * n);
  const TrialResult result = run_trial("h13", matmul_text(1, k, n), {left, right}, random);
  for (std::size_t j = 0; j < n; ++j) {
    double magnitude = 0;
    for (std::size_t i = 0; i < k; ++i)
      magnitude += std::abs(static_cast<double>(left.held[i]) * static_cast<double>(right.held[i * n + j]));
    EXPECT_LE(result.shadow[j].bound,
              6 * 0x1p-11 * magnitude * 1.01 + half_spacing(std::abs(result.shadow[j].value) + 1));
    EXPECT_GE(result.shadow[j].bound, 0x1p-11 * magnitude) << "less than one truncation per product";
  }
  EXPECT_GT(result.most_error, result.most_bound / 30);
}

TEST(FourLane, FlushedOperandsCostTheirProducts) {
  Random random(15);
  const TrialInput left{{0x1p-15F, 1, 0x1.8p-16F, 0}, std::vector<double>(4, 0.0)};
  const TrialInput right{{1024, 0, 512, 0}, std::vector<double>(4, 0.0)};
  const TrialResult result = run_trial("h13", matmul_text(1, 4, 1), {left, right}, random);
  EXPECT_EQ(result.device[0], 0);
  EXPECT_NEAR(result.shadow[0].bound, 0x1p-5 + 0x1.8p-7, 1e-6);
}

}  // namespace
}  // namespace aneval::validate
