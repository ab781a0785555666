#include "validate/plain_arithmetic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "ane/emulator/matrix_product.h"

namespace aneval::validate {
namespace {

using emulator::Function;
using emulator::Row;
using emulator::RowLoop;
using emulator::Step;

constexpr std::int64_t kPieceElements = 4096;

[[noreturn]] void no_rule(const Step& step) {
  throw std::logic_error("operation '" + step.result + "' has no rule without rounding");
}

/// out = f(x), element by element.
template <class F>
void map_elements(const PlainArithmetic::In& x, const PlainArithmetic::Out& out, ThreadPool* pool, const F& f) {
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPieceElements, [&](const Row<2>& row) {
    const double* from = x.data + row.offset[0];
    double* to = out.data + row.offset[1];
    for (std::int64_t i = 0; i < row.count; ++i) to[i * row.step[1]] = f(from[i * row.step[0]]);
  });
}

/// out = f(x, place of the element in the contiguous output).
template <class F>
void map_places(const PlainArithmetic::In& x, const PlainArithmetic::Out& out, const F& f) {
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  for (std::int64_t r = 0; r < loop.rows(); ++r) {
    const Row<2> row = loop.row(r);
    for (std::int64_t i = 0; i < row.count; ++i) {
      const std::int64_t at = row.offset[1] + i * row.step[1];
      out.data[at] = f(x.data[row.offset[0] + i * row.step[0]], at);
    }
  }
}

template <class F>
void map_pairs(const PlainArithmetic::In& x, const PlainArithmetic::In& y, const PlainArithmetic::Out& out,
               ThreadPool* pool, const F& f) {
  const RowLoop<3> loop(out.shape, {&x.strides, &y.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPieceElements, [&](const Row<3>& row) {
    const double *a = x.data + row.offset[0], *b = y.data + row.offset[1];
    double* to = out.data + row.offset[2];
    for (std::int64_t i = 0; i < row.count; ++i) to[i * row.step[2]] = f(a[i * row.step[0]], b[i * row.step[1]]);
  });
}

}  // namespace

void PlainArithmetic::load_constant(const emulator::PlanConstant& constant, std::span<double> to) const {
  std::copy(constant.values.begin(), constant.values.end(), to.begin());
}

void PlainArithmetic::slice(const Step&, const In& x, const Out& out, ThreadPool* pool) const {
  map_elements(x, out, pool, [](double v) { return v; });
}

void PlainArithmetic::unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const auto each = [&](const auto& f) { map_elements(x, out, pool, f); };
  switch (step.function) {
    case Function::cast:
      return each([](double v) { return v; });
    case Function::sigmoid:
      return each([](double v) { return 1 / (1 + std::exp(-v)); });
    case Function::tanh:
      return each([](double v) { return std::tanh(v); });
    case Function::exp:  // a number, far beyond fp16: zero times it is zero
      return each([](double v) { return std::min(std::exp(v), std::numeric_limits<double>::max()); });
    case Function::sqrt:
      return each([](double v) { return std::sqrt(v); });
    case Function::rsqrt:
      return each([](double v) { return 1 / std::sqrt(v); });
    case Function::square:
      return each([](double v) { return v * v; });
    case Function::silu:
      return each([](double v) { return v / (1 + std::exp(-v)); });
    case Function::relu:
      return each([](double v) { return std::max(0.0, v); });
    case Function::quantize:
      return map_places(
          x, out, [&](double v, std::int64_t at) { return v / step.units.scale_of(at) + step.units.zero_of(at); });
    case Function::dequantize:
      return map_places(
          x, out, [&](double v, std::int64_t at) { return (v - step.units.zero_of(at)) * step.units.scale_of(at); });
    default:
      no_rule(step);
  }
}

