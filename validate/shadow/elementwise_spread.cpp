#include "validate/shadow/elementwise_spread.h"

#include <algorithm>
#include <cmath>

#include "validate/shadow/parts.h"

namespace aneval::validate {

using emulator::Function;
using emulator::Step;

namespace {

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

/// What x shares, to what z shares: multiplied with the derivative of z by x.
void add_shared_of(const Shadow& x, double derivative, Shadow& z) {
  for (const SharedError& part : x.shared)
    add_shared(z, static_cast<float>(times(derivative, static_cast<double>(part.amount))), part.row);
}

/// Covariance of the operands' own errors: where one is a function of the other, an error comes through both.
double covariance(const Step& step, const Shadow& x, const Shadow& y) {
  if (step.related == Function::none) return 0;
  const Shadow& argument = step.argument == 0 ? x : y;
  return argument.variance == 0 ? 0
                                : slope_at(step.related, argument.centre()) * static_cast<double>(argument.variance);
}

}  // namespace

void spread_unary(Function function, const Shadow& x, double at_centre, Shadow& y) {
  const double slope = slope_at(function, x.centre());
  y.bias = static_cast<float>(at_centre - y.value);
  const bool log_normal = function == Function::exp && x.variance < 1;
  y.variance = log_normal ? static_cast<float>(slope * slope * std::expm1(static_cast<double>(x.variance)))
                          : scaled_variance(slope, x.variance);
  y.shared = {};
  add_shared_of(x, slope, y);
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
  z.shared = {};
  add_shared_of(x, dx, z);
  add_shared_of(y, dy, z);
}

void share(const Step& step, std::int64_t element, Shadow& x) {
  if (x.variance == 0) return;
  if (!std::isfinite(x.variance)) {
    x.shared = {};
    return;
  }
  const float own = x.variance;
  x.variance = 0;
  add_shared(x, std::sqrt(own), row_name(step, element));
}

bool repeats(const ShadowArithmetic::In& x) {
  for (int axis = 0; axis < x.shape.rank; ++axis)
    if (x.strides[axis] == 0 && x.shape[axis] > 1) return true;
  return false;
}

}  // namespace aneval::validate
