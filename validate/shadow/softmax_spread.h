// Bias, variance and shared error of a softmax's row.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "validate/shadow/parts.h"

namespace aneval::validate {

/// Bias and variance of a row of probabilities p_i = e_i/Σe. With U_i the variance of e_i relative to it, p_i has
/// p_i²·U_i of its own, and shares −p_i times the sum's relative error, of variance Σp_j²U_j and what adding rounds.
/// (An element is part of the sum, so that its own error and what it shares are not independent: what this leaves out
/// makes errors smaller where one probability is nearly 1, and averages out elsewhere.)
class SoftmaxSpread {
 public:
  SoftmaxSpread(std::int64_t n, std::uint32_t row) : relative_(static_cast<std::size_t>(n)), row_(row) {}

  /// Variance of score i, and of its numerator's roundings relative to it.
  void set(std::int64_t i, const Shadow& score, double roundings) {
    const double variance = static_cast<double>(score.variance) + score.shared_variance();
    // e^x of a normal x is log-normal; from variance 1 on nothing useful is left to say.
    relative_[static_cast<std::size_t>(i)] =
        (variance <= 1 ? std::expm1(variance) : static_cast<double>(kUnknownVariance)) + roundings;
  }
  double relative(std::int64_t i) const { return relative_[static_cast<std::size_t>(i)]; }
  /// Of Σe, relative to it: (Σp)²·U over scores that are equal.
  template <class Score>
  double of_sum(const std::vector<double>& p, const Score& score) const {
    RepeatedErrors errors;
    for (std::size_t i = 0; i < p.size(); ++i)
      if (p[i] != 0) errors.add(score(static_cast<std::int64_t>(i)), p[i] * p[i] * relative_[i]);
    return errors.variance();
  }

  /// Writes the spread of p_i: `expected` is its centre, `sum_variance` that of the whole sum, relative.
  void put(std::int64_t i, double expected, double sum_variance, Shadow& to) const {
    to.bias = static_cast<float>(expected - to.value);
    to.variance = static_cast<float>(expected == 0 ? 0 : expected * expected * relative(i));
    to.shared = {{{static_cast<float>(-expected * std::sqrt(sum_variance)), row_}}};
    if (!std::isfinite(to.shared[0].amount)) {
      to.variance = kUnknownVariance;
      to.shared = {};
    }
  }

 private:
  std::vector<double> relative_;
  std::uint32_t row_;
};

/// softmax of n scores: of their values, their centres, or anything else.
template <class Score>
std::vector<double> exact_softmax(std::int64_t n, const Score& score) {
  std::vector<double> p(static_cast<std::size_t>(n));
  double largest = -kInfinity, sum = 0;
  for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, score(i));
  for (std::int64_t i = 0; i < n; ++i) sum += p[static_cast<std::size_t>(i)] = std::exp(score(i) - largest);
  for (double& value : p) value /= sum;
  return p;
}

}  // namespace aneval::validate
