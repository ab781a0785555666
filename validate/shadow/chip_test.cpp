// What chips do outside of products, against its shadow rules: elementwise operations, tables, sums, softmax, slices;
// and the fp16 arithmetic in double that the rules are made of, against the emulator's own.
#include <functional>

#include "ane/emulator/function_table.h"
#include "ane/emulator/half_values.h"
#include "common/error.h"
#include "validate/probe/profile_trial.h"

namespace aneval::validate {
namespace {

using emulator::Function;
using emulator::Rounding;

TEST(HalfInterval, RoundsLikeTheEmulatorEverywhereInFp16AndBetween) {
  for (std::uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const auto half = static_cast<double>(ane::to_float(static_cast<ane::half_t>(bits)));
    const double spacing = half_spacing(half);
    // 2^-12 of a spacing beside a tie: products of two fp16 numbers come no nearer.
    for (const double steps : {0.0, 0.25, 0.5, 0.5 - 0x1p-12, 0.5 + 0x1p-12, 0.75})
      for (const double value : {half + steps * spacing, -half - steps * spacing}) {
        for (const Rounding rounding : {Rounding::nearest_even, Rounding::half_away})
          ASSERT_EQ(nearest_half(rounding, value),
                    static_cast<double>(emulator::round_to_half({rounding, emulator::Specials::ordinary}, value)))
              << value;
        const double above = half_above(value), below = half_below(value);
        ASSERT_TRUE(below <= value && value <= above && above - below <= spacing) << value;
        ASSERT_EQ(nearest_half(Rounding::half_away, above), above);
        ASSERT_EQ(nearest_half(Rounding::half_away, below), below);
      }
  }
}

// The shadows look tables up at the ends of an interval only.
TEST(Tables, GrowWithTheirArgumentOverAllOfFp16) {
  for (const Function function : {Function::sigmoid, Function::tanh, Function::exp}) {
    const auto& values = emulator::function_values(function);
    for (std::size_t bits = 1; bits < 0x8000; ++bits) {
      ASSERT_GE(values[bits], values[bits - 1]) << bits;
      ASSERT_LE(values[0x8000 + bits], values[0x8000 + bits - 1]) << "negative, bits " << bits;
    }
  }
}

std::string unary_text(const std::string& op, std::int64_t n) {
  const std::string type = "tensor<fp16, [" + std::to_string(n) + "]>";
  return program_of(type + " a", type + " y = " + op + "(x = a)[name = string(\"y\")];\n");
}

std::string binary_text(const std::string& op, std::int64_t n) {
  const std::string type = "tensor<fp16, [" + std::to_string(n) + "]>";
  return program_of(type + " a, " + type + " b", type + " y = " + op + "(x = a, y = b)[name = string(\"y\")];\n");
}

std::string softmax_text(std::int64_t rows, std::int64_t n) {
  const std::string type = "tensor<fp16, [" + std::to_string(rows) + ", " + std::to_string(n) + "]>";
  return program_of(type + " a", "int32 last = const()[name = string(\"last\"), val = int32(-1)];\n" + type +
                                     " y = softmax(axis = last, x = a)[name = string(\"y\")];\n");
}

std::string row_text(const std::string& op, std::int64_t rows, std::int64_t n) {
  const std::string r = std::to_string(rows);
  return program_of("tensor<fp16, [" + r + ", " + std::to_string(n) + "]> a",
                    "bool no = const()[name = string(\"no\"), val = bool(false)];\n"
                    "tensor<int32, [1]> ax = const()[name = string(\"ax\"), val = tensor<int32, [1]>([1])];\n"
                    "tensor<fp16, [" +
                        r + "]> y = " + op + "(axes = ax, keep_dims = no, x = a)[name = string(\"y\")];\n");
}

std::string sum_text(std::int64_t rows, std::int64_t n) { return row_text("reduce_sum", rows, n); }

/// sub before it: the slice reads what an operation stored.
std::string slice_text(std::int64_t n) {
  const std::string type = "tensor<fp16, [" + std::to_string(n) + "]>", rest = std::to_string(n - 1);
  return program_of(type + " a, " + type + " b",
                    "tensor<int32, [1]> from = const()[name = string(\"from\"), val = tensor<int32, [1]>([1])];\n"
                    "tensor<int32, [1]> size = const()[name = string(\"size\"), val = tensor<int32, [1]>([" +
                        rest + "])];\n" + type +
                        " d = add(x = a, y = b)[name = string(\"d\")];\n"
                        "tensor<fp16, [" +
                        rest + "]> y = slice_by_size(begin = from, size = size, x = d)[name = string(\"y\")];\n");
}

/// Values of every size, or of one; uncertain or not.
TrialInput draw(Random& random, std::int64_t n, double scale, std::int64_t trial) {
  return draw_input(
      static_cast<std::size_t>(n),
      [&] {
        return scale > 0 ? scale * random.normal()
                         : std::ldexp(random.normal(), static_cast<int>(random.below(40) - 24));
      },
      [&](double value) {
        return trial % 3 == 0   ? 0.0
               : trial % 3 == 1 ? std::abs(value) * 0x1p-9 * random.uniform()
                                : 0.02 * random.uniform();
      });
}

const std::vector<double> kScales = {1, 1e-3, 8, 200, 20000, 0};  // 0: every size

class Chips : public ::testing::TestWithParam<std::string> {
 protected:
  /// `trials` runs for every scale; the largest error over bound of each scale.
  std::vector<double> run_scales(std::int64_t trials,
                                 const std::function<TrialResult(Random&, double, std::int64_t)>& run) {
    std::vector<double> reached;
    for (const double scale : kScales) {
      reached.push_back(0);
      for (std::int64_t trial = 0; trial < trials && !HasFailure(); ++trial) {
        SCOPED_TRACE("scale " + std::to_string(scale) + " trial " + std::to_string(trial));
        Random random(static_cast<std::uint64_t>(trial) + 1, std::to_string(scale));
        reached.back() = std::max(reached.back(), run(random, scale, trial).reached);
      }
    }
    return reached;
  }
};

TEST_P(Chips, ElementwiseResultsStayWithinTheirShadowsAndReachThem) {
  for (const std::string op : {"add", "sub", "mul", "maximum", "minimum"}) {
    SCOPED_TRACE(op);
    for (const double reached : run_scales(12, [&](Random& random, double scale, std::int64_t trial) {
           return run_trial(GetParam(), binary_text(op, 300),
                            {draw(random, 300, scale, trial), draw(random, 300, scale, trial)}, random);
         }))
      EXPECT_GT(reached, 0.9);  // one rounding: the bound is what it can do
  }
  for (const std::string op : {"relu", "square"}) {
    SCOPED_TRACE(op);
    (void)run_scales(12, [&](Random& random, double scale, std::int64_t trial) {
      return run_trial(GetParam(), unary_text(op, 300), {draw(random, 300, scale, trial)}, random);
    });
  }
}

TEST_P(Chips, FunctionsStayWithinTheirShadowsAndReachThem) {
  for (const std::string op : {"sigmoid", "tanh", "exp"}) {
    SCOPED_TRACE(op);
    for (const double reached : run_scales(12, [&](Random& random, double scale, std::int64_t trial) {
           return run_trial(GetParam(), unary_text(op, 500), {draw(random, 500, scale, trial)}, random);
         }))
      EXPECT_GT(reached, 0.9);  // certain arguments: the bound is the table's own error there
  }
}

TEST_P(Chips, SumsStayWithinTheirShadowsAndReachThem) {
  const bool any_order = GetParam() == "ieee" || GetParam().ends_with("fp32");
  for (const double reached : run_scales(30, [&](Random& random, double scale, std::int64_t trial) {
         const std::int64_t n = 1 + random.below(300);
         return run_trial(GetParam(), sum_text(12, n), {draw(random, 12 * n, scale, trial)}, random);
       }))
    EXPECT_GT(reached, any_order ? 0.5 : 0.9);  // the device's own steps: no error that it does not make
}

TEST_P(Chips, SoftmaxStaysWithinItsShadowAndComesNear) {
  for (const double reached : run_scales(30, [&](Random& random, double scale, std::int64_t trial) {
         const std::int64_t n = 1 + random.below(100);
         return run_trial(GetParam(), softmax_text(6, n), {draw(random, 6 * n, scale, trial)}, random);
       }))
    EXPECT_GT(reached, 0.5);
}

// Scores off by E each move a probability by a factor of e^(2E), and the cut interval of the maximum adds e^(2E/8); the
// table (9 units of 2^-11 on either side of the quotient), the sum and three roundings stay below 4 %.
TEST_P(Chips, UncertainScoresCostTwiceTheirBoundAndLittleMore) {
  constexpr double kBound = 0.1;
  for (std::int64_t trial = 0; trial < 20; ++trial) {
    Random random(static_cast<std::uint64_t>(trial) + 1, "scores");
    const TrialInput scores = draw_input(16, [&] { return random.normal(); }, [](double) { return kBound; });
    for (const Shadow& s : run_trial(GetParam(), softmax_text(1, 16), {scores}, random).shadow)
      EXPECT_LE(s.bound, s.value * (std::exp(2 * kBound * (1 + 1.0 / 8)) * 1.04 - 1)) << s.value;
  }
}

TEST_P(Chips, MaskedScoresThatOverflowLeaveTheOthersAlone) {
  Random random(3);
  TrialInput scores =
      draw_input(64, [&] { return 3 * random.normal(); }, [&](double) { return 0.01 * random.uniform(); });
  TrialInput mask{std::vector<float>(64, 0.0F), std::vector<double>(64, 0.0)};
  for (std::size_t i = 0; i < 64; i += 2) {
    mask.held[i] = -65504;
    scores.held[i] = -40;  // to -65536 and beyond
  }
  const std::string type = "tensor<fp16, [1, 64]>";
  const std::string body = "int32 last = const()[name = string(\"last\"), val = int32(-1)];\n" + type +
                           " s = add(x = a, y = b)[name = string(\"s\")];\n" + type +
                           " y = softmax(axis = last, x = s)[name = string(\"y\")];\n";
  const TrialResult result =
      run_trial(GetParam(), program_of(type + " a, " + type + " b", body), {scores, mask}, random);
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_FALSE(result.shadow[i].straddles());
    EXPECT_LE(result.shadow[i].bound, i % 2 == 0 ? 0 : 0.05);
  }
}

// Gaps of 18 and more select: the probabilities are 0 and 1, e^-18 is less than half of fp16's smallest number.
TEST_P(Chips, SelectionIsExact) {
  Random random(4);
  TrialInput scores{std::vector<float>(40, 0.0F), std::vector<double>(40, 0.0)};
  scores.held[7] = 362;
  const TrialResult result = run_trial(GetParam(), softmax_text(1, 40), {scores}, random);
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(result.device[i], i == 7 ? 1.0F : 0.0F);
    EXPECT_LT(result.shadow[i].bound, 1e-100);
  }
}

