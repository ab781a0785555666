#include "ane/emulator/device_arithmetic.h"

#include <Eigen/Core>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "ane/emulator/matrix_product.h"
#include "ane/half.h"

namespace aneval::emulator {
namespace {

constexpr std::int64_t kPiece = 512;  // elements computed, rounded and stored at a time: they stay in L1

/// Rounds to what a tensor of that type can hold; values stay floats.
void round_to(mil::DType dtype, float* values, std::int64_t n) {
  if (dtype != mil::DType::fp16) return;
  std::array<ane::half_t, kPiece> bits;
  ane::to_half(values, bits.data(), n);
  ane::to_float(bits.data(), values, n);
}

/// Computes up to kPiece elements with `compute(values, n)` and stores them rounded, at any stride.
template <class Compute>
void store_row(mil::DType dtype, float* target, std::int64_t step, std::int64_t count, const Compute& compute) {
  std::array<float, kPiece> values;
  compute(values.data());
  round_to(dtype, values.data(), count);
  for (std::int64_t i = 0; i < count; ++i) target[i * step] = values[static_cast<std::size_t>(i)];
}

/// A double as the float that store_row rounds on. On the way to fp16 the step through fp32 must not round to nearest,
/// or ties would be rounded twice: rounding to odd makes the second rounding the only one that counts (Boldo and
/// Melquiond 2008).
float narrow(double value, mil::DType dtype) {
  const float nearest = static_cast<float>(value);
  if (dtype != mil::DType::fp16 || static_cast<double>(nearest) == value || std::isnan(value)) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::abs(static_cast<double>(nearest)) > std::abs(value)) --bits;
  return std::bit_cast<float>(bits | 1U);
}

/// Functions whose result is not an fp32 operation are evaluated in double, so that rounding to fp16 is the only one
/// that counts ("exact, rounded").
float unary_value(Function function, float x, mil::DType dtype) {
  const double wide = static_cast<double>(x);
  switch (function) {
    case Function::cast:
      return x;
    case Function::sigmoid:
      return narrow(1.0 / (1.0 + std::exp(-wide)), dtype);
    case Function::tanh:
      return narrow(std::tanh(wide), dtype);
    case Function::exp:
      return narrow(std::exp(wide), dtype);
    case Function::sqrt:
      return std::sqrt(x);
    case Function::rsqrt:
      return narrow(1.0 / std::sqrt(wide), dtype);
    case Function::square:
      return x * x;
    case Function::silu:
      return narrow(wide / (1.0 + std::exp(-wide)), dtype);
    case Function::relu:
      return x > 0 || std::isnan(x) ? x : 0.0F;
    default:
      throw std::logic_error("not a unary function");
  }
}

float binary_value(Function function, float x, float y, mil::DType dtype) {
  switch (function) {
    case Function::add:
      return x + y;
    case Function::sub:
      return x - y;
    case Function::mul:
      return x * y;
    case Function::real_div:
      return x / y;
    case Function::maximum:
      return x > y || std::isnan(x) ? x : y;
    case Function::minimum:
      return x < y || std::isnan(x) ? x : y;
    case Function::pow:
      return narrow(std::pow(static_cast<double>(x), static_cast<double>(y)), dtype);
    default:
      throw std::logic_error("not a binary function");
  }
}

}  // namespace

void DeviceArithmetic::load_constant(const PlanConstant& constant, std::span<float> to) const {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<float>(constant.values[i]);
}

void DeviceArithmetic::unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    const float* a = x.data + row.offset[0];
    store_row(step.output.dtype, out.data + row.offset[1], row.step[1], row.count, [&](float* values) {
      for (std::int64_t i = 0; i < row.count; ++i)
        values[i] = unary_value(step.function, a[i * row.step[0]], step.output.dtype);
    });
  });
}

void DeviceArithmetic::binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) const {
  const RowLoop<3> loop(out.shape, {&x.strides, &y.strides, &out.strides});
  for_each_row(pool, loop, kPiece, [&](const Row<3>& row) {
    const float* a = x.data + row.offset[0];
    const float* b = y.data + row.offset[1];
    const std::int64_t da = row.step[0], db = row.step[1], n = row.count;
    store_row(step.output.dtype, out.data + row.offset[2], row.step[2], n, [&](float* values) {
      // The function is chosen outside the loop over elements, so that the common ones vectorise.
      const auto each = [&](auto function) {
        if (da == 1 && db == 1)
          for (std::int64_t i = 0; i < n; ++i) values[i] = function(a[i], b[i]);
        else
          for (std::int64_t i = 0; i < n; ++i) values[i] = function(a[i * da], b[i * db]);
      };
      switch (step.function) {
        case Function::add:
          each([](float p, float q) { return p + q; });
          break;
        case Function::sub:
          each([](float p, float q) { return p - q; });
          break;
        case Function::mul:
          each([](float p, float q) { return p * q; });
          break;
        default:
          each([&](float p, float q) { return binary_value(step.function, p, q, step.output.dtype); });
      }
    });
  });
}

