// Strided blocks of floats as rows side by side. Included once per SIMD target.

#if defined(ANEVAL_EMULATOR_COPY_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEVAL_EMULATOR_COPY_ROWS_INL_H_
#undef ANEVAL_EMULATOR_COPY_ROWS_INL_H_
#else
#define ANEVAL_EMULATOR_COPY_ROWS_INL_H_
#endif

#include <cstring>

#include "ane/emulator/blocks.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// to[r·width + c] = from[r + c·step] for r, c < 4.
HWY_INLINE void TransposeFour(const float* from, std::int64_t step, float* HWY_RESTRICT to, std::int64_t width) {
#if HWY_TARGET == HWY_SCALAR  // has no vectors of four
  for (std::int64_t r = 0; r < 4; ++r)
    for (std::int64_t c = 0; c < 4; ++c) to[r * width + c] = from[r + c * step];
#else
  const hn::FixedTag<float, 4> d;
  const hn::Repartition<double, decltype(d)> pairs;
  const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + step);
  const auto e = hn::LoadU(d, from + 2 * step), f = hn::LoadU(d, from + 3 * step);
  const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto ef_low = hn::BitCast(pairs, hn::InterleaveLower(d, e, f));
  const auto ef_high = hn::BitCast(pairs, hn::InterleaveUpper(d, e, f));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_low, ef_low)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_low, ef_low)), d, to + width);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_high, ef_high)), d, to + 2 * width);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_high, ef_high)), d, to + 3 * width);
#endif
}

/// target[r·width + c] = m(r, c) where the rows of m have any step. 4x4 blocks where its columns are contiguous.
HWY_INLINE void Transpose(const Matrix& m, std::int64_t width, float* HWY_RESTRICT target) {
  const bool blocks = m.row_step == 1;
  // 64 rows at a time: runs of the source are long enough to be fetched ahead, and the target's 64 rows of up to 512
  // bytes stay in the first-level cache while they are filled four columns at a time. The fastest of 16, 64 and 128.
  constexpr std::int64_t kBand = 64;
  for (std::int64_t band = 0; band < m.rows; band += kBand) {
    const std::int64_t end = std::min(m.rows, band + kBand);
    std::int64_t c = 0;
    for (; blocks && c + 4 <= m.columns; c += 4) {
      std::int64_t r = band;
      for (; r + 4 <= end; r += 4)
        TransposeFour(m.data + r + c * m.column_step, m.column_step, target + r * width + c, width);
      for (; r < end; ++r)
        for (std::int64_t i = c; i < c + 4; ++i) target[r * width + i] = m.data[r + i * m.column_step];
    }
    for (; c < m.columns; ++c)
      for (std::int64_t r = band; r < end; ++r) target[r * width + c] = m.data[r * m.row_step + c * m.column_step];
  }
}

/// target[r·width + c] = m(r, c), zero for columns beyond m's.
HWY_INLINE void CopyRows(const Matrix& m, std::int64_t width, float* HWY_RESTRICT target) {
  for (std::int64_t r = 0; m.columns < width && r < m.rows; ++r)
    std::memset(target + r * width + m.columns, 0, sizeof(float) * static_cast<std::size_t>(width - m.columns));
  if (m.column_step != 1) return Transpose(m, width, target);
  for (std::int64_t r = 0; r < m.rows; ++r)
    std::memcpy(target + r * width, m.data + r * m.row_step, sizeof(float) * static_cast<std::size_t>(m.columns));
}

}  // namespace aneval::emulator::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
