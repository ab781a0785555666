// Error bounds of the fixed-point accumulator: 32 bits, 16 of them behind the point.
//
// The device rounds each product to a multiple of 2^-16, and leaves it out when the operands' exponents sum to −17 or
// less (zeros and subnormals count as −14, which no product of a zero notices). With a the exact value, â the device's:
//
//   kept          |r(â·b̂) − a·b| ≤ |a|E_b + E_a|b| + E_aE_b + 2^-17; without the 2^-17 when â·b̂ is a multiple of 2^-16
//   dropped       |0 − a·b| = |a·b|
//   either        the larger of the two, where the exponents that the operands' intervals allow do not decide
//
// What is dropped is a bias, −a·b. A rounding is uniform within ±2^-17, of variance 2^-32/12. Between certain operands
// it is what it is, a bias as well (the variance stays: the same products come again and again, and chips may differ);
// also where the product is but a few units, with twice the variance, the difference of two roundings. Where the
// operands may well lie so that the other happens, half of (a·b)² joins the variance.
//
// The sum itself is exact in any order until it overflows. Partial sums go in the order of k, from the bias on: as long
// as Σ(|a·b| + bounds) stays below 32768 none can reach it; otherwise the range of each is followed.
#include <array>
#include <bit>
#include <cmath>

#include "validate/shadow/parts.h"
#include "validate/shadow/product.h"

