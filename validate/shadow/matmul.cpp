// The matmul rule of the error shadows:
//
//   c = Σ a·b    E_c = Σ (|a|·E_b + E_a·|b| + E_a·E_b) + accumulator
//   fp32 accumulator, K terms in any order: γ_{K−1}·Σ (|a| + E_a)(|b| + E_b); products of fp16 numbers are exact in
//   fp32 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1). Nothing rounds when all
//   operands are integers and Σ|a||b| < 2^24. The engine's accumulators: fixed_point.cpp, four_lane.cpp.
#include <algorithm>
#include <bit>
#include <cmath>

#include "ane/emulator/matrix_product.h"
#include "validate/shadow/parts.h"
#include "validate/shadow/product.h"
#include "validate/shadow/shadow.h"

namespace aneval::validate {

using emulator::Extents;
using emulator::TensorView;

float upwards(double value) {
  if (value == 0) return 0;
  auto result = static_cast<float>(value);
  if (static_cast<double>(result) < value)
    result = std::bit_cast<float>(std::bit_cast<std::uint32_t>(result) + 1);  // the next float, or infinity
  return std::max(result, 0x1p-60F);
}

float grain_of(const Interval& held) {
  if (held.low != held.high) return kNoGrain;
  const auto steps = static_cast<std::int64_t>(held.low * 0x1p24);  // fp16 numbers are multiples of 2^-24, below 2^17
  return steps == 0 ? kZeroGrain : static_cast<float>(steps & -steps) * 0x1p-24F;
}

namespace {

/// One operand taken apart: contiguous matrices of values, magnitudes and bounds.
struct Parts {
  std::vector<double> value, magnitude, bound;
  Extents shape;
  bool uncertain = false;  // any bound above zero
  bool whole = true;       // integers all through

