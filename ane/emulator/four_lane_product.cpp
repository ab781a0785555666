#include "ane/emulator/four_lane_product.h"

#include <array>

#include "ane/emulator/blocks.h"
#include "ane/emulator/four_lane.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/emulator/four_lane_product.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "ane/emulator/copy_rows-inl.h"

#ifndef ANEVAL_EMULATOR_FOUR_LANE_PRODUCT_ONCE
#define ANEVAL_EMULATOR_FOUR_LANE_PRODUCT_ONCE
namespace aneval::emulator::four_lane {

/// Rows, columns and steps of k that are worked on together: a strip of one vector of columns stays in the first-level
/// cache, the rest (256 KiB with the sums) in the second. Groups of four do not straddle blocks.
inline constexpr std::int64_t kRows = 128, kColumns = 128, kDepth = 192;
static_assert(kDepth % kGroup == 0);

struct Scratch {
  Buffer stage;   // kDepth x kColumns of y
  Buffer strips;  // the same, one vector of columns after the other
  Buffer rows;    // kRows x kDepth of x
  Buffer sums;    // kRows x kColumns
};

}  // namespace aneval::emulator::four_lane
#endif

HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::four_lane::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::CappedTag<float, kColumns>;
using Vec = hn::Vec<Floats>;

/// four_lane::add. 2^(e-11) and its inverse are made from the exponent bits of the larger addend. If both are zero they
/// are some finite numbers, and the result is zero.
HWY_INLINE Vec Add(Vec sum, Vec product) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const auto larger = hn::Ge(hn::Abs(sum), hn::Abs(product));
  const Vec large = hn::IfThenElse(larger, sum, product), small = hn::IfThenElse(larger, product, sum);
  const auto exponent = hn::And(hn::BitCast(di, large), hn::Set(di, 255 << 23));
  const Vec unit = hn::BitCast(d, hn::Sub(exponent, hn::Set(di, kFraction << 23)));
  const auto inverse_bits =
      hn::Sub(hn::BitCast(di, hn::Set(hn::RebindToUnsigned<Floats>(), (254U + kFraction) << 23)), exponent);
  // Every step of this is exact, fused or not.
  const Vec wide = hn::MulAdd(hn::Trunc(hn::Mul(small, hn::BitCast(d, inverse_bits))), unit, large);
  return hn::BitCast(d, hn::And(hn::BitCast(di, wide), hn::Set(di, ~((1 << (23 - kFraction)) - 1))));
}

HWY_INLINE Vec Flushed(Vec value) {
  return hn::IfThenElseZero(hn::Ge(hn::Abs(value), hn::Set(Floats(), kSmallestOperand)), value);
}

/// sums[i, j] += the groups of `steps` steps: x [rows, kDepth], strips of y. Operands are flushed.
HWY_INLINE void AddGroups(const float* HWY_RESTRICT x, const float* HWY_RESTRICT strips, std::int64_t rows,
                          std::int64_t steps, float* HWY_RESTRICT sums) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t column = 0; column < kColumns; column += lanes) {
    const float* strip = strips + column * kDepth;
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* row = x + i * kDepth;
      const auto product = [&](std::int64_t k)
                               HWY_ATTR { return hn::Mul(hn::Set(d, row[k]), hn::Load(d, strip + k * lanes)); };
      Vec total = hn::Load(d, sums + i * kColumns + column);
      std::int64_t k = 0;
      for (; k + kGroup <= steps; k += kGroup)
        total = hn::Add(total, Add(Add(Add(product(k), product(k + 1)), product(k + 2)), product(k + 3)));
      if (k < steps) {
        Vec sum = product(k);
        for (++k; k < steps; ++k) sum = Add(sum, product(k));
        total = hn::Add(total, sum);
      }
      hn::Store(total, d, sums + i * kColumns + column);
    }
  }
}