TEST_P(Chips, FunctionsAtZeroAndSumsOfIntegersAreExact) {
  Random random(5);
  const TrialInput zero{{0}, {0}};
  for (const auto& [op, value] :
       std::vector<std::pair<std::string, float>>{{"sigmoid", 0.5F}, {"exp", 1.0F}, {"tanh", 0.0F}}) {
    const TrialResult result = run_trial(GetParam(), unary_text(op, 1), {zero}, random);
    EXPECT_EQ(result.device[0], value) << op;
    EXPECT_LT(result.shadow[0].bound, 0x1p-48) << op;
  }
  const TrialInput integers =
      draw_input(12 * 200, [&] { return static_cast<double>(random.below(21) - 10); }, [](double) { return 0.0; });
  EXPECT_EQ(run_trial(GetParam(), sum_text(12, 200), {integers}, random).exact, 12);
}

TEST_P(Chips, SlicesLoseWhatExceedsTheirGain) {
  const bool gain = emulator::find_profile(GetParam()).slice_gain;
  for (std::int64_t trial = 0; trial < 200 && !HasFailure(); ++trial) {
    Random random(static_cast<std::uint64_t>(trial) + 1, "slice");
    const auto sign = [&] { return random.below(2) == 0 ? -1.0 : 1.0; };
    // Neighbours of 4094 are 2 apart: certain ones, and ones that may be on either side.
    const TrialInput a = draw_input(
        64, [&] { return sign() * (4080 + 4 * static_cast<double>(random.below(8))); },
        [&](double) { return trial % 2 == 0 ? 0.0 : 3 * random.uniform(); });
    const TrialInput b =
        draw_input(64, [&] { return static_cast<double>(random.below(9) - 4); }, [](double) { return 0.0; });
    const TrialResult result = run_trial(GetParam(), slice_text(64), {a, b}, random);
    if (!gain) {
      EXPECT_EQ(result.straddling, 0);
    } else if (trial % 2 == 0) {
      EXPECT_EQ(result.straddling, result.infinite) << "nothing is uncertain";
    }
  }
}