void DeviceArithmetic::reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  // Views of the kept axes, and of the reduced ones within each element of the result.
  Extents kept_strides = x.strides, inner, inner_strides;
  kept_strides.rank = out.shape.rank;
  for (int axis = out.shape.rank; axis < x.shape.rank; ++axis) {
    inner.push(x.shape[axis]);
    inner_strides.push(x.strides[axis]);
  }
  const RowLoop<1> inside(inner, {&inner_strides});
  const RowLoop<2> loop(out.shape, {&kept_strides, &out.strides});
  for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    store_row(step.output.dtype, out.data + row.offset[1], row.step[1], row.count, [&](float* values) {
      for (std::int64_t i = 0; i < row.count; ++i) {
        const float* base = x.data + row.offset[0] + i * row.step[0];
        float total = step.function == Function::max ? -std::numeric_limits<float>::infinity() : 0.0F;
        for (std::int64_t r = 0; r < inside.rows(); ++r) {
          const Row<1> run = inside.row(r);
          const float* at = base + run.offset[0];
          for (std::int64_t j = 0; j < run.count; ++j) {
            const float value = at[j * run.step[0]];
            if (step.function == Function::max)
              total = value > total || std::isnan(value) ? value : total;
            else
              total += value;
          }
        }
        values[i] = step.function == Function::mean ? total / static_cast<float>(inner.product()) : total;
      }
    });
  });
}

void DeviceArithmetic::softmax(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const int last = x.shape.rank - 1;
  const std::int64_t n = x.shape[last], dx = x.strides[last], dy = out.strides[last];
  Extents rows = x.shape, x_strides = x.strides, out_strides = out.strides;
  rows.rank = x_strides.rank = out_strides.rank = last;
  const RowLoop<2> loop(rows, {&x_strides, &out_strides});
  for_each_row(pool, loop, 16, [&](const Row<2>& group) {
    for (std::int64_t r = 0; r < group.count; ++r) {
      const float* a = x.data + group.offset[0] + r * group.step[0];
      float* b = out.data + group.offset[1] + r * group.step[1];
      float largest = -std::numeric_limits<float>::infinity();
      for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, a[i * dx]);
      double sum = 0;
      for (std::int64_t i = 0; i < n; ++i)
        sum += std::exp(static_cast<double>(a[i * dx]) - static_cast<double>(largest));
      for (std::int64_t begin = 0; begin < n; begin += kPiece) {
        const std::int64_t count = std::min(kPiece, n - begin);
        store_row(step.output.dtype, b + begin * dy, dy, count, [&](float* values) {
          for (std::int64_t i = 0; i < count; ++i)
            values[i] = narrow(std::exp(static_cast<double>(a[(begin + i) * dx]) - static_cast<double>(largest)) / sum,
                               step.output.dtype);
        });
      }
    }
  });
}

void DeviceArithmetic::matmul(const Step& step, const In& x, const In& y, const In* bias, const Out& out,
                              ThreadPool* pool) const {
  switch (profile_->accumulator) {
    case Accumulator::fp32:
      matrix_product(x, y, out, pool);
      break;
  }
  const RowLoop<1> loop(out.shape, {&out.strides});
  const std::int64_t rows = out.shape[out.shape.rank - 2], cols = out.shape[out.shape.rank - 1];
  if (bias != nullptr) {  // one image and group of a convolution: out is [1, M, N]
    for (std::int64_t m = 0; m < rows; ++m) {
      float* at = out.data + m * out.strides[out.shape.rank - 2];
      const float b = bias->data[m * bias->strides[0]];
      for (std::int64_t i = 0; i < cols; ++i) at[i] += b;
    }
  }
  for_each_row(pool, loop, kPiece,
               [&](const Row<1>& row) { round_to(step.output.dtype, out.data + row.offset[0], row.count); });
}

}  // namespace aneval::emulator