  TensorView<const double> view(const std::vector<double>& of) const {
    return {of.data(), shape, emulator::contiguous_strides(shape)};
  }
};

Parts take_apart(const TensorView<const Shadow>& x, bool values_only) {
  Parts parts;
  parts.shape = x.shape;
  const auto n = static_cast<std::size_t>(x.shape.product());
  parts.value.resize(n);
  if (!values_only) {
    parts.magnitude.resize(n);
    parts.bound.resize(n);
  }
  for_each_element(x, [&](std::size_t at, const Shadow& s) {
    parts.value[at] = s.value;
    if (values_only) return;
    parts.magnitude[at] = std::abs(s.value);
    parts.bound[at] = s.bound;
    parts.uncertain = parts.uncertain || s.bound > 0;
    parts.whole = parts.whole && std::trunc(s.value) == s.value;
  });
  return parts;
}

void multiply(const TensorView<const double>& x, const TensorView<const double>& y, const Extents& shape,
              std::vector<double>& to, ThreadPool* pool) {
  emulator::matrix_product(x, y, TensorView<double>{to.data(), shape, emulator::contiguous_strides(shape)}, pool);
}

/// Rows of x (columns of y) with an operand that may be infinite: their results may be, with either sign.
std::vector<char> infinite_lines(const TensorView<const Shadow>& x, bool rows) {
  const int last = x.shape.rank - 1, along = rows ? last - 1 : last, across = rows ? last : last - 1;
  std::vector<char> lines(static_cast<std::size_t>(x.batches() * x.shape[along]), 0);
  for (std::size_t line = 0; line < lines.size(); ++line) {
    const auto at = static_cast<std::int64_t>(line);
    const Shadow* from = x.matrix(at / x.shape[along]) + at % x.shape[along] * x.strides[along];
    for (std::int64_t k = 0; k < x.shape[across]; ++k)
      if (from[k * x.strides[across]].straddles()) lines[line] = 1;
  }
  return lines;
}

/// A contiguous copy of the operand as the product reads it.
template <class Read>
std::vector<Shadow> copy_of(const TensorView<const Shadow>& x, const Read& read) {
  std::vector<Shadow> copy;
  copy.reserve(static_cast<std::size_t>(x.shape.product()));
  for_each_element(x, [&](std::size_t, const Shadow& s) { copy.push_back(read(s)); });
  return copy;
}

bool any_straddles(const TensorView<const Shadow>& x) {
  bool any = false;
  for_each_element(x, [&](std::size_t, const Shadow& s) { any = any || s.straddles(); });
  return any;
}

}  // namespace

void ShadowArithmetic::matmul(const emulator::Step& step, const In& x, const In& y, const In* bias, const Out& out,
                              ThreadPool* pool) const {
  require_rule(step);
  if (step.integers || !model_.profile || model_.profile->accumulator == emulator::Accumulator::fp32)
    return matmul_in_fp32(step, x, y, bias, out, pool);
  // Infinities become the numbers that the product reads; they are rare, and so are the copies.
  const auto as_read = [&](const In& operand, std::vector<Shadow>& copy) {
    if (!any_straddles(operand)) return operand;
    copy = copy_of(operand, [&](const Shadow& s) { return read(s); });
    return In{copy.data(), operand.shape, emulator::contiguous_strides(operand.shape)};
  };
  std::vector<Shadow> x_copy, y_copy, shifts;
  const In a = as_read(x, x_copy), b = as_read(y, y_copy);
  if (bias != nullptr)
    for (std::int64_t row = 0; row < out.shape[out.shape.rank - 2]; ++row)
      shifts.push_back(read(bias->data[row * bias->strides[0]]));
  std::vector<double> values(static_cast<std::size_t>(out.shape.product()));
  {
    const Parts left = take_apart(a, true), right = take_apart(b, true);
    multiply(left.view(left.value), right.view(right.value), out.shape, values, pool);
  }
  const bool fixed_point = model_.profile->accumulator == emulator::Accumulator::fixed_point;
  const ProductSpread spread(a, b, {.rounding = fixed_point ? kProductRounding : 0, .in_groups = !fixed_point}, pool);
  const ProductRule rule{a, b, shifts, out, values, model_.profile->matmul_rounding, pool, spread};
  if (fixed_point)
    fixed_point_shadows(rule);
  else
    four_lane_shadows(rule);
}

/// An exact sum of integers as it leaves the accumulator: from 2^31 on infinite, else times its scale. The products of
/// scales and sums have 24 bits at the least wherever they are taken; that they have more was not measured.
Shadow ShadowArithmetic::scaled_sum(const emulator::IntegerProduct& integers, std::int64_t row, std::int64_t column,
                                    double reach, Shadow sum) const {
  const double scale = integers.scale(row, column);
  if (model_.profile && reach >= emulator::kIntegerLimit) {
    sum.plus_infinity = sum.value + sum.bound >= emulator::kIntegerLimit;
    sum.minus_infinity = sum.value - sum.bound <= -emulator::kIntegerLimit;
    sum.finite = std::abs(sum.value) - sum.bound < emulator::kIntegerLimit;
    if (sum.straddles()) sum.variance = kUnknownVariance;
  }
  sum.value *= scale;
  sum.bound *= scale;
  if (!model_.profile) return sum;
  sum.bound += (std::abs(sum.value) + sum.bound) * 0x1p-23;
  sum.bias *= static_cast<float>(scale);
  sum.variance *= static_cast<float>(scale * scale);
  for (SharedError& part : sum.shared) part.amount *= static_cast<float>(scale);
  return stored_product(sum, mil::DType::fp16);
}

void ShadowArithmetic::matmul_in_fp32(const emulator::Step& step, const In& x, const In& y, const In* bias,
                                      const Out& out, ThreadPool* pool) const {
  const Parts a = take_apart(x, false), b = take_apart(y, false);
  const std::int64_t k = x.shape[x.shape.rank - 1];
  const auto n = static_cast<std::size_t>(out.shape.product());
  std::vector<double> value(n), magnitude(n, 0.0), bound(n, 0.0), scratch(n);
  multiply(a.view(a.value), b.view(b.value), out.shape, value, pool);
  if (model_.profile) multiply(a.view(a.magnitude), b.view(b.magnitude), out.shape, magnitude, pool);
  if (a.uncertain) {  // E_a·(|b| + E_b)
    std::vector<double> reach(b.magnitude);
    for (std::size_t i = 0; i < reach.size(); ++i) reach[i] += b.bound[i];
    multiply(a.view(a.bound), b.view(reach), out.shape, bound, pool);
  }
  if (b.uncertain) {  // |a|·E_b
    multiply(a.view(a.magnitude), b.view(b.bound), out.shape, scratch, pool);
    for (std::size_t i = 0; i < n; ++i) bound[i] += scratch[i];
  }
  // Sums of integers are exact: what their operands stand for is not whole, what a device adds is.
  const bool whole = step.integers || (a.whole && b.whole && !a.uncertain && !b.uncertain);
  const double gamma = gamma_of(bias != nullptr ? k : k - 1, kUnit32);
  // Partial sums of terms of either sign grow like a random walk, Σ_k k/K·Σa²b² = K/2·Σa²b²; those of one sign like
  // k/K·Σab, whose squares add up to K/3·(Σab)². Each is rounded within 2u of it, uniformly: variance u²/3.
  const double walk = static_cast<double>(k) * kUnit32 * kUnit32;
  std::optional<ProductSpread> spread;
  if (model_.profile) spread.emplace(x, y, AccumulatorSpread{.squares = whole ? 0 : walk / 6}, pool);
  const std::vector<char> x_lines = infinite_lines(x, true), y_lines = infinite_lines(y, false);
  const std::int64_t cols = out.shape[out.shape.rank - 1], rows = out.shape[out.shape.rank - 2];
  const emulator::RowLoop<1> loop(out.shape, {&out.strides});
  std::int64_t at = 0;
  for (std::int64_t r = 0; r < loop.rows(); ++r) {
    const emulator::Row<1> row = loop.row(r);
    for (std::int64_t i = 0; i < row.count; ++i, ++at) {
      const auto place = static_cast<std::size_t>(at);
      Shadow s;
      s.value = value[place];
      s.bound = bound[place];
      s.plus_infinity = s.minus_infinity =
          x_lines[static_cast<std::size_t>(at / cols)] != 0 ||
          y_lines[static_cast<std::size_t>(at / (cols * rows) * cols + at % cols)] != 0;
      double reach = magnitude[place] + bound[place];
      if (spread) {
        spread->add_to(at / cols / rows, at / cols % rows, at % cols, s);
        if (!whole) s.variance += static_cast<float>(walk * s.value * s.value / 9);
        if (s.straddles()) s.variance = kUnknownVariance;
      }
      if (bias != nullptr) {
        const Shadow& shift = bias->data[at / cols % rows * bias->strides[0]];
        s.bias += shift.bias;
        s.variance += shift.variance + static_cast<float>(shift.shared_variance());
        s.value += shift.value;
        s.bound += shift.bound;
        s.plus_infinity = s.plus_infinity || shift.plus_infinity;
        s.minus_infinity = s.minus_infinity || shift.minus_infinity;
        reach += std::abs(shift.value) + shift.bound;
      }
      const bool exact = !model_.profile || step.integers || (whole && reach < 0x1p24);
      if (!exact) s.bound += gamma * reach;
      Shadow& to = out.data[row.offset[0] + i * row.step[0]];
      to = step.integers ? scaled_sum(*step.integers, at / cols % rows, at % cols, reach, s)
                         : stored(s, step.output.dtype);
    }
  }
}

}  // namespace aneval::validate
