#include "validate/shadow.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ane/half.h"
#include "common/error.h"

namespace aneval::validate {

using emulator::Function;
using emulator::Row;
using emulator::RowLoop;
using emulator::Step;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kPiece = 512;
/// Unit roundoff of fp32, IEEE 754.
constexpr double kUnit32 = 0x1p-24;
/// Relative error of a function evaluated in double: a few roundings of 2^-53 and libm's, which is within 1 ulp.
constexpr double kFunctionError = 0x1p-50;

/// γ_n = n·u/(1 − n·u) bounds the relative error of n roundings in any order (Higham, Accuracy and Stability of
/// Numerical Algorithms, 2nd ed., lemma 3.1). Infinite where the bound does not exist.
double gamma_of(std::int64_t n, double unit) {
  const double nu = static_cast<double>(n) * unit;
  return nu < 1 ? nu / (1 - nu) : kInfinity;
}

double round_half(double x) { return static_cast<double>(ane::to_float(ane::to_half(x))); }

/// 0 · inf is 0 here: a factor that is exactly zero makes the product exactly zero, however loose the other's bound.
double times(double a, double b) { return a == 0 || b == 0 ? 0.0 : a * b; }

[[noreturn]] void no_bound(const Step& step, const std::string& why) {
  throw input_error("operation '" + step.result + "' at line " + std::to_string(step.location.line), why,
                    "its error cannot be bounded for this case: change the data or the program");
}

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
      y.value = std::exp(x.value);
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
  y.overflow = x.overflow;
  if (rounds && step.function != Function::relu && step.function != Function::square)
    y.bound += (std::abs(y.value) + y.bound) * kFunctionError;
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
  z.overflow = x.overflow || y.overflow;
  return z;
}

}  // namespace

/// Rounding is monotone: a device value within [x − E, x + E] is stored within [round(x − E), round(x + E)]. This is
/// tighter than E + u(|x| + E), and gives 0 where the value is representable and E cannot reach its neighbour.
Shadow ShadowArithmetic::stored(Shadow x, mil::DType dtype) const {
  if (!model_.profile) return x;
  if (dtype != mil::DType::fp16) {
    x.bound += (std::abs(x.value) + x.bound) * kUnit32 + 0x1p-149;
    return x;
  }
  if (!std::isfinite(x.bound)) return x;
  const double low = round_half(x.value - x.bound), high = round_half(x.value + x.bound);
  x.overflow = x.overflow || std::isinf(low) || std::isinf(high);
  const double down = std::isinf(low) ? std::max(x.bound, std::abs(x.value) - ane::kHalfMax) : x.value - low;
  const double up = std::isinf(high) ? std::max(x.bound, std::abs(x.value) - ane::kHalfMax) : high - x.value;
  x.bound = std::max({down, up, 0.0});
  return x;
}

void ShadowArithmetic::load_constant(const emulator::PlanConstant& constant, std::span<Shadow> to) const {
  const bool exact_arithmetic = !model_.profile;
  const auto known = exact_constants_->find(constant.identifier);
  for (std::size_t i = 0; i < to.size(); ++i) {
    const double compiled = constant.values[i];
    if (known != exact_constants_->end()) {
      const double exact = known->second[known->second.size() == 1 ? 0 : i];
      to[i] = {exact, exact_arithmetic ? 0 : std::abs(compiled - exact), false};
    } else {
      // Integers written into the text (−1, 2) are meant; a 1 in a weight file may well be a rounded cosine.
      const bool meant = !constant.from_file && std::trunc(compiled) == compiled && std::abs(compiled) <= 2048;
      const bool uncertain = exact_arithmetic && !meant && constant.operand.dtype == mil::DType::fp16;
      to[i] = {compiled, uncertain ? ane::half_ulp(compiled) / 2 : 0, false};
    }
  }
}

/// What exceeds the slice's gain is infinite.
void ShadowArithmetic::slice(const Step&, const In& x, const Out& out, ThreadPool* pool) const {
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      Shadow s = x.data[row.offset[0] + i * row.step[0]];
      if (model_.profile && std::abs(s.value) + s.bound > emulator::kSliceLimit) s.overflow = true;
      out.data[row.offset[1] + i * row.step[1]] = s;
    }
  });
}

void ShadowArithmetic::unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i)
      out.data[row.offset[1] + i * row.step[1]] = stored(
          unary_shadow(step, x.data[row.offset[0] + i * row.step[0]], model_.profile.has_value()), step.output.dtype);
  });
}

