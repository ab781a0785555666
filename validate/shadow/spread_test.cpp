// Whether devices' errors are spread as the shadows say: programs of the shapes that make up the kernels, on every
// profile that computes differently. Too narrow a spread fails the gates; too wide a one hides defects, so that R has a
// lower limit as well.
#include "validate/gates.h"
#include "validate/probe/profile_trial.h"

namespace aneval::validate {
namespace {

struct Spread {
  SpreadJudgement judgement;
  double largest_bias = 0;  // |B|/σ
};

/// The program on certain inputs: a device's values, judged against the shadows' exact ones.
Spread spread_of(const std::string& profile, const std::string& text, const std::vector<TrialInput>& inputs,
                 std::uint64_t seed) {
  Random random(seed, "trial");
  const TrialResult result = run_trial(profile, text, inputs, random);
  std::vector<double> exact;
  Spread spread;
  for (const Shadow& s : result.shadow) {
    exact.push_back(s.value);
    if (s.sigma() > 0)
      spread.largest_bias = std::max(spread.largest_bias, std::abs(static_cast<double>(s.bias)) / s.sigma());
  }
  spread.judgement = judge_spread(result.device, exact, result.shadow, 1e-12, 1e-12);
  return spread;
}

TrialInput normal_input(std::size_t n, std::uint64_t seed, double deviation, double mean = 0) {
  Random random(seed, "input");
  return draw_input(n, [&] { return mean + deviation * random.normal(); }, [](double) { return 0.0; });
}

std::string tensor(const std::vector<std::int64_t>& shape) {
  std::string text = "tensor<fp16, [";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]>";
}

std::string operation(const std::vector<std::int64_t>& shape, const std::string& name, const std::string& call) {
  return tensor(shape) + " " + name + " = " + call + "[name = string(\"" + name + "\")];\n";
}

const std::string kFlags =
    "bool no = const()[name = string(\"no\"), val = bool(false)];\n"
    "bool yes = const()[name = string(\"yes\"), val = bool(true)];\n"
    "int32 last = const()[name = string(\"last\"), val = int32(-1)];\n"
    "tensor<int32, [1]> lasts = const()[name = string(\"lasts\"), val = tensor<int32, [1]>([-1])];\n";

std::string product(const std::string& x, const std::string& y, bool turn_x = false, bool turn_y = false) {
  const auto flag = [](bool value) { return std::string(value ? "yes" : "no"); };
  return "matmul(x = " + x + ", y = " + y + ", transpose_x = " + flag(turn_x) + ", transpose_y = " + flag(turn_y) + ")";
}

/// What a trial is expected to give. R above 1 is covered by its limit; below `least` the spread is no use.
struct Trial {
  const char* name;
  double least = 0.5;
  std::function<std::pair<std::string, std::vector<TrialInput>>(std::uint64_t seed)> make;
};

/// Attention's probabilities, and what is made of them with the rows kept, and with the rows contracted.
std::pair<std::string, std::vector<TrialInput>> attention(std::uint64_t seed, bool turned, double mean) {
  const std::int64_t s = 48, h = 32;
  const std::string text =
      program_of(tensor({2, s, h}) + " q, " + tensor({2, s, h}) + " k, " + tensor({2, s, h}) + " v",
                 kFlags + operation({2, s, s}, "scores", product("q", "k", false, true)) +
                     operation({2, s, s}, "p", "softmax(axis = last, x = scores)") +
                     operation({2, s, h}, "y", product("p", "v", turned)));
  const auto n = static_cast<std::size_t>(2 * s * h);
  return {text, {normal_input(n, seed, 0.5), normal_input(n, seed + 1, 0.5), normal_input(n, seed + 2, 1, mean)}};
}

/// ds = P∘(dp − rowsum(P∘dp)), then times keys: a row's sum is off by the same for all keys.
std::pair<std::string, std::vector<TrialInput>> attention_backward(std::uint64_t seed, bool turned) {
  const std::int64_t s = 64, h = 32;
  const std::string text =
      program_of(tensor({2, s, s}) + " p, " + tensor({2, s, s}) + " dp, " + tensor({2, s, h}) + " k",
                 kFlags + operation({2, s, s}, "pdp", "mul(x = p, y = dp)") +
                     operation({2, s, 1}, "sum", "reduce_sum(x = pdp, axes = lasts, keep_dims = yes)") +
                     operation({2, s, s}, "centred", "sub(x = dp, y = sum)") +
                     operation({2, s, s}, "ds", "mul(x = centred, y = p)") +
                     operation({2, s, h}, "y", product("ds", "k", turned)));
  Random random(seed, "p");
  TrialInput p = draw_input(
      static_cast<std::size_t>(2 * s * s), [&] { return std::exp(random.normal()) / (1.65 * static_cast<double>(s)); },
      [](double) { return 0.0; });
  return {text,
          {p, normal_input(static_cast<std::size_t>(2 * s * s), seed + 1, 1, 8),
           normal_input(static_cast<std::size_t>(2 * s * h), seed + 2, 1, 2)}};
}

/// Probabilities, dp, ds and its product in one program: a row shares what its softmax's sum is off by and what the sum
/// of p·dp is, and both meet in ds.
std::pair<std::string, std::vector<TrialInput>> whole_attention_backward(std::uint64_t seed, bool turned) {
  const std::int64_t s = 48, h = 16;
  std::string parameters;
  for (const char* name : {"q", "k", "v", "da"})
    parameters += (parameters.empty() ? "" : ", ") + tensor({2, s, h}) + " " + name;
  const std::string text =
      program_of(parameters, kFlags + operation({2, s, s}, "scores", product("q", "k", false, true)) +
                                 operation({2, s, s}, "p", "softmax(axis = last, x = scores)") +
                                 operation({2, s, s}, "dp", product("da", "v", false, true)) +
                                 operation({2, s, s}, "pdp", "mul(x = p, y = dp)") +
                                 operation({2, s, 1}, "sum", "reduce_sum(x = pdp, axes = lasts, keep_dims = yes)") +
                                 operation({2, s, s}, "centred", "sub(x = dp, y = sum)") +
                                 operation({2, s, s}, "ds", "mul(x = centred, y = p)") +
                                 operation({2, s, h}, "y", product("ds", "k", turned)));
  const auto n = static_cast<std::size_t>(2 * s * h);
  return {text,
          {normal_input(n, seed, 0.5), normal_input(n, seed + 1, 0.5, 3), normal_input(n, seed + 2, 1, 1),
           normal_input(n, seed + 3, 1, 1)}};
}

/// attention_backward with four distinct tokens, over and over: their errors do not average out.
std::pair<std::string, std::vector<TrialInput>> repeated_tokens(std::uint64_t seed, bool turned) {
  auto [text, inputs] = attention_backward(seed, turned);
  const std::size_t tokens = 64, lanes = 32, distinct = 4;
  for (const std::size_t i : {0U, 1U})  // p and dp [2, queries, keys]
    for (std::size_t row = 0; row < 2 * tokens; ++row) {
      const std::size_t source = row / tokens * tokens + row % tokens % distinct;
      for (std::size_t key = 0; key < tokens; ++key)
        inputs[i].held[row * tokens + key] = inputs[i].held[source * tokens + key % distinct];
    }
  for (std::size_t row = 0; row < 2 * tokens; ++row)  // k [2, tokens, lanes]
    for (std::size_t lane = 0; lane < lanes; ++lane)
      inputs[2].held[row * lanes + lane] = inputs[2].held[(row / tokens * tokens + row % distinct) * lanes + lane];
  return {text, inputs};
}

/// Causal attention's last query over 300 tokens, four of them distinct, whose scores fp16 holds: what is left are
/// equal probabilities, known to the last bit, whose products with equal values are rounded alike 75 times.
std::pair<std::string, std::vector<TrialInput>> known_repeated_tokens(std::uint64_t seed) {
  const std::size_t s = 300, h = 16, distinct = 4;
  const auto heads = static_cast<std::int64_t>(2), tokens = static_cast<std::int64_t>(s), width = tokens * 16;
  const std::vector<std::int64_t> by_head{heads, tokens, static_cast<std::int64_t>(h)}, square{heads, tokens, tokens};
  const std::string text = program_of(tensor(by_head) + " q, " + tensor(by_head) + " k, " + tensor(by_head) + " v",
                                      kFlags + operation(square, "scores", product("q", "k", false, true)) +
                                          operation(square, "p", "softmax(axis = last, x = scores)") +
                                          operation(by_head, "y", product("p", "v")));
  Random random(seed, "quarters");
  const auto quarters = [&] { return std::round(2 * random.normal()) / 4; };
  std::vector<TrialInput> inputs;
  for (int i = 0; i < 2; ++i)
    inputs.push_back(draw_input(static_cast<std::size_t>(heads * width), quarters, [](double) { return 0.0; }));
  inputs.push_back(normal_input(static_cast<std::size_t>(heads * width), seed + 2, 1));
  for (TrialInput& input : inputs)
    for (std::size_t row = 0; row < 2 * s; ++row)
      for (std::size_t lane = 0; lane < h; ++lane)
        input.held[row * h + lane] = input.held[(row / s * s + row % s % distinct) * h + lane];
  return {text, inputs};
}

std::vector<Trial> trials() {
  const std::int64_t m = 48, k = 192, n = 64;
  const auto operands = [=](std::uint64_t seed, double x, double y) {
    return std::vector<TrialInput>{normal_input(static_cast<std::size_t>(m * k), seed, x),
                                   normal_input(static_cast<std::size_t>(k * n), seed + 1, y)};
  };
  const std::string inputs = tensor({m, k}) + " a, " + tensor({k, n}) + " b";
  std::vector<Trial> all;
  all.push_back({"Product", 0.75, [=](std::uint64_t seed) {
                   return std::pair(program_of(inputs, kFlags + operation({m, n}, "y", product("a", "b"))),
                                    operands(seed, 1, 0.07));
                 }});
  // Half of the products are dropped by the fixed-point accumulator, and the rest is a few of its units. How it rounds
  // products of certain operands is known, though the variance allows for chips that differ: R is next to nothing.
  all.push_back({"ProductOfGradients", 0, [=](std::uint64_t seed) {
                   return std::pair(program_of(inputs, kFlags + operation({m, n}, "y", product("a", "b"))),
                                    operands(seed, 1e-3, 0.07));
                 }});
  all.push_back({"ProductOfOneSign", 0, [=](std::uint64_t seed) {
                   auto given = operands(seed, 1e-3, 0.07);
                   for (TrialInput& input : given)
                     for (float& value : input.held) value = std::abs(value);
                   return std::pair(program_of(inputs, kFlags + operation({m, n}, "y", product("a", "b"))), given);
                 }});
  all.push_back({"ProductOfAProduct", 0.8, [=](std::uint64_t seed) {
                   auto given = operands(seed, 1, 0.07);
                   given.push_back(normal_input(static_cast<std::size_t>(n * n), seed + 2, 0.125));
                   return std::pair(program_of(inputs + ", " + tensor({n, n}) + " c",
                                               kFlags + operation({m, n}, "ab", product("a", "b")) +
                                                   operation({m, n}, "y", product("ab", "c"))),
                                    given);
                 }});
  // h·σ(h): the error of h comes through both factors.
  all.push_back({"SiluOfAProduct", 0.6, [=](std::uint64_t seed) {
                   return std::pair(program_of(inputs, kFlags + operation({m, n}, "h", product("a", "b")) +
                                                           operation({m, n}, "s", "sigmoid(x = h)") +
                                                           operation({m, n}, "y", "mul(x = s, y = h)")),
                                    operands(seed, 2, 0.07));
                 }});
  all.push_back({"SquareOfAProduct", 0.6, [=](std::uint64_t seed) {
                   return std::pair(program_of(inputs, kFlags + operation({m, n}, "h", product("a", "b")) +
                                                           operation({m, n}, "y", "mul(x = h, y = h)")),
                                    operands(seed, 1, 0.07));
                 }});
  all.push_back(
      {"SumOfAProductsRow", 0.2, [=](std::uint64_t seed) {
         return std::pair(
             program_of(inputs, kFlags + operation({m, n}, "h", product("a", "b")) +
                                    operation({m, 1}, "y", "reduce_sum(x = h, axes = lasts, keep_dims = yes)")),
             operands(seed, 1, 0.07));
       }});
  // Equal columns make equal terms, which are off by the same.
  all.push_back(
      {"SumOfRepeatedTerms", 0.1, [=](std::uint64_t seed) {
         auto given = operands(seed, 1, 0.07);
         for (std::size_t i = 0; i < given[1].held.size(); ++i) given[1].held[i] = given[1].held[i / 64 * 64 + i % 4];
         return std::pair(
             program_of(inputs, kFlags + operation({m, n}, "h", product("a", "b")) +
                                    operation({m, 1}, "y", "reduce_sum(x = h, axes = lasts, keep_dims = yes)")),
             given);
       }});
  all.push_back({"Attention", 0.3, [](std::uint64_t seed) { return attention(seed, false, 0); }});
  all.push_back({"AttentionOfValuesWithAMean", 0.25, [](std::uint64_t seed) { return attention(seed, false, 3); }});
  all.push_back({"AttentionTurned", 0.3, [](std::uint64_t seed) { return attention(seed, true, 1); }});
  all.push_back({"AttentionBackward", 0.5, [](std::uint64_t seed) { return attention_backward(seed, false); }});
  all.push_back({"AttentionBackwardTurned", 0.5, [](std::uint64_t seed) { return attention_backward(seed, true); }});
  all.push_back(
      {"WholeAttentionBackward", 0.3, [](std::uint64_t seed) { return whole_attention_backward(seed, false); }});
  all.push_back(
      {"WholeAttentionBackwardTurned", 0.3, [](std::uint64_t seed) { return whole_attention_backward(seed, true); }});
  all.push_back({"RepeatedTokens", 0.2, [](std::uint64_t seed) { return repeated_tokens(seed, false); }});
  all.push_back({"KnownRepeatedTokens", 0, known_repeated_tokens});
  all.push_back({"RepeatedTokensTurned", 0.2, [](std::uint64_t seed) { return repeated_tokens(seed, true); }});
  return all;
}

class SpreadOf : public ::testing::TestWithParam<std::string> {};

TEST_P(SpreadOf, EveryProgramIsAsWideAsItsErrors) {
  for (const Trial& trial : trials()) {
    for (const std::uint64_t seed : {1U, 20U, 300U}) {
      const auto [text, inputs] = trial.make(seed);
      const Spread spread = spread_of(GetParam(), text, inputs, seed);
      const SpreadJudgement& j = spread.judgement;
      const std::string what = GetParam() + " " + trial.name + " seed " + std::to_string(seed);
      EXPECT_EQ(j.violations, 0) << what << ": " << j.largest << " sigma, limit " << j.limit;
      EXPECT_LE(j.rms, j.rms_limit) << what;
      EXPECT_GE(j.rms, trial.least) << what << ", " << j.elements << " elements with a spread, " << j.known << " known";
      EXPECT_GT(j.elements + j.known, 0) << what;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Profiles, SpreadOf, ::testing::ValuesIn(distinct_profiles()), [](const auto& parameter) {
  std::string name = parameter.param;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
});

// An error of h comes through them by their derivative. With ieee, which has a rule for all of them.
TEST(SpreadOfFunctions, IsWhatTheirDerivativeMakesOfAnError) {
  const std::int64_t m = 48, k = 192, n = 64;
  const std::string inputs =
      tensor({m, k}) + " a, " + tensor({k, n}) + " b, " + tensor({m, n}) + " c, " + tensor({m, n}) + " d";
  const std::vector<std::string> calls = {"silu(x = h)",
                                          "tanh(x = h)",
                                          "sqrt(x = positive)",
                                          "rsqrt(x = positive)",
                                          "square(x = h)",
                                          "real_div(x = h, y = d)",
                                          "real_div(x = h, y = positive)",
                                          "pow(x = positive, y = c)",
                                          "maximum(x = h, y = c)"};
  for (const std::string& call : calls)
    for (const std::uint64_t seed : {1U, 20U, 300U}) {
      Random random(seed, "exponents");
      const std::vector<TrialInput> given = {
          normal_input(static_cast<std::size_t>(m * k), seed, 1),
          normal_input(static_cast<std::size_t>(k * n), seed + 1, 0.07),
          draw_input(
              static_cast<std::size_t>(m * n), [&] { return random.below(2) == 0 ? -1.5 : 0.75; },
              [](double) { return 0.0; }),
          normal_input(static_cast<std::size_t>(m * n), seed + 2, 0.25, 2)};
      const Spread spread = spread_of(
          "ieee",
          program_of(inputs, kFlags + operation({m, n}, "h", product("a", "b")) +
                                 operation({m, n}, "hh", "mul(x = h, y = h)") +
                                 operation({m, n}, "positive", "add(x = hh, y = d)") + operation({m, n}, "y", call)),
          given, seed);
      const SpreadJudgement& j = spread.judgement;
      const std::string what = call + " seed " + std::to_string(seed);
      EXPECT_EQ(j.violations, 0) << what << ": " << j.largest << " sigma, limit " << j.limit;
      EXPECT_LE(j.rms, j.rms_limit) << what;
      EXPECT_GE(j.rms, call.starts_with("maximum") ? 0.5 : 0.85) << what;  // of two that lie close the wider counts
      EXPECT_GT(j.elements, 0) << what;
    }
}

// Without what a row shares, R of the backward pass is far beyond its limit: the test above would not hold.
TEST(SpreadOfRows, IsMostOfTheErrorBehindARowSum) {
  const auto [text, inputs] = attention_backward(1, false);
  Random random(1, "trial");
  TrialResult result = run_trial("ieee", text, inputs, random);
  std::vector<double> exact;
  for (Shadow& s : result.shadow) {
    exact.push_back(s.value);
    s.shared = {};
  }
  const SpreadJudgement j = judge_spread(result.device, exact, result.shadow, 1e-12, 1e-12);
  EXPECT_GT(j.rms, 2 * j.rms_limit);
}

// Dropped products of one sign add up to many standard deviations: that is what the bias is for.
TEST(SpreadOfDroppedProducts, IsABiasOfManyDeviations) {
  const auto trial = trials()[2];
  const auto [text, inputs] = trial.make(1);
  EXPECT_GT(spread_of("h16", text, inputs, 1).largest_bias, 10);
  EXPECT_GT(spread_of("h13", text, inputs, 1).largest_bias, 5);
  EXPECT_LT(spread_of("ieee", text, inputs, 1).largest_bias, 1e-3);
}

}  // namespace
}  // namespace aneval::validate
