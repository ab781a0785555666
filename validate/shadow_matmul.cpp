// The matmul rule of the error shadows:
//
//   c = Σ a·b    E_c = Σ (|a|·E_b + E_a·|b| + E_a·E_b) + accumulator
//   fp32 accumulator, K terms in any order: γ_{K−1}·Σ (|a| + E_a)(|b| + E_b); products of fp16 numbers are exact in
//   fp32 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.1). Nothing rounds when all
//   operands are integers and Σ|a||b| < 2^24.
#include <cmath>
#include <limits>

#include "ane/emulator/matrix_product.h"
#include "validate/shadow.h"

namespace aneval::validate {

using emulator::Extents;
using emulator::TensorView;

namespace {

constexpr double kUnit32 = 0x1p-24;

/// One operand taken apart: contiguous matrices of values, magnitudes and bounds.
struct Parts {
  std::vector<double> value, magnitude, bound;
  Extents shape;
  bool uncertain = false;  // any bound above zero
  bool whole = true;       // integers all through
  bool overflow = false;

  TensorView<const double> view(const std::vector<double>& of) const {
    return {of.data(), shape, emulator::contiguous_strides(shape)};
  }
};

Parts take_apart(const TensorView<const Shadow>& x) {
  Parts parts;
  parts.shape = x.shape;
  const auto n = static_cast<std::size_t>(x.shape.product());
  parts.value.resize(n);
  parts.magnitude.resize(n);
  parts.bound.resize(n);
  const emulator::RowLoop<1> loop(x.shape, {&x.strides});
  std::size_t at = 0;
  for (std::int64_t r = 0; r < loop.rows(); ++r) {
    const emulator::Row<1> row = loop.row(r);
    for (std::int64_t i = 0; i < row.count; ++i, ++at) {
      const Shadow& s = x.data[row.offset[0] + i * row.step[0]];
      parts.value[at] = s.value;
      parts.magnitude[at] = std::abs(s.value);
      parts.bound[at] = s.bound;
      parts.uncertain = parts.uncertain || s.bound > 0;
      parts.whole = parts.whole && std::trunc(s.value) == s.value;
      parts.overflow = parts.overflow || s.overflow;
    }
  }
  return parts;
}

}  // namespace

void ShadowArithmetic::matmul(const emulator::Step& step, const In& x, const In& y, const In* bias, const Out& out,
                              ThreadPool* pool) const {
  const Parts a = take_apart(x), b = take_apart(y);
  const std::int64_t k = x.shape[x.shape.rank - 1];
  const auto n = static_cast<std::size_t>(out.shape.product());
  std::vector<double> value(n), magnitude(n), bound(n, 0.0), scratch(n);
  const auto product = [&](const TensorView<const double>& p, const TensorView<const double>& q,
                           std::vector<double>& to) {
    emulator::matrix_product(p, q, TensorView<double>{to.data(), out.shape, emulator::contiguous_strides(out.shape)},
                             pool);
  };
  product(a.view(a.value), b.view(b.value), value);
  product(a.view(a.magnitude), b.view(b.magnitude), magnitude);
  if (a.uncertain) {  // E_a·(|b| + E_b)
    std::vector<double> reach(b.magnitude);
    for (std::size_t i = 0; i < reach.size(); ++i) reach[i] += b.bound[i];
    product(a.view(a.bound), b.view(reach), bound);
  }
  if (b.uncertain) {  // |a|·E_b
    product(a.view(a.magnitude), b.view(b.bound), scratch);
    for (std::size_t i = 0; i < n; ++i) bound[i] += scratch[i];
  }
  const bool whole = a.whole && b.whole && !a.uncertain && !b.uncertain;
  const double terms = static_cast<double>(bias != nullptr ? k : k - 1);
  const double gamma =
      terms * kUnit32 < 1 ? terms * kUnit32 / (1 - terms * kUnit32) : std::numeric_limits<double>::infinity();
  const std::int64_t cols = out.shape[out.shape.rank - 1], rows = out.shape[out.shape.rank - 2];
  const emulator::RowLoop<1> loop(out.shape, {&out.strides});
  std::size_t at = 0;
  for (std::int64_t r = 0; r < loop.rows(); ++r) {
    const emulator::Row<1> row = loop.row(r);
    for (std::int64_t i = 0; i < row.count; ++i, ++at) {
      Shadow s{value[at], bound[at], a.overflow || b.overflow};
      double reach = magnitude[at] + bound[at];
      if (bias != nullptr) {
        const Shadow& shift = bias->data[(static_cast<std::int64_t>(at) / cols % rows) * bias->strides[0]];
        s.value += shift.value;
        s.bound += shift.bound;
        reach += std::abs(shift.value) + shift.bound;
      }
      const bool exact = !model_.profile || (whole && reach < 0x1p24);
      if (!exact) s.bound += gamma * reach;
      out.data[row.offset[0] + i * row.step[0]] = stored(s, step.output.dtype);
    }
  }
}

}  // namespace aneval::validate