// An infinity that is read again is ±65536 on the chips, and what they make of it must be foreseen.
TEST_P(Chips, InfinitiesThatAreReadAgainAreFollowed) {
  if (GetParam() == "ieee") return;
  const std::string type = "tensor<fp16, [64]>";
  const auto parameters = type + " a, " + type + " b, " + type + " c";
  for (const std::string op : {"add", "sub", "mul", "maximum"})
    for (std::int64_t trial = 0; trial < 40 && !HasFailure(); ++trial) {
      Random random(static_cast<std::uint64_t>(trial) + 1, op);
      const auto values = [&](double scale) {
        return draw_input(
            64, [&] { return scale * random.normal(); },
            [&](double value) { return trial % 2 == 0 ? 0.0 : std::abs(value) * 0x1p-10; });
      };
      (void)run_trial(GetParam(),
                      program_of(parameters, type + " p = mul(x = a, y = b)[name = string(\"p\")];\n" + type +
                                                 " y = " + op + "(x = p, y = c)[name = string(\"y\")];\n"),
                      {values(300), values(300), values(op == "mul" ? 0.3 : 40000)}, random);
    }
}

// Certain numbers, ones that may be several steps apart, and ones beyond the range; steps that are a power of two and
// not.
TEST_P(Chips, QuantizedNumbersStayWithinTheirShadowsAndReachThem) {
  const bool has_rule = emulator::find_profile(GetParam()).eight_bits.has_value();
  for (const std::string step : {"0x1p-2", "0x1.8p-3"}) {
    SCOPED_TRACE(step);
    const std::string body = "fp16 s = const()[name = string(\"s\"), val = fp16(" + step +
                             ")];\nint8 z = const()[name = string(\"z\"), val = int8(-3)];\n"
                             "string t = const()[name = string(\"t\"), val = string(\"int8\")];\n"
                             "tensor<int8, [200]> q = quantize(input = a, output_dtype = t, scale = s, zero_point = z)"
                             "[name = string(\"q\")];\n"
                             "tensor<fp16, [200]> y = dequantize(input = q, scale = s, zero_point = z)"
                             "[name = string(\"y\")];\n";
    const std::string text = program_of("tensor<fp16, [200]> a", body);
    double reached = 0;
    for (std::int64_t trial = 0; trial < 60 && !HasFailure(); ++trial) {
      Random random(static_cast<std::uint64_t>(trial) + 1, step);
      const double scale = trial % 2 == 0 ? 4 : 40;  // the range ends at 32 and at 24
      const TrialInput a = draw_input(
          200, [&] { return scale * random.normal(); },
          [&](double) { return trial % 3 == 0 ? 0.0 : random.uniform() * (trial % 3 == 1 ? 0.05 : 2); });
      if (!has_rule) {
        try {
          (void)run_trial(GetParam(), text, {a}, random);
          FAIL() << "ran without a rule";
        } catch (const Error& error) {
          EXPECT_NE(error.reason().find("has no rule for 8-bit numbers"), std::string::npos) << error.what();
        }
        return;
      }
      reached = std::max(reached, run_trial(GetParam(), text, {a}, random).reached);
    }
    EXPECT_GT(reached, 0.9);
  }
}