void PlainArithmetic::binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const {
  const auto each = [&](const auto& f) { map_pairs(x, y, out, pool, f); };
  switch (step.function) {
    case Function::add:
      return each([](double a, double b) { return a + b; });
    case Function::sub:
      return each([](double a, double b) { return a - b; });
    case Function::mul:
      return each([](double a, double b) { return a * b; });
    case Function::real_div:
      return each([](double a, double b) { return a / b; });
    case Function::maximum:
      return each([](double a, double b) { return std::max(a, b); });
    case Function::minimum:
      return each([](double a, double b) { return std::min(a, b); });
    case Function::pow:
      return each([](double a, double b) { return std::pow(a, b); });
    default:
      no_rule(step);
  }
}

void PlainArithmetic::reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  if (step.function != Function::sum && step.function != Function::mean && step.function != Function::max)
    no_rule(step);
  const bool largest = step.function == Function::max;
  emulator::Extents kept_strides = x.strides, inner, inner_strides;
  kept_strides.rank = out.shape.rank;
  for (int axis = out.shape.rank; axis < x.shape.rank; ++axis) {
    inner.push(x.shape[axis]);
    inner_strides.push(x.strides[axis]);
  }
  const RowLoop<1> inside(inner, {&inner_strides});
  const double factor = step.function == Function::mean ? 1 / static_cast<double>(inner.product()) : 1.0;
  const RowLoop<2> loop(out.shape, {&kept_strides, &out.strides});
  emulator::for_each_row(pool, loop, 32, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      const double* from = x.data + row.offset[0] + i * row.step[0];
      double total = largest ? -std::numeric_limits<double>::infinity() : 0.0;
      for (std::int64_t r = 0; r < inside.rows(); ++r) {
        const Row<1> run = inside.row(r);
        for (std::int64_t j = 0; j < run.count; ++j) {
          const double term = from[run.offset[0] + j * run.step[0]];
          total = largest ? std::max(total, term) : total + term;
        }
      }
      out.data[row.offset[1] + i * row.step[1]] = total * factor;
    }
  });
}

void PlainArithmetic::softmax(const Step&, const In& x, const Out& out, ThreadPool* pool) const {
  const int last = x.shape.rank - 1;
  const std::int64_t n = x.shape[last], dx = x.strides[last], dy = out.strides[last];
  emulator::Extents rows = x.shape, x_strides = x.strides, out_strides = out.strides;
  rows.rank = x_strides.rank = out_strides.rank = last;
  const RowLoop<2> loop(rows, {&x_strides, &out_strides});
  emulator::for_each_row(pool, loop, 16, [&](const Row<2>& group) {
    for (std::int64_t r = 0; r < group.count; ++r) {
      const double* a = x.data + group.offset[0] + r * group.step[0];
      double* b = out.data + group.offset[1] + r * group.step[1];
      double largest = a[0], sum = 0;
      for (std::int64_t i = 1; i < n; ++i) largest = std::max(largest, a[i * dx]);
      for (std::int64_t i = 0; i < n; ++i) sum += b[i * dy] = std::exp(a[i * dx] - largest);
      for (std::int64_t i = 0; i < n; ++i) b[i * dy] /= sum;
    }
  });
}

void PlainArithmetic::matmul(const Step& step, const In& x, const In& y, const In* bias, const Out& out,
                             ThreadPool* pool) const {
  emulator::matrix_product(x, y, out, pool);
  if (step.integers) {
    const int last = out.shape.rank - 1;
    for (std::int64_t batch = 0; batch < out.batches(); ++batch)
      for (std::int64_t m = 0; m < out.shape[last - 1]; ++m)
        for (std::int64_t n = 0; n < out.shape[last]; ++n)
          out.matrix(batch)[m * out.strides[last - 1] + n * out.strides[last]] *= step.integers->scale(m, n);
  }
  if (bias == nullptr) return;
  In shift{bias->data, out.shape, out.strides};  // one per row
  for (int axis = 0; axis < out.shape.rank; ++axis) shift.strides[axis] = 0;
  shift.strides[out.shape.rank - 2] = bias->strides[0];
  map_pairs({out.data, out.shape, out.strides}, shift, out, pool, [](double a, double b) { return a + b; });
}

}  // namespace aneval::validate