void ShadowArithmetic::binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const {
  const RowLoop<3> loop(out.shape, {&x.strides, &y.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPiece, [&](const Row<3>& row) {
    for (std::int64_t i = 0; i < row.count; ++i)
      out.data[row.offset[2] + i * row.step[2]] =
          stored(binary_shadow(step, x.data[row.offset[0] + i * row.step[0]], y.data[row.offset[1] + i * row.step[1]],
                               model_.profile.has_value()),
                 step.output.dtype);
  });
}

void ShadowArithmetic::reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  emulator::Extents kept_strides = x.strides, inner, inner_strides;
  kept_strides.rank = out.shape.rank;
  for (int axis = out.shape.rank; axis < x.shape.rank; ++axis) {
    inner.push(x.shape[axis]);
    inner_strides.push(x.strides[axis]);
  }
  const std::int64_t terms = inner.product();
  const double accumulation = !model_.profile ? 0 : gamma_of(terms - 1, kUnit32);
  const RowLoop<1> inside(inner, {&inner_strides});
  const RowLoop<2> loop(out.shape, {&kept_strides, &out.strides});
  emulator::for_each_row(pool, loop, 32, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      Shadow total;
      if (step.function == Function::max) total.value = -kInfinity;
      double magnitude = 0;
      bool whole = true;
      for (std::int64_t r = 0; r < inside.rows(); ++r) {
        const Row<1> run = inside.row(r);
        for (std::int64_t j = 0; j < run.count; ++j) {
          const Shadow& term = x.data[row.offset[0] + i * row.step[0] + run.offset[0] + j * run.step[0]];
          total.overflow = total.overflow || term.overflow;
          if (step.function == Function::max) {
            total.value = std::max(total.value, term.value);
            total.bound = std::max(total.bound, term.bound);
          } else {
            total.value += term.value;
            total.bound += term.bound;
            magnitude += std::abs(term.value) + term.bound;
            whole = whole && term.bound == 0 && std::trunc(term.value) == term.value;
          }
        }
      }
      // Sums of integers below 2^24 are exact in fp32.
      if (step.function != Function::max && !(whole && magnitude < 0x1p24)) total.bound += accumulation * magnitude;
      if (step.function == Function::mean) {
        total.value /= static_cast<double>(terms);
        total.bound =
            total.bound / static_cast<double>(terms) + (!model_.profile ? 0 : std::abs(total.value) * kUnit32);
      }
      out.data[row.offset[1] + i * row.step[1]] = stored(total, step.output.dtype);
    }
  });
}

/// p_i = e^{x_i}/(e^{x_i} + Σ_{j≠i} e^{x_j}) grows with x_i and falls with every other score. With scores off by at
/// most E, its range is reached at the ends: x_i + E_i with x_j − E_j, and x_i − E_i with x_j + E_j.
void ShadowArithmetic::softmax(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const int last = x.shape.rank - 1;
  const std::int64_t n = x.shape[last], dx = x.strides[last], dy = out.strides[last];
  emulator::Extents rows = x.shape, x_strides = x.strides, out_strides = out.strides;
  rows.rank = x_strides.rank = out_strides.rank = last;
  // Subtraction, exp, sum and division in double; the rounding to fp16 is the store's.
  const double evaluation = !model_.profile ? 0 : static_cast<double>(n + 8) * 0x1p-52;
  const RowLoop<2> loop(rows, {&x_strides, &out_strides});
  emulator::for_each_row(pool, loop, 16, [&](const Row<2>& group) {
    for (std::int64_t r = 0; r < group.count; ++r) {
      const Shadow* a = x.data + group.offset[0] + r * group.step[0];
      Shadow* b = out.data + group.offset[1] + r * group.step[1];
      double largest = -kInfinity, top = -kInfinity;  // of the scores, and of the ends of their intervals
      bool overflow = false;
      for (std::int64_t i = 0; i < n; ++i) {
        const Shadow& s = a[i * dx];
        largest = std::max(largest, s.value);
        top = std::max(top, s.value + s.bound);
        // −inf is as good as any very negative score; +inf makes the row meaningless.
        overflow = overflow || (s.overflow && s.value > 0);
      }
      const auto high_end = [&](const Shadow& s) { return std::exp(s.value + s.bound - top); };
      const auto low_end = [&](const Shadow& s) { return s.overflow ? 0.0 : std::exp(s.value - s.bound - top); };
      double sum = 0, most = 0, least = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        sum += std::exp(a[i * dx].value - largest);
        most += high_end(a[i * dx]);
        least += low_end(a[i * dx]);
      }
      for (std::int64_t i = 0; i < n; ++i) {
        const Shadow& s = a[i * dx];
        const double p = std::exp(s.value - largest) / sum;
        double high = 1, low = 0;
        if (std::isfinite(top)) {
          const double up = high_end(s), down = low_end(s);
          if (up > 0) high = up / (up + std::max(0.0, least - down));
          if (up == 0) high = 0;
          if (down > 0) low = down / (down + std::max(0.0, most - up));
        }
        const double bound = std::max({high - p, p - low, 0.0});
        // Rounding noise of these very formulas must not pass for a bound where nothing was uncertain.
        const bool certain = bound < 8 * 0x1p-52 * p;
        b[i * dy] = stored({p, (certain ? 0 : bound) + p * evaluation, overflow}, step.output.dtype);
      }
    }
  });
}

}  // namespace aneval::validate