/// sums [x.rows, kColumns] = x·y for at most kRows rows and kColumns columns.
void Multiply(const Matrix& x, const Matrix& y, Scratch& scratch, float* HWY_RESTRICT sums) {
  const Floats d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  float* stage = scratch.stage.room<float>(kDepth * kColumns);
  float* strips = scratch.strips.room<float>(kDepth * kColumns);
  float* rows = scratch.rows.room<float>(kRows * kDepth);
  std::fill(sums, sums + x.rows * kColumns, 0.0F);
  for (std::int64_t k = 0; k < x.columns; k += kDepth) {
    const Matrix left = x.block(0, k, kRows, kDepth), right = y.block(k, 0, kDepth, kColumns);
    emulator::HWY_NAMESPACE::CopyRows(right, kColumns, stage);
    for (std::int64_t column = 0; column < kColumns; column += lanes)
      for (std::int64_t i = 0; i < right.rows; ++i)
        hn::Store(Flushed(hn::Load(d, stage + i * kColumns + column)), d, strips + column * kDepth + i * lanes);
    emulator::HWY_NAMESPACE::CopyRows(left, kDepth, rows);
    for (std::int64_t i = 0; i < left.rows * kDepth; i += lanes) hn::Store(Flushed(hn::Load(d, rows + i)), d, rows + i);
    AddGroups(rows, strips, left.rows, left.columns, sums);
  }
}

}  // namespace aneval::emulator::four_lane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::emulator {
namespace four_lane {
namespace {

HWY_EXPORT(Multiply);

/// Called from this namespace: where only one target is compiled (a CPU whose best one is known beforehand) the call
/// names the target's namespace, and there is one of copy_rows-inl.h outside as well.
void multiply(const Matrix& x, const Matrix& y, Scratch& scratch, float* sums) {
  HWY_DYNAMIC_DISPATCH(Multiply)(x, y, scratch, sums);
}

/// Memory is kept from call to call: a training step repeats the same products thousands of times.
Scratch& scratch_of_this_thread() {
  thread_local Scratch scratch;
  return scratch;
}

/// Adds the bias and rounds a row of at most kColumns sums.
void finish(const float* sums, std::int64_t n, float bias, float* out) {
  std::array<ane::half_t, kColumns> bits;
  std::array<float, kColumns> biased;
  for (std::int64_t j = 0; j < n; ++j) biased[static_cast<std::size_t>(j)] = sums[j] + bias;
  ane::to_half(biased.data(), bits.data(), n);
  ane::to_float(bits.data(), out, n);
  for (std::int64_t j = 0; j < n; ++j) {
    const float sum = biased[static_cast<std::size_t>(j)];
    out[j] = std::abs(sum) >= kLimit ? std::copysign(kInfinite, sum) : out[j] + 0.0F;  // -0 becomes +0
  }
}

}  // namespace
}  // namespace four_lane

void four_lane_product(const TensorView<const float>& x, const TensorView<const float>& y,
                       const TensorView<const float>* bias, const TensorView<float>& out, ThreadPool* pool) {
  using namespace four_lane;
  const int last = out.shape.rank - 1;
  const std::int64_t m = x.shape[last - 1], k = x.shape[last], n = out.shape[last];
  const std::int64_t row_blocks = blocks_of(m, kRows), column_blocks = blocks_of(n, kColumns);
  const std::int64_t out_step = out.strides[last - 1];
  parallel_for(pool, out.batches() * row_blocks * column_blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    Scratch& scratch = scratch_of_this_thread();
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t column = i % column_blocks * kColumns, row = i / column_blocks % row_blocks * kRows;
      const std::int64_t batch = i / column_blocks / row_blocks;
      const Matrix left = {x.matrix(batch), m, k, x.strides[last - 1], x.strides[last]};
      const Matrix right = {y.matrix(batch), k, n, y.strides[last - 1], y.strides[last]};
      const std::int64_t rows = std::min(kRows, m - row), columns = std::min(kColumns, n - column);
      auto* sums = scratch.sums.room<float>(kRows * kColumns);
      multiply(left.block(row, 0, kRows, k), right.block(0, column, k, kColumns), scratch, sums);
      for (std::int64_t r = 0; r < rows; ++r)
        finish(sums + r * kColumns, columns, bias != nullptr ? bias->data[(row + r) * bias->strides[0]] : 0.0F,
               out.matrix(batch) + (row + r) * out_step + column);
    }
  });
}

}  // namespace aneval::emulator
#endif
