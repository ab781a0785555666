// Operands for tests of products: fp16 numbers as floats, matrices with any strides.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "ane/emulator/tensor_view.h"
#include "ane/half.h"
#include "common/random.h"

namespace aneval::emulator {

/// The number that an engine reads: exponent field 31 is an ordinary exponent.
inline float engine_value(unsigned half_bits) {
  const int exponent = static_cast<int>(half_bits >> 10 & 31U), fraction = static_cast<int>(half_bits & 1023U);
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                        : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  return (half_bits & 0x8000U) != 0 ? -magnitude : magnitude;
}

/// The nearest fp16 number, infinities as their largest.
inline float rounded_half(double value) {
  return ane::to_float(ane::to_half(static_cast<float>(std::fmin(std::fmax(value, -65504.0), 65504.0))));
}

/// How a matrix lies in memory.
enum class Layout { rows, columns, spread, same_rows, same_columns, same_batches };
inline constexpr Layout kLayouts[] = {Layout::rows,      Layout::columns,      Layout::spread,
                                      Layout::same_rows, Layout::same_columns, Layout::same_batches};

/// [batches, rows, columns] values with room around them, and a view of them.
class Operand {
 public:
  Operand(std::int64_t batches, std::int64_t rows, std::int64_t columns, Layout layout = Layout::rows) {
    view_.shape.push(batches);
    view_.shape.push(rows);
    view_.shape.push(columns);
    std::int64_t row_step = columns, column_step = 1, batch_step = rows * columns;
    if (layout == Layout::columns) row_step = 1, column_step = rows;
    if (layout == Layout::spread) column_step = 3, row_step = 3 * columns + 1, batch_step = rows * row_step + 5;
    if (layout == Layout::same_rows) row_step = 0;
    if (layout == Layout::same_columns) column_step = 0, row_step = 1;
    if (layout == Layout::same_batches) batch_step = 0;
    view_.strides.push(batch_step);
    view_.strides.push(row_step);
    view_.strides.push(column_step);
    values_.resize(
        static_cast<std::size_t>((batches - 1) * batch_step + (rows - 1) * row_step + (columns - 1) * column_step + 1));
  }

  float& at(std::int64_t batch, std::int64_t row, std::int64_t column) {
    return values_[static_cast<std::size_t>(batch * view_.strides[0] + row * view_.strides[1] +
                                            column * view_.strides[2])];
  }
  std::vector<float>& values() { return values_; }
  TensorView<float> view() {
    view_.data = values_.data();
    return view_;
  }
  TensorView<const float> constant() const { return {values_.data(), view_.shape, view_.strides}; }

 private:
  TensorView<float> view_;
  std::vector<float> values_;
};

}  // namespace aneval::emulator