namespace aneval::validate {
namespace {

/// The accumulator's unit, which is also where exponents that sum to −16 begin: 2^-16 as a product of powers of two.
constexpr float kUnit = 0x1p-16F;
constexpr double kHalfUnit = 0x1p-17;

/// 2^exponent, as the engine counts exponents.
float exponent_power(double magnitude) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(static_cast<float>(std::max(magnitude, 0.0))) & 0x7F800000U;
  return std::max(std::bit_cast<float>(bits), 0x1p-14F);
}

Term make_term(const Shadow& x) {
  const Interval held = held_by_device(x);
  const double most = std::max(std::abs(held.low), std::abs(held.high));
  const double least = held.low <= 0 && held.high >= 0 ? 0 : std::min(std::abs(held.low), std::abs(held.high));
  const double deviation = kFar * x.sigma();
  // Of intervals around the exact value, half may be impossible: without a spread there is but one number.
  const bool known = held.low == held.high || deviation == 0;
  const double expected = known ? nearest_half(emulator::Rounding::nearest_even, x.centre()) : x.centre();
  const double centre = std::clamp(expected, held.low, held.high);
  Term term;
  term.magnitude = upwards(std::abs(x.value));
  term.bound = upwards(x.bound);
  term.reach = upwards(std::abs(x.value) + x.bound);
  term.low = exponent_power(least);
  term.high = exponent_power(most);
  term.grain = grain_of(held);
  term.likely = known ? grain_of({centre, centre}) : kNoGrain;
  term.centre = static_cast<float>(centre);
  term.power = exponent_power(std::abs(centre));
  // Nothing is known of a deviation that is no number; then the bound decides.
  term.least = deviation < kInfinity ? std::max(exponent_power(std::abs(centre) - deviation), term.low) : term.low;
  term.most = deviation < kInfinity ? std::min(exponent_power(std::abs(centre) + deviation), term.high) : term.high;
  return term;
}

/// An uncertain product of this many units or more is rounded like any number.
constexpr float kSmall = 8 * kUnit;
/// Products of 22 bits from here on are multiples of the unit.
constexpr float kLarge = 64;
/// Added to a number below kLarge and taken away again, leaves a multiple of 2^-16: the distance of floats in
/// [2^7, 2^8).
constexpr float kRoundToUnit = 0x1.8p7F;
/// Ties are rounded away from zero; nothing else of 22 significant bits comes across one.
constexpr float kOffTies = 1 + 0x1p-22F;
constexpr float kRoundingVariance = 0x1p-32F / 12;

/// What one pair adds to bias and variance.
struct PairSpread {
  float bias, variance;
};
inline PairSpread pair_spread(const Term& a, const Term& b) {
  const float product = a.centre * b.centre, magnitude = product < 0 ? -product : product,
              square = product * product / 2;
  const float certain = a.likely > kNoGrain ? b.likely : kNoGrain;  // above kNoGrain when both operands are
  const float drawn = certain > kNoGrain ? kLarge : kSmall;
  const float rounding = (product * kOffTies + kRoundToUnit) - kRoundToUnit - product;
  const float rounds = a.likely * b.likely >= kUnit ? 0.0F : 1.0F;
  const float bias = magnitude < drawn ? rounding : 0.0F;
  const float two = magnitude < drawn ? 2 * kRoundingVariance : kRoundingVariance;
  const float variance = certain > kNoGrain ? kRoundingVariance : two;
  const float of_kept = rounds * bias, variance_of_kept = rounds * variance;
  const bool kept = a.power * b.power >= kUnit;
  const float decided = kept ? variance_of_kept : 0.0F, undecided = decided + square;
  const float open = a.least * b.least < kUnit ? undecided : decided;
  return {kept ? of_kept : -product, a.most * b.most >= kUnit ? open : decided};
}

/// The bound of one pair; every branch is a choice between numbers that are there, so that loops become vectors.
inline float pair_bound(const Term& a, const Term& b, float product) {
  const float moved = a.magnitude * b.bound + a.bound * b.reach;
  const float rounded = a.grain * b.grain >= kUnit ? 0.0F : static_cast<float>(kHalfUnit);
  const float kept = moved + rounded;
  const float either = product > kept ? product : kept;
  const float undecided = a.high * b.high < kUnit ? product : either;
  return a.low * b.low >= kUnit ? kept : undecided;
}

/// The sums gather in arrays of the function's own, which the compiler knows to overlap with nothing: the loop over the
/// tile becomes vectors. (With as many operands as these, g++ gives up on checking that at run time: three times as
/// slow.)
void add_pairs(const Term* left, const TermRow* right, std::int64_t count, TileSums& sums) {
  std::array<float, kTile> error = sums.error, magnitude = sums.magnitude, bias = sums.bias, variance = sums.variance;
  for (std::int64_t k = 0; k < count; ++k) {
    const Term a = left[k];
    const TermRow& b = right[k];
    for (std::size_t j = 0; j < kTile; ++j) {
      const float product = a.magnitude * b.magnitude[j];
      error[j] += pair_bound(a, b.at(j), product);
      magnitude[j] += product;
      const PairSpread spread = pair_spread(a, b.at(j));
      bias[j] += spread.bias;
      variance[j] += spread.variance;
    }
  }
  sums.error = error;
  sums.magnitude = magnitude;
  sums.bias = bias;
  sums.variance = variance;
}

/// What the initial value adds: it is rounded to the accumulator's unit.
double bias_bound(const Shadow& bias) {
  const Interval held = held_by_device(bias);
  const bool exact = held.low == held.high && static_cast<double>(grain_of(held)) >= static_cast<double>(kUnit);
  return bias.bound + (exact ? 0 : kHalfUnit);
}

/// Which infinities the partial sums may reach. Overflow is sticky: behind a sum that has surely overflowed nothing
/// else can happen.
void follow_partial_sums(const ProductRule& rule, const ProductElement& e, Shadow& result) {
  constexpr double kLimit = emulator::kAccumulatorLimit;
  const int last = rule.x.shape.rank - 1;
  const Shadow* a = rule.x.matrix(e.batch) + e.row * rule.x.strides[last - 1];
  const Shadow* b = rule.y.matrix(e.batch) + e.column * rule.y.strides[last];
  const Shadow bias = rule.bias_of(e.row);
  const double margin = upward_margin(0), noise = double_noise(e.magnitude + std::abs(bias.value), e.left.size());
  double sum = bias.value, bound = bias_bound(bias);
  for (std::size_t k = 0;; ++k) {
    const double reach = bound > 0 ? bound + noise : 0;
    result.plus_infinity = result.plus_infinity || sum + reach >= kLimit;
    result.minus_infinity = result.minus_infinity || sum - reach <= -kLimit;
    result.finite = sum - reach < kLimit && sum + reach > -kLimit;
    if (!result.finite || k == e.left.size()) return;
    const auto at = static_cast<std::int64_t>(k);
    sum += a[at * rule.x.strides[last]].value * b[at * rule.y.strides[last - 1]].value;
    const Term right = e.right[k].at(e.place);
    bound += static_cast<double>(pair_bound(e.left[k], right, e.left[k].magnitude * right.magnitude)) * margin;
  }
}

}  // namespace

void fixed_point_shadows(const ProductRule& rule) {
  constexpr double kLimit = emulator::kAccumulatorLimit;
  for_each_pair(rule.x, rule.y, rule.pool, make_term, add_pairs, [&](const ProductElement& e) {
    const Shadow bias = rule.bias_of(e.row);
    Shadow result = rule.expected(e);
    result.bound = e.error + bias_bound(bias);
    const double reach = e.magnitude + std::abs(bias.value) + result.bound;
    if (result.bound > 0) result.bound += double_noise(reach, e.left.size());
    if (!(reach < kLimit)) follow_partial_sums(rule, e, result);
    rule.target(e) = stored_between(result, std::max(result.value - result.bound, -kLimit),
                                    std::min(result.value + result.bound, kLimit), rule.rounding);
  });
}

}  // namespace aneval::validate