TEST_P(Chips, MaximaStayWithinTheirShadowsAndReachThem) {
  for (const double reached : run_scales(30, [&](Random& random, double scale, std::int64_t trial) {
         const std::int64_t n = 1 + random.below(100);
         return run_trial(GetParam(), row_text("reduce_max", 12, n), {draw(random, 12 * n, scale, trial)}, random);
       }))
    EXPECT_GT(reached, 0.5);
}

TEST(Ieee, MeansStayWithinTheirShadowsAndReachThem) {
  double reached = 0;
  for (std::int64_t trial = 0; trial < 60 && !HasFailure(); ++trial) {
    Random random(static_cast<std::uint64_t>(trial) + 1, "mean");
    const double scale = kScales[static_cast<std::size_t>(trial) % kScales.size()];
    const std::int64_t n = 1 + random.below(100);
    const TrialInput rows = draw(random, 12 * n, scale, trial);
    reached = std::max(reached, run_trial("ieee", row_text("reduce_mean", 12, n), {rows}, random).reached);
  }
  EXPECT_GT(reached, 0.5);
}

// With ieee an infinity is read again as one: what functions and operations make of it, or of what may be one.
TEST(Ieee, InfinitiesThatAreReadAgainAreFollowed) {
  const std::string type = "tensor<fp16, [64]>";
  const std::set<std::string> of_one = {"tanh", "sigmoid", "exp", "relu", "square", "silu", "sqrt", "rsqrt"};
  for (const std::string op : {"tanh", "sigmoid", "exp", "relu", "square", "silu", "sqrt", "rsqrt", "add", "sub", "mul",
                               "times", "real_div", "divides", "maximum", "minimum", "pow", "powers"}) {
    SCOPED_TRACE(op);
    const bool unary = of_one.contains(op);
    // silu of -infinity is NaN with ieee, which never passes.
    const bool positive = op == "sqrt" || op == "rsqrt" || op == "silu" || op == "pow" || op == "powers";
    std::int64_t infinite = 0, straddling = 0, finite = 0;
    for (std::int64_t trial = 0; trial < 40 && !HasFailure(); ++trial) {
      Random random(static_cast<std::uint64_t>(trial) + 1, op);
      const auto values = [&](double scale, double least, bool certain) {
        return draw_input(
            64,
            [&] {
              const double value = scale * random.normal();
              return positive ? std::abs(value) + least : value + std::copysign(least, value);
            },
            [&](double value) { return certain || trial % 2 == 0 ? 0.0 : std::abs(value) * 0x1p-10; });
      };
      std::string call = op + "(x = p, y = c)";  // p overflows in places
      if (unary) call = op + "(x = p)";
      if (op == "times") call = "mul(x = c, y = p)";
      if (op == "divides") call = "real_div(x = c, y = p)";
      if (op == "powers") call = "pow(x = p, y = d)";
      const TrialResult result =
          run_trial("ieee",
                    program_of(type + " a, " + type + " b, " + type + " c, " + type + " d",
                               type + " p = mul(x = a, y = b)[name = string(\"p\")];\n" + type + " y = " + call +
                                   "[name = string(\"y\")];\n"),
                    {values(300, 1, false), values(300, 1, false),
                     values(op == "mul" || op == "times" || op == "pow" ? 0.3 : 40000, 0.1, op == "pow"),
                     draw_input(
                         64, [&] { return random.below(2) == 0 ? -0.5 : 0.5; }, [](double) { return 0.0; })},
                    random);
      infinite += result.infinite;
      straddling += result.straddling;
      finite += std::ssize(result.device) - result.infinite;
    }
    EXPECT_GT(finite, 0);
    // What stays finite whatever its argument is.
    if (op == "tanh" || op == "sigmoid" || op == "rsqrt" || op == "divides") {
      EXPECT_EQ(infinite, 0);
      EXPECT_EQ(straddling, 0);
    } else {
      EXPECT_GT(infinite, 0);
      EXPECT_GT(straddling, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, Chips, ::testing::ValuesIn(distinct_profiles()), [](const auto& instance) {
  std::string name = instance.param;
  std::replace_if(name.begin(), name.end(), [](char c) { return c == ':' || c == '='; }, '_');
  return name;
});

TEST(NoRule, WhatAProfileHasNoRuleForIsAnErrorOfTheShadowsToo) {
  Random random(6);
  const TrialInput one{{1}, {0}};
  for (const std::string op : {"sqrt", "rsqrt", "silu"})
    EXPECT_THROW((void)run_trial("h16", unary_text(op, 1), {one}, random), Error) << op;
  EXPECT_THROW((void)run_trial("h16", binary_text("real_div", 1), {one, one}, random), Error);
  EXPECT_NO_THROW((void)run_trial("ieee", unary_text("sqrt", 1), {one}, random));
}

}  // namespace
}  // namespace aneval::validate
