// Rows of device values, contiguous in memory: computed and rounded as the tensor's type and the profile ask, in
// vectors, through Highway with run-time dispatch. What a tensor holds at other strides is brought in line first.
#pragma once

#include <cstdint>

#include "ane/emulator/blocks.h"
#include "ane/emulator/half_values.h"
#include "ane/emulator/plan.h"
#include "ane/mil/program.h"

namespace aneval::emulator {

inline constexpr std::int64_t kPiece = 512;  // elements computed, rounded and stored at a time: they stay in L1

/// Rounds to what a tensor of that type can hold; values stay floats.
inline void round_to(HalfFormat format, mil::DType dtype, float* values, std::int64_t n) {
  if (dtype == mil::DType::fp16) round_to_half(format, values, n);
}

/// n elements of a row at any stride side by side: where they are, or in `scratch`.
const float* contiguous(const float* row, std::int64_t step, std::int64_t n, float* scratch);
/// The way back: to[i·step] = values[i], unless they are there already.
void scatter(const float* values, float* to, std::int64_t step, std::int64_t n);

/// out[i] = x[i·x_step] ∘ y[i·y_step], rounded; steps are 0 or 1. ∘: add, sub, mul, real_div, maximum, minimum. `out`
/// may be x or y.
void binary_row(Function function, HalfFormat format, mil::DType dtype, const float* x, std::int64_t x_step,
                const float* y, std::int64_t y_step, float* out, std::int64_t n);

/// Multiplied by 16 and divided again in fp16: what exceeds kSliceLimit becomes ±kOrdinaryInfinity.
void gain_row(const float* x, float* out, std::int64_t n);

/// out[i] = table[bits of x[i]]: x and the table's results are fp16 numbers.
void lookup_row(const float* table, Specials specials, const float* x, float* out, std::int64_t n);

/// The largest of n and `largest`; a NaN is none.
float largest_of(const float* x, std::int64_t n, float largest);

/// Columns that are reduced at a time: four vectors of the widest target hide the latency of each other's chains.
inline constexpr std::int64_t kColumnsReduced = 64;

/// Sums of up to kColumnsReduced columns, in the order of the rows: zero at first.
struct ColumnSums {
  alignas(64) float narrow[kColumnsReduced] = {};
  alignas(64) double wide[kColumnsReduced] = {};  // of Summation::wide
};

/// Adds the rows of `terms` one after the other, as a reduce_sum of that kind does. fp16: every partial sum is rounded.
void add_rows(Summation kind, HalfFormat format, const Matrix& terms, ColumnSums& sums);
/// Columns' totals as floats, still to be rounded to fp16.
void column_totals(Summation kind, const ColumnSums& sums, float* totals, std::int64_t columns);
/// largest[c] = the largest of itself and column c; NaN if one is NaN.
void largest_of_rows(const Matrix& terms, float* largest);

}  // namespace aneval::emulator
