// Reductions under a profile: reduce_sum and its kin, and softmax, which contains one.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/device_rows.h"
#include "ane/emulator/function_table.h"

namespace aneval::emulator {

/// Adds one value after the other, as the profile's reduce_sum does. The result is still to be rounded to fp16.
class DeviceArithmetic::Sum {
 public:
  Sum(const DeviceArithmetic& arithmetic, mil::DType dtype)
      : format_(arithmetic.format_),
        kind_(dtype == mil::DType::fp16 ? arithmetic.profile_.reduce_sum : Summation::fp32) {}

  void add(float value) {
    switch (kind_) {
      case Summation::fp32:
        narrow_ += value;
        break;
      case Summation::fp16:
        narrow_ += value;  // of two fp16 numbers: what fp32 rounds here lies far from fp16's ties
        round_to_half(format_, &narrow_, 1);
        break;
      case Summation::wide:
        wide_ += static_cast<double>(value);
        break;
    }
  }
  float total() const { return kind_ == Summation::wide ? narrow(wide_) : narrow_; }

 private:
  HalfFormat format_;
  Summation kind_;
  float narrow_ = 0;
  double wide_ = 0;
};

void DeviceArithmetic::reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  // Views of the kept axes, and of the reduced ones within each element of the result.
  Extents kept_strides = x.strides, inner, inner_strides;
  kept_strides.rank = out.shape.rank;
  for (int axis = out.shape.rank; axis < x.shape.rank; ++axis) {
    inner.push(x.shape[axis]);
    inner_strides.push(x.strides[axis]);
  }
  const RowLoop<1> inside(inner, {&inner_strides});
  const auto each = [&](const float* base, const auto& visit) {
    for (std::int64_t r = 0; r < inside.rows(); ++r) {
      const Row<1> run = inside.row(r);
      for (std::int64_t j = 0; j < run.count; ++j) visit(base[run.offset[0] + j * run.step[0]]);
    }
  };
  const RowLoop<2> loop(out.shape, {&kept_strides, &out.strides});
  for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    store_row(format_, step.output.dtype, out.data + row.offset[1], row.step[1], row.count, [&](float* values) {
      for (std::int64_t i = 0; i < row.count; ++i) {
        const float* base = x.data + row.offset[0] + i * row.step[0];
        if (step.function == Function::max) {
          float largest = -std::numeric_limits<float>::infinity();
          each(base, [&](float value) { largest = value > largest || std::isnan(value) ? value : largest; });
          values[i] = largest;
        } else {
          Sum sum(*this, step.output.dtype);
          each(base, [&](float value) { sum.add(value); });
          values[i] = step.function == Function::mean ? sum.total() / static_cast<float>(inner.product()) : sum.total();
        }
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
      if (profile_.functions == Functions::tables)
        softmax_from_tables(a, dx, b, dy, n);
      else
        softmax_in_double(step.output.dtype, a, dx, b, dy, n);
    }
  });
}

void DeviceArithmetic::softmax_in_double(mil::DType dtype, const float* a, std::int64_t dx, float* b, std::int64_t dy,
                                         std::int64_t n) const {
  float largest = -std::numeric_limits<float>::infinity();
  for (std::int64_t i = 0; i < n; ++i) largest = std::max(largest, a[i * dx]);
  const auto numerator = [&](std::int64_t i) {
    return std::exp(static_cast<double>(a[i * dx]) - static_cast<double>(largest));
  };
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += numerator(i);
  for (std::int64_t begin = 0; begin < n; begin += kPiece) {
    const std::int64_t count = std::min(kPiece, n - begin);
    store_row(format_, dtype, b + begin * dy, dy, count, [&](float* values) {
      for (std::int64_t i = 0; i < count; ++i) values[i] = narrow_to(numerator(begin + i) / sum, dtype);
    });
  }
}

/// Difference, exp, sum, inverse, product, each stored in fp16.
void DeviceArithmetic::softmax_from_tables(const float* a, std::int64_t dx, float* b, std::int64_t dy,
                                           std::int64_t n) const {
  const float* exp = function_values(Function::exp).data();
  float largest = a[0];
  for (std::int64_t i = 1; i < n; ++i) largest = std::max(largest, a[i * dx]);
  Sum sum(*this, mil::DType::fp16);
  for (std::int64_t begin = 0; begin < n; begin += kPiece) {
    const std::int64_t count = std::min(kPiece, n - begin);
    std::array<float, kPiece> values;
    std::array<ane::half_t, kPiece> bits;
    for (std::int64_t i = 0; i < count; ++i) values[static_cast<std::size_t>(i)] = a[(begin + i) * dx] - largest;
    round_to_half(format_, values.data(), count);
    encode_halves(profile_.specials, values.data(), bits.data(), count);
    for (std::int64_t i = 0; i < count; ++i) {
      const float value = exp[bits[static_cast<std::size_t>(i)]];
      b[(begin + i) * dy] = value;
      sum.add(value);
    }
  }
  float total = sum.total();
  round_to_half(format_, &total, 1);
  const float inverse = round_to_half(format_, 1.0 / static_cast<double>(total));
  for (std::int64_t begin = 0; begin < n; begin += kPiece) {
    const std::int64_t count = std::min(kPiece, n - begin);
    float* at = b + begin * dy;
    store_row(format_, mil::DType::fp16, at, dy, count, [&](float* values) {
      for (std::int64_t i = 0; i < count; ++i) values[i] = at[i * dy] * inverse;
    });
  }
}

}  // namespace aneval::emulator
