// Error bounds of the four-lane accumulator: four consecutive products in an adder of 12 bits, their sums in fp32.
//
// Operands below 2^-14 count as zero. That is an error of the operand: E' = max(E, |a|) where it may happen. The rest
// is the adder's. It truncates the addend of smaller magnitude to a multiple of 2^(e−11), e the exponent of the larger,
// and the sum to 12 bits; both towards zero, so that |sum| ≤ |larger| + |smaller| without a term of second order. With
// P_t the magnitudes of the four products and T_t their running sum, addition t errs by less than
//
//   2^-11·max(T_{t−1}, P_t)   the smaller addend, and never more than it: min(T_{t−1}, P_t)
//   2^-11·(T_{t−1} + P_t)     the sum
//
// and a group by at most 6·2^-11·T_4. Nothing is truncated when all products are multiples of some g = 2^i and
// T_4 < 2^12·g: then every sum is a multiple of g with at most 12 bits. The sums of G groups are added in fp32, within
// γ_G·ΣT_4, exact when ΣT_4 < 2^24·g. Only the last sum is compared with 32768.
//
// Truncation has a direction, so it is a bias first of all. With u = 2^(e−11) the smaller addend loses u/2 on average
// (all of it, when it is below u), variance u²/12. The sum loses its own u/2 likewise when the larger addend was a
// product of 22 bits; when it was a sum, 0 or u, variance u²/4, and only if the exponent has grown by one. Followed for
// the expected operands, addition by addition. An operand that may or may not be flushed adds half of (a·b)² to the
// variance of its products.
#include <array>
#include <bit>
#include <cmath>

#include "validate/shadow/parts.h"
#include "validate/shadow/product.h"

