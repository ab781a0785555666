// xoshiro256**, and a normal transform whose only operations are exact or correctly rounded by IEEE 754: + - * / sqrt
// and frexp. The build forbids contraction to fused operations (-ffp-contract=off).
#include "common/random.h"

#include <cmath>
#include <stdexcept>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace aneval {
namespace {

/// SplitMix64 (Steele, Lea, Flood 2014, with Vigna's constants): what the authors of xoshiro recommend for seeding it.
std::uint64_t split_mix(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

constexpr std::uint64_t rotate_left(std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

}  // namespace

// x = m·2^e with m in [sqrt(1/2), sqrt(2)), log x = e·log 2 + 2·atanh(f), f = (m-1)/(m+1), |f| <= 0.1716.
// Series 2f·(1 + f²/3 + … + f^20/21): the first dropped term is below 0.02944^11/23 = 7e-19 of the sum.
// Rounding, with u = 2^-53: m-1 is exact (Sterbenz), f has 2u, the factor in brackets 1.1u, their product u: 4.1u. The
// product e·kLog2High is exact, as 11 trailing bits of the constant are zero and |e| <= 1074; the two sums add u each
// of something no larger than the result, as |e·log 2 + log m| >= |log m| for e != 0. Together below 6.2u.
double portable_log(double x) {
  constexpr double kSqrtHalf = 0.70710678118654752440;
  constexpr double kLog2High = 0x1.62e42fefa3800p-1;  // log 2, its first 42 bits
  constexpr double kLog2Low = 0x1.ef35793c76730p-45;  // and the rest of it
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < kSqrtHalf) {
    mantissa *= 2;
    --exponent;
  }
  const double f = (mantissa - 1) / (mantissa + 1);
  const double square = f * f;
  double series = 0;
  for (int denominator = 21; denominator >= 3; denominator -= 2) series = (series + 1.0 / denominator) * square;
  const double log_mantissa = 2 * f * (1 + series);
  return exponent * kLog2High + (exponent * kLog2Low + log_mantissa);
}

Random::Random(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = split_mix(seed);
}

Random::Random(std::uint64_t seed, std::string_view stream) : Random(XXH64(stream.data(), stream.size(), seed)) {}

std::uint64_t Random::bits() {
  const std::uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

double Random::uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

std::int64_t Random::below(std::int64_t n) {
  if (n < 1) throw std::invalid_argument("Random::below: n must be at least 1");
  const auto range = static_cast<std::uint64_t>(n);
  // 2^64 mod n values are rejected; what is left is a whole number of ranges.
  const std::uint64_t rejected = (0 - range) % range;
  std::uint64_t drawn = bits();
  while (drawn < rejected) drawn = bits();
  return static_cast<std::int64_t>(drawn % range);
}

double Random::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double u, v, square;
  do {
    u = 2 * uniform() - 1;
    v = 2 * uniform() - 1;
    square = u * u + v * v;
  } while (square >= 1 || square == 0);
  const double scale = std::sqrt(-2 * portable_log(square) / square);
  spare_ = v * scale;
  has_spare_ = true;
  return u * scale;
}

void Random::fill_normal(std::span<float> values, double sd, double mean) {
  for (float& value : values) value = static_cast<float>(mean + sd * normal());
}

}  // namespace aneval
