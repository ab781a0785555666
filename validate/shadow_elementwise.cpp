// Elementwise rules of the error shadows: unary functions, from tables where the profile has them, and binary ones.
#include <algorithm>
#include <cmath>

#include "ane/emulator/function_table.h"
#include "ane/emulator/half_values.h"
#include "validate/shadow.h"
#include "validate/shadow_parts.h"

namespace aneval::validate {

using emulator::Function;
using emulator::Row;
using emulator::RowLoop;
using emulator::Step;

namespace {

/// `rounds`: the device evaluates the function, with errors of its own even before the result is stored.
Shadow unary_shadow(const Step& step, const Shadow& x, bool rounds) {
  Shadow y;
  const double low = std::max(0.0, std::abs(x.value) - x.bound);  // smallest |argument|
  switch (step.function) {
    case Function::cast:
      return x;
    case Function::sigmoid: {
      y.value = 1 / (1 + std::exp(-x.value));
      const double s = 1 / (1 + std::exp(-low));
      y.bound = std::min(1.0, times(x.bound, s * (1 - s)));  // the derivative falls with |x|
      break;
    }
    case Function::tanh: {
      y.value = std::tanh(x.value);
      const double t = std::tanh(low);
      y.bound = std::min(2.0, times(x.bound, 1 - t * t));
      break;
    }
    case Function::exp:
      y.value = std::min(std::exp(x.value), std::numeric_limits<double>::max());  // a number, far beyond fp16
      y.bound = times(y.value, std::expm1(x.bound));
      break;
    case Function::sqrt:
      if (x.value - x.bound < 0) no_bound(step, "the argument of sqrt may be negative");
      y.value = std::sqrt(x.value);
      y.bound = x.bound == 0 ? 0 : x.bound / (y.value + std::sqrt(x.value - x.bound));
      break;
    case Function::rsqrt:
      if (x.value - x.bound <= 0) no_bound(step, "the argument of rsqrt may be zero or negative");
      y.value = 1 / std::sqrt(x.value);
      y.bound = 1 / std::sqrt(x.value - x.bound) - y.value;
      break;
    case Function::square:
      y.value = x.value * x.value;
      y.bound = times(x.bound, 2 * std::abs(x.value) + x.bound);
      break;
    case Function::silu:
      y.value = x.value / (1 + std::exp(-x.value));
      y.bound = times(1.1, x.bound);  // |silu'| ≤ 1.0999, at x = 2.3994
      break;
    case Function::relu:
      y.value = std::max(0.0, x.value);
      y.bound = x.bound;
      break;
    default:
      no_bound(step, "there is no error rule for this function");
  }
  if (rounds && step.function != Function::relu && step.function != Function::square)
    y.bound += (std::abs(y.value) + y.bound) * kFunctionError;
  return y;
}

/// Derivative of a function that x's errors pass through. Where relu has a corner, the errors that pass are the larger.
double slope_at(Function function, double x) {
  switch (function) {
    case Function::sigmoid: {
      const double s = 1 / (1 + std::exp(-x));
      return s * (1 - s);
    }
    case Function::tanh: {
      const double t = std::tanh(x);
      return 1 - t * t;
    }
    case Function::exp:
      return std::min(std::exp(x), std::numeric_limits<double>::max());
    case Function::sqrt:
      return x > 0 ? 0.5 / std::sqrt(x) : kInfinity;
    case Function::rsqrt:
      return x > 0 ? -0.5 / (x * std::sqrt(x)) : kInfinity;
    case Function::square:
      return 2 * x;
    case Function::silu: {
      const double s = 1 / (1 + std::exp(-x));
      return s * (1 + x * (1 - s));
    }
    default:  // cast, relu
      return 1;
  }
}

/// A variance after multiplication by `factor`; what is unknown stays so, unless nothing is left of it.
float scaled_variance(double factor, float variance) {
  return variance == 0 || factor == 0 ? 0.0F : static_cast<float>(factor * factor * static_cast<double>(variance));
}

/// The spread of f(x), f exact: f(centre), and linear around it. exp of a wide spread is more than that: its variance
/// is that of a log-normal number.
void spread_unary(Function function, const Shadow& x, double at_centre, Shadow& y) {
  const double slope = slope_at(function, x.centre());
  y.bias = static_cast<float>(at_centre - y.value);
  const bool log_normal = function == Function::exp && x.variance < 1;
  y.variance = log_normal ? static_cast<float>(slope * slope * std::expm1(static_cast<double>(x.variance)))
                          : scaled_variance(slope, x.variance);
  y.row = x.row;
  y.shared = x.shared == 0 ? 0.0F : static_cast<float>(slope * static_cast<double>(x.shared));
}

/// What IEEE infinities in the argument make of the result; NaN, where they give one, never passes.
void unary_infinities(const Step& step, const Shadow& x, Shadow& y) {
  const bool either = x.straddles();
  switch (step.function) {
    case Function::sigmoid:
      if (either) y.bound = 1;
      break;
    case Function::tanh:
      if (either) y.bound = 2;
      break;
    case Function::rsqrt:
      if (x.plus_infinity) y.bound = std::max(y.bound, y.value);  // 0
      break;
    case Function::square:
      y.plus_infinity = either;
      y.finite = x.finite;
      break;
    case Function::exp:
    case Function::relu:
      if (x.minus_infinity) y.bound = std::max(y.bound, y.value);  // 0
      y.plus_infinity = x.plus_infinity;
      y.finite = x.finite || x.minus_infinity;
      break;
    default:  // sqrt, silu
      y.plus_infinity = x.plus_infinity;
      y.finite = x.finite;
  }
}

/// The function's value, nothing else.
Shadow exact_unary(const Step& step, double x) {
  Shadow argument;
  argument.value = x;
  return unary_shadow(step, argument, false);
}

/// The tables' results grow with their argument (shadow_tables_test.cpp looks at all of fp16), so a device that holds a
/// number of an interval gets one between what it would get at its ends.
Shadow table_shadow(const Step& step, const Shadow& x, emulator::Rounding rounding) {
  Shadow y = exact_unary(step, x.value);
  const Interval held = held_by_device(x);
  const auto& values = emulator::function_values(step.function);
  const auto looked_up = [&](double number) {
    const auto value = static_cast<float>(number);
    ane::half_t bits = 0;
    emulator::encode_halves(emulator::Specials::ordinary, &value, &bits, 1);
    return static_cast<double>(values[bits]);
  };
  // The table's own error where the argument is expected, with one drawing of how the result is rounded.
  const double centre = std::clamp(nearest_half(rounding, x.centre()), held.low, held.high);
  const double expected = exact_unary(step, x.centre()).value, table = looked_up(centre);
  spread_unary(step.function, x, expected + table - exact_unary(step, centre).value, y);
  y.variance += static_cast<float>(single_drawn_variance(half_spacing(std::abs(table)), y.sigma()));
  y = stored_between(y, looked_up(held.low), looked_up(held.high), rounding);
  if (y.bound > 0) y.bound += std::abs(y.value) * kFunctionError;
  return y;
}

Shadow binary_shadow(const Step& step, const Shadow& x, const Shadow& y, bool rounds) {
  Shadow z;
  switch (step.function) {
    case Function::add:
    case Function::sub:
      z.value = step.function == Function::add ? x.value + y.value : x.value - y.value;
      z.bound = x.bound + y.bound;
      break;
    case Function::mul:
      z.value = times(x.value, y.value);
      z.bound = times(std::abs(x.value), y.bound) + times(x.bound, std::abs(y.value)) + times(x.bound, y.bound);
      break;
    case Function::real_div: {
      if (std::abs(y.value) <= y.bound) no_bound(step, "the divisor may be zero");
      z.value = x.value / y.value;
      z.bound = (x.bound + times(std::abs(z.value), y.bound)) / (std::abs(y.value) - y.bound);
      break;
    }
    case Function::maximum:
    case Function::minimum:
      z.value = step.function == Function::maximum ? std::max(x.value, y.value) : std::min(x.value, y.value);
      z.bound = std::max(x.bound, y.bound);
      break;
    case Function::pow: {
      const double low = x.value - x.bound, high = x.value + x.bound;
      if (low <= 0) no_bound(step, "the base of pow may be zero or negative");
      if (y.bound != 0) no_bound(step, "the exponent of pow is not exact");
      z.value = std::pow(x.value, y.value);  // monotone in a positive base
      z.bound = std::max(std::abs(std::pow(low, y.value) - z.value), std::abs(std::pow(high, y.value) - z.value));
      if (rounds) z.bound += (std::abs(z.value) + z.bound) * kFunctionError;
      break;
    }
    default:
      no_bound(step, "there is no error rule for this function");
  }
  return z;
}

/// Covariance of the operands' own errors: where one is a function of the other, an error comes through both.
double covariance(const Step& step, const Shadow& x, const Shadow& y) {
  if (step.related == Function::none) return 0;
  const Shadow& argument = step.argument == 0 ? x : y;
  return argument.variance == 0 ? 0
                                : slope_at(step.related, argument.centre()) * static_cast<double>(argument.variance);
}

void spread_binary(const Step& step, const Shadow& x, const Shadow& y, Shadow& z) {
  const double a = x.centre(), b = y.centre();
  double dx = 1, dy = 1;  // derivatives by the operands
  double centre = 0, product_variance = 0;
  switch (step.function) {
    case Function::add:
      centre = a + b;
      break;
    case Function::sub:
      centre = a - b;
      dy = -1;
      break;
    case Function::mul:
      centre = a * b;
      dx = b;
      dy = a;
      product_variance = times(static_cast<double>(x.variance), static_cast<double>(y.variance));
      break;
    case Function::real_div:
      centre = b != 0 ? a / b : 0;
      dx = b != 0 ? 1 / b : kInfinity;
      dy = -centre * dx;
      break;
    case Function::maximum:
    case Function::minimum: {
      // Whichever it is: of two that lie close, the one that is spread wider.
      const bool first = (a > b) == (step.function == Function::maximum);
      const bool close = std::abs(a - b) < x.bound + y.bound;
      centre = first ? a : b;
      dx = first || (close && x.variance > y.variance) ? 1 : 0;
      dy = 1 - dx;
      break;
    }
    default:  // pow, of an exact exponent
      centre = std::pow(std::max(a, 0.0), b);
      dx = a > 0 ? b * std::pow(a, b - 1) : kInfinity;
      dy = 0;
  }
  z.bias = static_cast<float>(centre - z.value);
  z.variance = scaled_variance(dx, x.variance) + scaled_variance(dy, y.variance) +
               static_cast<float>(std::max(0.0, product_variance) + 2 * times(dx * dy, covariance(step, x, y)));
  z.variance = std::max(z.variance, 0.0F);  // NaN stays: nothing is known
  z.shared = 0;
  add_shared(z, static_cast<float>(times(dx, static_cast<double>(x.shared))), x.row);
  add_shared(z, static_cast<float>(times(dy, static_cast<double>(y.shared))), y.row);
}

/// An operand that is repeated: its error is shared by all that are made of it.
void share(const Step& step, std::int64_t element, Shadow& x) {
  if (x.variance == 0) return;
  const float variance = x.variance + x.shared * x.shared;
  x.variance = std::isfinite(variance) ? 0 : variance;
  x.shared = std::isfinite(variance) ? std::sqrt(variance) : 0;
  x.row = row_name(step, element);
}

bool repeats(const ShadowArithmetic::In& x) {
  for (int axis = 0; axis < x.shape.rank; ++axis)
    if (x.strides[axis] == 0 && x.shape[axis] > 1) return true;
  return false;
}

bool may_be_positive(const Shadow& x) { return x.plus_infinity || (x.finite && x.value + x.bound > 0); }
bool may_be_negative(const Shadow& x) { return x.minus_infinity || (x.finite && x.value - x.bound < 0); }

/// What IEEE infinities in the operands make of the result. An operand that is surely infinite makes sums and products
/// surely infinite (or NaN, which never passes).
void binary_infinities(const Step& step, const Shadow& x, const Shadow& y, Shadow& z) {
  switch (step.function) {
    case Function::add:
      z.plus_infinity = x.plus_infinity || y.plus_infinity;
      z.minus_infinity = x.minus_infinity || y.minus_infinity;
      z.finite = x.finite && y.finite;
      break;
    case Function::sub:
      z.plus_infinity = x.plus_infinity || y.minus_infinity;
      z.minus_infinity = x.minus_infinity || y.plus_infinity;
      z.finite = x.finite && y.finite;
      break;
    case Function::mul:
    case Function::real_div: {
      const auto infinite = [](const Shadow& by, const Shadow& other, bool& plus, bool& minus) {
        plus = plus || (by.plus_infinity && may_be_positive(other)) || (by.minus_infinity && may_be_negative(other));
        minus = minus || (by.plus_infinity && may_be_negative(other)) || (by.minus_infinity && may_be_positive(other));
      };
      infinite(x, y, z.plus_infinity, z.minus_infinity);
      if (step.function == Function::mul) {
        infinite(y, x, z.plus_infinity, z.minus_infinity);
        z.finite = x.finite && y.finite;
      } else if (y.straddles()) {
        z.bound = std::max(z.bound, std::abs(z.value));  // x/inf is 0
      }
      break;
    }
    default:  // maximum, minimum, pow: either operand's number, or infinity, or 0
      z.plus_infinity = x.plus_infinity || y.plus_infinity;
      z.minus_infinity = x.minus_infinity || y.minus_infinity;
      z.bound = std::max({z.bound, std::abs(x.value - y.value) + x.bound + y.bound, std::abs(z.value)});
  }
}

}  // namespace

void ShadowArithmetic::unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  require_rule(step);
  const bool table = from_tables() && (step.function == Function::sigmoid || step.function == Function::tanh ||
                                       step.function == Function::exp);
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      const Shadow s = read(x.data[row.offset[0] + i * row.step[0]]);
      Shadow& to = out.data[row.offset[1] + i * row.step[1]];
      if (table) {
        to = table_shadow(step, s, model_.profile->elementwise_rounding);
        continue;
      }
      Shadow y = unary_shadow(step, s, model_.profile.has_value());
      if (model_.profile && step.function != Function::cast)
        spread_unary(step.function, s, exact_unary(step, s.centre()).value, y);
      if (s.straddles() && step.function != Function::cast) {
        unary_infinities(step, s, y);
        y.variance = kUnknownVariance;
      }
      to = stored(y, step.output.dtype);
    }
  });
}

void ShadowArithmetic::binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const {
  require_rule(step);
  const bool shares_x = model_.profile && repeats(x), shares_y = model_.profile && repeats(y);
  const RowLoop<3> loop(out.shape, {&x.strides, &y.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPiece, [&](const Row<3>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      const std::int64_t at_x = row.offset[0] + i * row.step[0], at_y = row.offset[1] + i * row.step[1];
      Shadow a = read(x.data[at_x]), b = read(y.data[at_y]);
      if (shares_x) share(step, at_x, a);
      if (shares_y) share(step, at_y, b);
      Shadow z = binary_shadow(step, a, b, model_.profile.has_value());
      if (model_.profile) spread_binary(step, a, b, z);
      if (a.straddles() || b.straddles()) {
        binary_infinities(step, a, b, z);
        z.variance = kUnknownVariance;
      }
      out.data[row.offset[2] + i * row.step[2]] = stored(z, step.output.dtype);
    }
  });
}

}  // namespace aneval::validate
