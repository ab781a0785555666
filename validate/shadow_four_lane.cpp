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
#include <array>
#include <cmath>

#include "validate/shadow_parts.h"
#include "validate/shadow_product.h"

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
  return {upwards(magnitude),          upwards(bound),
          upwards(magnitude + bound),  0,
          flushed ? 0 : upwards(most), flushed ? kZeroGrain : passes ? grain_of(held) : kNoGrain};
}

/// One group of a row with a tile. The lanes' numbers gather in arrays of the function's own, which the compiler knows
/// to overlap with nothing: the loops over the tile become vectors.
template <std::size_t kCount>
void add_group(const Term* left, const TermRow* right, TileSums& sums) {
  std::array<float, kTile> total{}, truncated{}, moved{}, grain;
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
  }
  for (std::size_t j = 0; j < kTile; ++j) {
    const bool exact = total[j] < kTwelveBits * grain[j];
    sums.error[j] += moved[j] + (exact ? 0.0F : kTruncation * truncated[j]);
    sums.magnitude[j] += total[j];
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
    Shadow result{rule.value(e) + bias.value, e.error + bias.bound};
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
