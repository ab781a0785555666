// Elementwise rules of the error shadows: unary functions, from tables where the profile has them, and binary ones.
#include <algorithm>
#include <cmath>

#include "ane/emulator/function_table.h"
#include "ane/emulator/half_values.h"
#include "validate/shadow/elementwise_spread.h"
#include "validate/shadow/parts.h"
#include "validate/shadow/shadow.h"

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

/// The tables' results grow with their argument (a test looks at all of fp16, the reader of files at measured ones), so
/// a device that holds a number of an interval gets one between what it would get at its ends.
Shadow table_shadow(const Step& step, const Shadow& x, const emulator::Profile& profile) {
  const emulator::Rounding rounding = profile.elementwise_rounding;
  Shadow y = exact_unary(step, x.value);
  const Interval held = held_by_device(x);
  const auto& values = emulator::function_values(profile, step.function);
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
  if (step.function == Function::quantize || step.function == Function::dequantize)
    return change_units(step, x, out, pool);
  const bool table = from_tables() && (step.function == Function::sigmoid || step.function == Function::tanh ||
                                       step.function == Function::exp);
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      const Shadow s = read(x.data[row.offset[0] + i * row.step[0]]);
      Shadow& to = out.data[row.offset[1] + i * row.step[1]];
      if (table) {
        to = table_shadow(step, s, *model_.profile);
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
