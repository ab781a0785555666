// Random numbers that are the same on every platform: standard distributions differ between standard libraries, and
// libm's log differs between systems, so generator, transforms and logarithm are our own, in plain IEEE arithmetic.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace aneval {

/// Natural logarithm of a finite x > 0 from frexp, a division and the series of atanh: the same bits everywhere.
/// Relative error below 7·2^-53 (derivation in random.cpp).
double portable_log(double x);

/// xoshiro256** (Blackman and Vigna 2018), seeded through SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed);
  /// An independent stream for a named purpose: the same seed gives a tensor the same values whatever else is drawn.
  Random(std::uint64_t seed, std::string_view stream);

  std::uint64_t bits();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [0, n), without bias. Throws std::invalid_argument for n < 1.
  std::int64_t below(std::int64_t n);
  /// Standard normal (Marsaglia's polar method).
  double normal();
  /// Fills with N(mean, sd²).
  void fill_normal(std::span<float> values, double sd, double mean = 0);

 private:
  std::uint64_t state_[4];
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace aneval
