// What the rules of the error shadows share: how an interval is stored in fp16, and small arithmetic.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "validate/shadow/half_interval.h"
#include "validate/shadow/shadow.h"

namespace aneval::validate {

inline constexpr std::int64_t kPiece = 512;
/// Relative error of a function evaluated in double: a few roundings of 2^-53 and libm's, which is within 1 ulp.
inline constexpr double kFunctionError = 0x1p-50;

/// 0 · inf is 0 here: a factor that is exactly zero makes the product exactly zero, however loose the other's bound.
inline double times(double a, double b) { return a == 0 || b == 0 ? 0.0 : a * b; }

/// A variance that says: nothing is known but the bound.
inline constexpr float kUnknownVariance = std::numeric_limits<float>::infinity();

/// Adds an error of standard deviation |amount| that z shares with all elements of `row`. A shadow remembers two such
/// rows: of three, the smallest becomes an error of its own.
inline void add_shared(Shadow& z, float amount, std::uint32_t row) {
  if (amount == 0) return;
  for (SharedError& part : z.shared)
    if (part.amount != 0 && part.row == row) {
      part.amount += amount;
      return;
    }
  SharedError& least = std::abs(z.shared[1].amount) < std::abs(z.shared[0].amount) ? z.shared[1] : z.shared[0];
  if (std::abs(amount) > std::abs(least.amount)) {
    z.variance += least.amount * least.amount;
    least = {amount, row};
  } else {
    z.variance += amount * amount;
  }
}

/// Calls visit(place, element) for every element of a view in row-major order.
template <class Visit>
void for_each_element(const ShadowArithmetic::In& x, const Visit& visit) {
  const emulator::RowLoop<1> loop(x.shape, {&x.strides});
  std::size_t place = 0;
  for (std::int64_t r = 0; r < loop.rows(); ++r) {
    const emulator::Row<1> row = loop.row(r);
    for (std::int64_t i = 0; i < row.count; ++i, ++place) visit(place, x.data[row.offset[0] + i * row.step[0]]);
  }
}

/// Variance of a sum of errors, of which those that belong to equal values are one error.
class RepeatedErrors {
 public:
  void add(double value, double variance) {
    if (variance != 0) errors_.push_back({value, std::sqrt(variance)});
  }
  double variance() {
    std::sort(errors_.begin(), errors_.end(), [](const Error& a, const Error& b) { return a.value < b.value; });
    double sum = 0, sigma = 0;
    for (std::size_t i = 0; i < errors_.size(); ++i) {
      sigma += errors_[i].sigma;
      if (i + 1 < errors_.size() && errors_[i + 1].value == errors_[i].value) continue;
      sum += sigma * sigma;
      sigma = 0;
    }
    return sum;
  }

 private:
  struct Error {
    double value, sigma;
  };
  std::vector<Error> errors_;
};

/// A name for what the elements made from one element of a step's operand have in common.
inline std::uint32_t row_name(const emulator::Step& step, std::int64_t element) {
  const auto seed = static_cast<std::uint32_t>(step.output.buffer + 1) * 0x9E3779B1U;
  return (seed ^ static_cast<std::uint32_t>(element + 1) * 0x85EBCA77U) | 1U;
}

/// An error that names the operation: what has no bound is never passed over.
[[noreturn]] void no_bound(const emulator::Step& step, const std::string& why);

/// `x` as a device stores it whose value, before it is rounded to fp16, lies in [low, high] when it is finite and is
/// spread around x.centre() as x says. What x says of infinities is kept.
Shadow stored_between(Shadow x, double low, double high, emulator::Rounding rounding);

}  // namespace aneval::validate
