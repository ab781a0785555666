// What is asked of a device, rule by rule. Sources of the answers: the published readings in
// validate/silicon/measurements.csv and docs/numerics.md.
#include <cmath>

#include "common/random.h"
#include "validate/probe/probe.h"

namespace aneval::validate {
namespace {

using enum ProbeOp;
using emulator::Rule;
using Numbers = std::vector<float>;

const float kInf = INFINITY, kNan = NAN;

/// `count` times `value` behind `first`.
Numbers followed_by(Numbers first, std::size_t count, float value) {
  first.insert(first.end(), count, value);
  return first;
}

/// The pattern, `count` times.
Numbers repeated(const Numbers& pattern, int count) {
  Numbers all;
  for (int i = 0; i < count; ++i) all.insert(all.end(), pattern.begin(), pattern.end());
  return all;
}

/// Of numbers added in a matmul: products with 1.
Question sum(std::string text, Numbers x, Numbers expected) {
  Numbers ones(x.size(), 1.0F);
  return {matmul, std::move(text), std::move(x), std::move(ones), 0, std::move(expected)};
}
Question product(std::string text, float x, float w, Numbers expected) {
  return {matmul, std::move(text), {x}, {w}, 0, std::move(expected)};
}
Question pair(ProbeOp op, std::string text, float x, float w, Numbers expected) {
  return {op, std::move(text), {x}, {w}, 0, std::move(expected)};
}
Question reduced(std::string text, Numbers x, Numbers expected) {
  return {reduce_sum, std::move(text), std::move(x), {}, 0, std::move(expected)};
}
Question sliced(std::string text, float x, Numbers expected) {
  return {slice, std::move(text), {x}, {}, 0, std::move(expected)};
}

/// Rows of scores as attention has them, and the three that are extreme: all equal, one that dominates, masked.
std::vector<Question> score_rows() {
  std::vector<Question> rows;
  for (int i = 0; i < 61; ++i) {
    Numbers scores(256);
    Random(1, "probe scores " + std::to_string(i)).fill_normal(scores, 0.25 * (1 + i % 16));
    rows.push_back({softmax, "softmax of random scores", scores});
  }
  rows.push_back({softmax, "softmax of equal scores", Numbers(256, 1.0F)});
  rows.push_back({softmax, "softmax of one large score", followed_by({12}, 255, 0)});
  rows.push_back({softmax, "softmax behind a mask", followed_by({1, 0.5, 0.25}, 253, -65504)});
  return rows;
}

std::vector<RuleProbe> make_probes() {
  return {{Rule::accumulator,  // fp32, four_lane, fixed_point
           {sum("4096 + 1024 times 1", followed_by({4096}, 1024, 1), {5120, 5116, 5120}),
            sum("16 times (1024 - 1024 + 1)", repeated({1024, -1024, 1}, 16), {16, 16, 16}),
            sum("16 times (4096 - 4096 + 1)", repeated({4096, -4096, 1}, 16), {16, 4, 16}),
            sum("4096 + 1 - 4096", {4096, 1, -4096}, {1, 0, 1}),
            product("1.5*2^-8 * 2^-8", 0x1.8p-8F, 0x1p-8F, {0x1.8p-16F, 0x1.8p-16F, 0x1p-15F}),
            product("2^-9 * 2^-8", 0x1p-9F, 0x1p-8F, {0x1p-17F, 0x1p-17F, 0}),
            product("1.999*2^-9 * 1.999*2^-8", 0x1.FFCp-9F, 0x1.FFCp-8F, {0x1p-15F, 0x1p-15F, 0})}},
          {Rule::overflow,  // fp16_range, from_32768, sticky_from_32768
           {sum("32752", {32752}, {32752, 32752, 32752}), sum("16384 + 16376", {16384, 16376}, {32768, 32768, 32768}),
            sum("32768", {32768}, {32768, kInf, kInf}), sum("-32768", {-32768}, {-32768, -kInf, -kInf}),
            sum("16384 + 16384", {16384, 16384}, {32768, kInf, kInf}),
            sum("16384 + 16384 - 16384 - 16384 + 1", {16384, 16384, -16384, -16384, 1}, {1, 1, kInf}),
            sum("65504 + 16", {65504, 16}, {kInf, kInf, kInf})}},
          {Rule::matmul_rounding,  // nearest_even, half_away
           {sum("2048 + 1", {2048, 1}, {2048, 2050}), sum("2048 + 3", {2048, 3}, {2052, 2052}),
            sum("-4096 - 2", {-4096, -2}, {-4096, -4100}), sum("1 + 2^-11", {1, 0x1p-11F}, {1, 0x1.004p0F})}},
          {Rule::matmul_subnormals,  // kept, flushed, lowest_exponent
           {product("2^-15 * 1", 0x1p-15F, 1, {0x1p-15F, 0, 0x1p-15F}),
            product("2^-24 * 1024", 0x1p-24F, 1024, {0x1p-14F, 0, 0x1p-14F}),
            product("2^-15 * 2^-2", 0x1p-15F, 0x1p-2F, {0x1p-17F, 0, 0x1p-16F})}},
          {Rule::elementwise,  // nearest_even, half_away
           {pair(add, "2048 + 1", 2048, 1, {2048, 2050}), pair(sub, "-2048 - 1", -2048, 1, {-2048, -2050}),
            pair(mul, "1.0029 * 1.5", 0x1.00Cp0F, 1.5F, {1540.0F / 1024, 1541.0F / 1024}),
            pair(add, "2048 + 3", 2048, 3, {2052, 2052}), pair(add, "40000 + 20000", 40000, 20000, {60000, 60000}),
            pair(mul, "256 * 256", 256, 256, {kInf, kInf}),
            pair(add, "2^-24 + 2^-24", 0x1p-24F, 0x1p-24F, {0x1p-23F, 0x1p-23F})}},
          {Rule::reduce_sum,  // fp16, fp32, wide
           {reduced("2048 + 1000 times 0.5", followed_by({2048}, 1000, 0.5), {2048, 2548, 2548}),
            reduced("2048 + 0.5 - 2048", {2048, 0.5, -2048}, {0, 0.5, 0.5}),
            reduced("16384 + 1000 times 2^-11 - 16384",
                    [] {
                      Numbers x = followed_by({16384}, 1000, 0x1p-11F);
                      x.push_back(-16384);
                      return x;
                    }(),
                    {0, 0, 1000.0F / 2048})}},
          {Rule::slice,  // exact, limit_4094
           {sliced("4094 behind a slice", 4094, {4094, 4094}), sliced("4096 behind a slice", 4096, {4096, kInf}),
            sliced("-5000 behind a slice", -5000, {-5000, -kInf}), sliced("65504 behind a slice", 65504, {65504, kInf}),
            sliced("0.1 behind a slice", 0x1.998p-4F, {0x1.998p-4F, 0x1.998p-4F}),
            sliced("2^-24 behind a slice", 0x1p-24F, {0x1p-24F, 0x1p-24F})}},
          {Rule::bias,  // added_after, initial_value
           {{conv, "0 + bias 2^-17", {0}, {0}, 0x1p-17F, {0x1p-17F, 0x1p-16F}},
            {conv, "16384 - 16384 + bias 20000", {16384, 16384}, {1, -1}, 20000, {20000, kInf}},
            {conv, "1000 + bias 24", {1000}, {1}, 24, {1024, 1024}}}},
          {Rule::sigmoid, {{sigmoid, "sigmoid"}}},
          {Rule::tanh_exp, {{tanh, "tanh"}, {exp, "exp"}}},
          {Rule::softmax, score_rows()},
          {Rule::specials,  // ieee, ordinary
           {pair(sub, "inf - inf", kInf, kInf, {kNan, 0}), pair(mul, "inf * 0.25", kInf, 0.25, {kInf, 16384}),
            pair(mul, "inf * 0", kInf, 0, {kNan, 0}), pair(add, "nan + 1", kNan, 1, {kNan, kInf}),
            pair(mul, "-1 * 0", -1, 0, {-0.0F, 0}), product("inf * 0.25 in a matmul", kInf, 0.25, {kInf, 16384})}}};
}

}  // namespace

const std::vector<RuleProbe>& rule_probes() {
  static const std::vector<RuleProbe> probes = make_probes();
  return probes;
}

const RuleProbe& rule_probe(Rule rule) { return rule_probes().at(static_cast<std::size_t>(rule)); }

}  // namespace aneval::validate