namespace aneval::validate {
namespace {

constexpr std::int64_t kLanes = 4;
constexpr double kSmallestNormal = 0x1p-14;
constexpr float kTwelveBits = 0x1p12F, kTruncation = 0x1p-11F;

/// `high` is the largest magnitude that reaches the adder. Zeros and what is surely flushed have the grain of zero.
Term make_term(const Shadow& x) {
  const Interval held = held_by_device(x);
  const double most = std::max(std::abs(held.low), std::abs(held.high));
  const double least = held.low <= 0 && held.high >= 0 ? 0 : std::min(std::abs(held.low), std::abs(held.high));
  const bool flushed = most < kSmallestNormal, passes = least >= kSmallestNormal;
  const double magnitude = std::abs(x.value);
  const double bound = flushed ? magnitude : passes ? x.bound : std::max(x.bound, magnitude);
  const double centre = std::clamp(x.centre(), held.low, held.high);
  Term term;
  term.magnitude = upwards(magnitude);
  term.bound = upwards(bound);
  term.reach = upwards(magnitude + bound);
  term.high = flushed ? 0 : upwards(most);
  term.grain = flushed ? kZeroGrain : passes ? grain_of(held) : kNoGrain;
  term.centre = static_cast<float>(centre);
  term.low = std::abs(centre) < kSmallestNormal ? 0 : term.centre;  // what reaches the adder, with its sign
  // Whether it does may be open: nothing is known of a deviation that is no number, then the bound decides.
  const double deviation = kFar * x.sigma(), distance = std::abs(std::abs(centre) - kSmallestNormal);
  term.most = !flushed && !passes && !(distance > deviation) ? 1 : 0;
  return term;
}

/// 2^exponent of a number; 0 of 0.
inline float power_of(float x) { return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0x7F800000U); }
inline float magnitude_of(float x) { return x < 0 ? -x : x; }

/// One addition of the adder as it is expected to go. A product is no multiple of the adder's unit, a sum is: so the
/// result of adding a larger product loses u/2 on average, variance u²/12, u its own unit.
struct ExpectedSum {
  float total, variance;
};
/// Every choice is one between numbers that are there, so that loops become vectors.
inline ExpectedSum expected_sum(float sum, float product, float sum_is_product) {
  const float of_sum = magnitude_of(sum), of_product = magnitude_of(product);
  const float large = of_sum >= of_product ? sum : product, small = of_sum >= of_product ? product : sum;
  const float ragged = of_sum >= of_product ? sum_is_product : 1.0F;  // 0 or 1
  const float unit = power_of(large) * kTruncation, size = magnitude_of(small), half = unit / 2;
  const float loss = size < unit ? size : half;  // below the unit it is lost altogether
  const float left = size - loss, right = -left;
  const float wide = large + (small < 0 ? right : left);
  const float own = power_of(wide) * kTruncation;
  const float grown = own > unit ? 1.0F : 0.0F;
  const float cut = ragged * own / 2 + (1 - ragged) * grown * half;  // grown: 0 or `unit`
  const float up = wide + cut, down = wide - cut;
  const float truncation = unit * unit / 12;
  return {wide < 0 ? up : down,
          (size < unit ? 0.0F : truncation) + ragged * own * own / 12 + (1 - ragged) * grown * unit * unit / 4};
}

/// One group of a row with a tile. The lanes' numbers gather in arrays of the function's own, which the compiler knows
/// to overlap with nothing: the loops over the tile become vectors.
template <std::size_t kCount>
void add_group(const Term* left, const TermRow* right, TileSums& sums) {
  std::array<float, kTile> total{}, truncated{}, moved{}, grain;
  std::array<float, kTile> expected{}, exact_sum{}, adder_sum{}, variance{}, undecided{};
  grain.fill(kZeroGrain);
  for (std::size_t lane = 0; lane < kCount; ++lane) {
    const Term a = left[lane];
    const TermRow& b = right[lane];
    for (std::size_t j = 0; j < kTile; ++j) {
      moved[j] += a.magnitude * b.bound[j] + a.bound * b.reach[j];
      const float product = a.high * b.high[j], of_product = a.grain * b.grain[j];
      grain[j] = of_product < grain[j] ? of_product : grain[j];
      const float larger = product > total[j] ? product : total[j], smaller = product > total[j] ? total[j] : product;
      const float whole = smaller / kTruncation;  // all of the smaller addend, in units of the truncation
      const float sum = total[j] + product;
      truncated[j] += lane > 0 ? (larger < whole ? larger : whole) + sum : 0.0F;
      total[j] = sum;
    }
    const float first = lane == 0 ? 1.0F : 0.0F, of_products = lane == 1 ? 1.0F : 0.0F;
    for (std::size_t j = 0; j < kTile; ++j) {
      const float product = a.low * b.low[j], uncut = a.centre * b.centre[j], square = uncut * uncut / 2;
      const ExpectedSum next = expected_sum(expected[j], product, of_products);
      expected[j] = first > 0 ? product : next.total;
      variance[j] += (1 - first) * next.variance;
      adder_sum[j] += product;  // without truncation
      exact_sum[j] += uncut;
      undecided[j] += a.most + b.most[j] > 0 ? square : 0.0F;
    }
  }
  for (std::size_t j = 0; j < kTile; ++j) {
    const bool exact = total[j] < kTwelveBits * grain[j];
    sums.error[j] += moved[j] + (exact ? 0.0F : kTruncation * truncated[j]);
    sums.magnitude[j] += total[j];
    const float flushed = adder_sum[j] - exact_sum[j];
    sums.bias[j] += exact ? flushed : flushed + (expected[j] - adder_sum[j]);
    sums.variance[j] += undecided[j] + (exact ? 0.0F : variance[j]);
    sums.grain[j] = grain[j] < sums.grain[j] ? grain[j] : sums.grain[j];
  }
}

void add_pairs(const Term* left, const TermRow* right, std::int64_t count, TileSums& sums) {
  static_assert(kDepth % kLanes == 0);
  for (std::int64_t k = 0; k < count; k += kLanes) switch (count - k) {
      case 1:
        add_group<1>(left + k, right + k, sums);
        break;
      case 2:
        add_group<2>(left + k, right + k, sums);
        break;
      case 3:
        add_group<3>(left + k, right + k, sums);
        break;
      default:
        add_group<4>(left + k, right + k, sums);
    }
}

}  // namespace

void four_lane_shadows(const ProductRule& rule) {
  constexpr double kLimit = emulator::kAccumulatorLimit;
  for_each_pair(rule.x, rule.y, rule.pool, make_term, add_pairs, [&](const ProductElement& e) {
    const Shadow bias = rule.bias_of(e.row);
    Shadow result = rule.expected(e);
    result.bound = e.error + bias.bound;
    const auto depth = static_cast<std::int64_t>(e.left.size());
    const double reach = e.magnitude + std::abs(bias.value) + bias.bound;
    const double grain = std::min(e.grain, static_cast<double>(grain_of(held_by_device(bias))));
    if (!(reach < 0x1p24 * grain)) result.bound += gamma_of((depth + kLanes - 1) / kLanes, kUnit32) * reach;
    if (result.bound > 0) result.bound += double_noise(reach + result.bound, e.left.size());
    const double low = result.value - result.bound, high = result.value + result.bound;
    result.plus_infinity = high >= kLimit;
    result.minus_infinity = low <= -kLimit;
    result.finite = low < kLimit && high > -kLimit;
    rule.target(e) = stored_between(result, std::max(low, -kLimit), std::min(high, kLimit), rule.rounding);
  });
}

}  // namespace aneval::validate
