// Reductions under a profile: reduce_sum and its kin, and softmax, which contains one. Additions keep their order; what
// runs side by side in vectors are the sums of several rows.
#include <algorithm>
#include <array>
#include <limits>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/device_rows.h"
#include "ane/emulator/function_table.h"
#include "ane/emulator/softmax_rows.h"

namespace aneval::emulator {

void DeviceArithmetic::reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  // Views of the kept axes, and of the reduced ones within each element of the result.
  Extents kept_strides = x.strides, inner, inner_strides;
  kept_strides.rank = out.shape.rank;
  for (int axis = out.shape.rank; axis < x.shape.rank; ++axis) {
    inner.push(x.shape[axis]);
    inner_strides.push(x.strides[axis]);
  }
  const RowLoop<1> inside(inner, {&inner_strides});
  const Summation kind = step.output.dtype == mil::DType::fp16 ? profile_.reduce_sum : Summation::fp32;
  const RowLoop<2> loop(out.shape, {&kept_strides, &out.strides});
  const auto body = [&](const Row<2>& row) {
    std::array<float, kColumnsReduced> values;
    values.fill(-std::numeric_limits<float>::infinity());
    ColumnSums sums;
    for (std::int64_t r = 0; r < inside.rows(); ++r) {
      const Row<1> run = inside.row(r);
      const Matrix terms{x.data + row.offset[0] + run.offset[0], run.count, row.count, run.step[0], row.step[0]};
      if (step.function == Function::max)
        largest_of_rows(terms, values.data());
      else
        add_rows(kind, format_, terms, sums);
    }
    if (step.function != Function::max) column_totals(kind, sums, values.data(), row.count);
    if (step.function == Function::mean) {
      const auto count = static_cast<float>(inner.product());
      for (float& value : values) value /= count;
    }
    round_to(format_, step.output.dtype, values.data(), row.count);
    scatter(values.data(), out.data + row.offset[1], row.step[1], row.count);
  };
  for_each_row(pool, loop, kColumnsReduced, body, inner.product());
}

void DeviceArithmetic::softmax(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const int last = x.shape.rank - 1;
  const std::int64_t n = x.shape[last];
  Extents rows = x.shape, x_strides = x.strides, out_strides = out.strides;
  rows.rank = x_strides.rank = out_strides.rank = last;
  const RowLoop<2> loop(rows, {&x_strides, &out_strides});
  const auto body = [&](const Row<2>& group) {
    const Matrix from{x.data + group.offset[0], group.count, n, group.step[0], x.strides[last]};
    float* to = out.data + group.offset[1];
    if (profile_.functions == Functions::tables)
      softmax_from_tables(from, to, group.step[1], out.strides[last]);
    else
      for (std::int64_t r = 0; r < group.count; ++r)
        softmax_in_double(step.output.dtype, from.block(r, 0, 1, n), to + r * group.step[1], out.strides[last]);
  };
  for_each_row(pool, loop, kColumnsReduced, body, n);
}

namespace {

/// Numerators of one row; kept from call to call.
double* numerators_of_this_thread(std::int64_t n) {
  thread_local Buffer numerators;
  return numerators.room<double>(n);
}

/// Calls use(values, begin, count) with pieces of a row of the matrix side by side.
template <class Use>
void each_piece(const Matrix& row, const Use& use) {
  std::array<float, kPiece> scratch;
  for (std::int64_t begin = 0; begin < row.columns; begin += kPiece) {
    const std::int64_t count = std::min(kPiece, row.columns - begin);
    use(contiguous(row.data + begin * row.column_step, row.column_step, count, scratch.data()), begin, count);
  }
}

float largest_of(const Matrix& row) {
  float largest = -std::numeric_limits<float>::infinity();
  each_piece(row, [&](const float* values, std::int64_t, std::int64_t count) {
    largest = emulator::largest_of(values, count, largest);
  });
  return largest;
}

}  // namespace

void DeviceArithmetic::softmax_in_double(mil::DType dtype, const Matrix& row, float* to, std::int64_t step) const {
  const float largest = largest_of(row);
  double* numerators = numerators_of_this_thread(row.columns);
  double sum = 0;
  each_piece(row, [&](const float* values, std::int64_t begin, std::int64_t count) {
    sum += exponentials(values, count, largest, numerators + begin);
  });
  std::array<float, kPiece> results;
  for (std::int64_t begin = 0; begin < row.columns; begin += kPiece) {
    const std::int64_t count = std::min(kPiece, row.columns - begin);
    float* const at = to + begin * step;
    float* const values = step == 1 ? at : results.data();
    quotients(format_, dtype, numerators + begin, sum, values, count);
    scatter(values, at, step, count);
  }
}

/// Difference, exp, sum, inverse, product, each stored in fp16.
void DeviceArithmetic::softmax_from_tables(const Matrix& rows, float* to, std::int64_t row_step,
                                           std::int64_t step) const {
  const float* exp = function_values(Function::exp).data();
  std::array<float, kPiece> results;
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const Matrix row = rows.block(r, 0, 1, rows.columns);
    const float largest = largest_of(row);
    each_piece(row, [&](const float* values, std::int64_t begin, std::int64_t count) {
      float* const at = to + r * row_step + begin * step;
      float* const target = step == 1 ? at : results.data();
      binary_row(Function::sub, format_, mil::DType::fp16, values, 1, &largest, 0, results.data(), count);
      lookup_row(exp, profile_.specials, results.data(), target, count);
      scatter(target, at, step, count);
    });
  }
  ColumnSums sums;
  std::array<float, kColumnsReduced> totals;
  add_rows(profile_.reduce_sum, format_, {to, rows.columns, rows.rows, step, row_step}, sums);
  column_totals(profile_.reduce_sum, sums, totals.data(), rows.rows);
  round_to_half(format_, totals.data(), rows.rows);
  for (std::int64_t r = 0; r < rows.rows; ++r) {
    const float inverse = round_to_half(format_, 1.0 / static_cast<double>(totals[static_cast<std::size_t>(r)]));
    each_piece({to + r * row_step, 1, rows.columns, 0, step},
               [&](const float* values, std::int64_t begin, std::int64_t count) {
                 float* const at = to + r * row_step + begin * step;
                 float* const target = step == 1 ? at : results.data();
                 binary_row(Function::mul, format_, mil::DType::fp16, values, 1, &inverse, 0, target, count);
                 scatter(target, at, step, count);
               });
  }
}

}  // namespace aneval::emulator
