// The fixed-point product on one thread for every SIMD target: which path a tile takes, the proof that it does not
// overflow, and the results.
//
// Order does not matter while no partial sum can overflow: sums of integers then are the same in any order. The proof
// for one tile and block of k: |partial sum| <= bound + sum of |x||y| <= bound + |row| |column| (Cauchy-Schwarz, for
// every subset of the steps), where `bound` holds for the sums so far. It grows by |row| |column| per block, and is
// taken anew from the exact sums when it has grown too large. If it is too large even then, elements are looked at one
// by one, and those whose own norms do not settle it are summed in the order of k.
#include "ane/emulator/fixed_point.h"

#include <array>
#include <cmath>
#include <cstring>

#include "ane/emulator/fixed_point_blocks.h"
#include "ane/emulator/fixed_point_product.h"

// Arrays of vectors need vectors of known size: on processors with SVE the NEON code runs.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/emulator/fixed_point_simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "ane/emulator/fixed_point_kernels-inl.h"

#ifndef ANEVAL_EMULATOR_FIXED_POINT_SIMD_ONCE
#define ANEVAL_EMULATOR_FIXED_POINT_SIMD_ONCE
namespace aneval::emulator::fixed_point {

/// For each byte of flags the positions of its set bits, in order.
inline constexpr auto kPositions = [] {
  std::array<std::array<std::uint8_t, 8>, 256> positions{};
  for (std::size_t flags = 0; flags < 256; ++flags)
    for (std::size_t bit = 0, n = 0; bit < 8; ++bit)
      if ((flags >> bit & 1U) != 0) positions[flags][n++] = static_cast<std::uint8_t>(bit);
  return positions;
}();

/// Bounds are kept below the limit of 2^15 by more than what they leave out. Norms are sums of at most kDepth squares
/// in fp32, so that the product of two is right within 2^-15 of itself: 1 at the limit. Per block there are kDepth
/// roundings of products, of at most 2^-17 each, and one of the bound itself, 2^-10: less than kBlockRounding.
inline constexpr float kProvedBelow = 32766.0F, kBlockRounding = 0.01F;

}  // namespace aneval::emulator::fixed_point
#endif

HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::fixed_point::HWY_NAMESPACE {

#if ANEVAL_FUSED

std::int64_t PanelBytes() { return sizeof(LeftPanel); }

void PackLeft(const LeftRows& left, std::int64_t depth_block, std::int64_t first, std::int64_t count,
              Scratch& scratch) {
  // The columns of the transposed rows lie side by side; a panel's vectors read kRowSlots of them.
  const std::int64_t width = count * kRows + kRowSlots - kRows;
  const Matrix source = left.x.block(first * kRows, depth_block * kDepth, width, kDepth).transposed();
  float* stage = scratch.stage.room<float>(kDepth * width);
  CopyRows(source, width, stage);
  auto* panels = static_cast<LeftPanel*>(left.panels) + depth_block * left.panel_count() + first;
  for (std::int64_t p = 0; p < count; ++p) PackPanel(stage + p * kRows, width, source.rows, panels[p]);
}

/// Which steps need a mask: where the panel's most demanding row meets the tile's smallest value.
HWY_INLINE void SortSteps(const LeftPanel& left, const RightTile& right, std::int64_t count, Steps& steps) {
  const hn::ScalableTag<std::uint8_t> d;
  constexpr auto kBytes = static_cast<std::int64_t>(hn::MaxLanes(d));
  static_assert(kDepth % kBytes == 0);
  std::uint8_t flags[kDepth / 8 + 8];
  for (std::int64_t k = 0; k < count; k += kBytes)
    hn::StoreMaskBits(d, hn::Gt(hn::LoadU(d, left.step_threshold + k), hn::LoadU(d, right.step_exponent + k)),
                      flags + k / 8);
  steps.plain_count = steps.masked_count = 0;
  const auto append = [](std::uint8_t* list, std::int64_t& size, unsigned chosen, std::int64_t k) {
    std::uint64_t positions;
    std::memcpy(&positions, kPositions[chosen].data(), sizeof positions);
    positions += static_cast<std::uint64_t>(k) * 0x0101010101010101U;
    std::memcpy(list + size, &positions, sizeof positions);
    size += std::popcount(chosen);
  };
  for (std::int64_t k = 0; k < count; k += 8) {
    const unsigned valid = count - k >= 8 ? 255U : (1U << (count - k)) - 1U;
    const unsigned masked = flags[k / 8] & valid;
    append(steps.plain, steps.plain_count, masked ^ valid, k);
    if (masked != 0) append(steps.masked, steps.masked_count, masked, k);
  }
}

/// Of the sums of one tile.
HWY_INLINE float LargestMagnitude(const std::int32_t* sums) {
  const Ints di;
  const hn::RebindToUnsigned<Ints> du;
  auto most = hn::Zero(du);
  for (std::int64_t i = 0; i < kRows * kTile; i += kLanes)
    most = hn::Max(most, hn::BitCast(du, hn::Abs(hn::Load(di, sums + i))));
  return static_cast<float>(hn::GetLane(hn::MaxOfLanes(du, most))) * 0x1p-16F;
}

/// Sums as fp16 numbers, rounded half away from zero. fp16 has 11 significant bits and fp32 24, so that half of the
/// last kept bit's step is bit 12 of the float; bits of the integer that fp32 has no room for (seven, from 2^24 on)
/// are far below and cut off. Results below 2^-14 are multiples of 2^-16 and not rounded.
HWY_INLINE Vec Rounded(IntVec sums) {
  const Floats d;
  const Ints di;
  const IntVec magnitude = hn::Abs(sums);
  const IntVec cut =
      hn::IfThenElse(hn::Gt(magnitude, hn::Set(di, (1 << 24) - 1)), hn::And(magnitude, hn::Set(di, ~127)), magnitude);
  const IntVec bits = hn::BitCast(di, hn::Mul(hn::ConvertTo(d, cut), hn::Set(d, 0x1p-16F)));
  const IntVec rounded = hn::And(hn::Add(bits, hn::Set(di, 1 << 12)), hn::Set(di, ~((1 << 13) - 1)));
  return hn::BitCast(d, hn::Or(rounded, hn::And(sums, hn::Set(di, static_cast<std::int32_t>(0x80000000U)))));
}

/// The product of some rows with at most kColumns columns.
class ColumnTask {
 public:
  ColumnTask(const LeftRows& left, const Matrix& y, Scratch& scratch, FixedPointWork& work)
      : left_(left),
        y_(y),
        scratch_(scratch),
        work_(work),
        panels_(left.panel_count()),
        tiles_(blocks_of(y.columns, kTile)),
        sums_(scratch.sums.room<std::int32_t>(tiles_ * panels_ * kTileSums)),
        bounds_(scratch.bounds.room<float>(tiles_ * panels_)),
        right_(*scratch.tiles.room<RightTile>(1)) {
    start();
  }

  void run() {
    for (std::int64_t block = 0; block < left_.depth_blocks(); ++block) {
      const std::int64_t steps = std::min(kDepth, left_.x.columns - block * kDepth);
      const Matrix y = y_.block(block * kDepth, 0, kDepth, kColumns);
      const bool staged = y.column_step != 1 || y.columns % kTile != 0;
      const std::int64_t stride = staged ? kColumns : y.row_step;
      const float* from = y.data;
      if (staged) {
        float* stage = scratch_.stage.room<float>(kDepth * kColumns);
        CopyRows(y, kColumns, stage);
        from = stage;
      }
      const auto* panels = static_cast<const LeftPanel*>(left_.panels) + block * panels_;
      for (std::int64_t t = 0; t < tiles_; ++t) {
        PackTile(from + t * kTile, stride, steps, right_);
        for (std::int64_t p = 0; p < panels_; ++p) multiply(panels[p], steps, t, p);
      }
    }
  }

  void store(float* out, std::int64_t out_step) const {
    const Floats d;
    alignas(64) float row[kTile];
    for (std::int64_t r = 0; r < left_.x.rows; ++r) {
      for (std::int64_t t = 0; t < tiles_; ++t) {
        const std::int64_t at = (t * panels_ + r / kRows) * kTileSums + r % kRows * kTile;
        for (std::int64_t j = 0; j < kTile; j += kLanes)
          hn::Store(Rounded(hn::Load(Ints(), sums_ + at + j)), d, row + j);
        const std::int64_t columns = std::min(kTile, y_.columns - t * kTile);
        for (std::int64_t c = 0; overflow_ != nullptr && c < columns; ++c)
          if (overflow_[at + c] != 0) row[c] = static_cast<float>(overflow_[at + c]) * kOverflowed;
        std::memcpy(out + r * out_step + t * kTile, row, sizeof(float) * static_cast<std::size_t>(columns));
      }
    }
  }

 private:
  static constexpr std::int64_t kTileSums = kRows * kTile;

  /// Sums begin with the bias, which may overflow on its own.
  void start() {
    std::memset(sums_, 0, sizeof(std::int32_t) * static_cast<std::size_t>(tiles_ * panels_ * kTileSums));
    std::fill(bounds_, bounds_ + tiles_ * panels_, 0.0F);
    for (std::int64_t r = 0; left_.bias != nullptr && r < left_.x.rows; ++r) {
      const std::int64_t begin = units(left_.bias[r * left_.bias_step]);
      const bool over = begin >= kLimit || begin <= -kLimit;
      for (std::int64_t t = 0; t < tiles_; ++t) {
        const std::int64_t tile = t * panels_ + r / kRows, at = tile * kTileSums + r % kRows * kTile;
        if (over) std::fill_n(overflow() + at, kTile, static_cast<std::int8_t>(begin < 0 ? -1 : 1));
        std::fill_n(sums_ + at, kTile, over ? 0 : static_cast<std::int32_t>(begin));
        bounds_[tile] = std::max(bounds_[tile], std::abs(static_cast<float>(begin)) * 0x1p-16F);
      }
    }
  }

  std::int8_t* overflow() {
    if (overflow_ == nullptr) {
      const std::int64_t n = tiles_ * panels_ * kTileSums;
      overflow_ = scratch_.overflow.room<std::int8_t>(n);
      std::memset(overflow_, 0, static_cast<std::size_t>(n));
    }
    return overflow_;
  }

  void multiply(const LeftPanel& left, std::int64_t steps, std::int64_t t, std::int64_t p) {
    std::int32_t* sums = sums_ + (t * panels_ + p) * kTileSums;
    float& bound = bounds_[t * panels_ + p];
    const float block = left.largest_norm * right_.largest_norm;
    bool proved = bound + block < kProvedBelow;
    if (!proved) {
      bound = LargestMagnitude(sums);
      proved = bound + block < kProvedBelow;
    }
    alignas(64) std::int32_t before[kTileSums];
    if (!proved) std::memcpy(before, sums, sizeof before);

    SortSteps(left, right_, steps, steps_);
    const std::int64_t rows = std::min(kRows, left_.x.rows - p * kRows);
    const std::int64_t columns = std::min(kTile, y_.columns - t * kTile);
    std::int64_t& path = block < kChainLimit                           ? work_.chained
                         : left.largest * right_.largest < kChainLimit ? work_.single
                                                                       : work_.wide;
    if (&path == &work_.chained)
      AddChained(steps_, left, right_, sums);
    else if (&path == &work_.single)
      AddSingle(steps_, left, right_, sums);
    else
      AddWide(steps_, left, right_, sums);
    path += rows * columns * steps;

    bound += block + kBlockRounding;
    if (proved) return;
    const std::int64_t ordered =
        steps * repeat_in_order(left, steps, rows, columns, before, sums, (t * panels_ + p) * kTileSums);
    path -= ordered;
    work_.in_order += ordered;
    bound = kProvedBelow;  // taken anew next time
  }

  /// The elements of a tile that may have overflowed in this block, again from the sums `before` it. Returns how many.
  std::int64_t repeat_in_order(const LeftPanel& left, std::int64_t steps, std::int64_t rows, std::int64_t columns,
                               const std::int32_t* before, std::int32_t* sums, std::int64_t tile_at) {
    std::int64_t repeated = 0;
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t c = 0; c < columns; c += kOrdered) {
        const std::int64_t count = std::min(kOrdered, columns - c), at = i * kTile + c;
        bool safe = true;
        for (std::int64_t j = 0; j < count; ++j) {
          const float most =
              std::abs(static_cast<float>(before[at + j])) * 0x1p-16F + left.norms[i] * right_.norms[c + j];
          safe = safe && (most < kProvedBelow || (overflow_ != nullptr && overflow_[tile_at + at + j] != 0));
        }
        if (safe) continue;
        std::memcpy(sums + at, before + at, sizeof(std::int32_t) * kOrdered);
        AddInOrder(steps, left, i, right_, c, sums + at, overflow() + tile_at + at);
        repeated += count;
      }
    }
    return repeated;
  }

  const LeftRows& left_;
  const Matrix y_;
  Scratch& scratch_;
  FixedPointWork& work_;
  const std::int64_t panels_, tiles_;
  std::int32_t* sums_;  // tile by tile, panel by panel, kRows x kTile
  std::int8_t* overflow_ = nullptr;
  float* bounds_;
  RightTile& right_;
  Steps steps_;
};

void MultiplyColumns(const LeftRows& left, const Matrix& y, float* out, std::int64_t out_step, Scratch& scratch,
                     FixedPointWork& work) {
  ColumnTask task(left, y, scratch, work);
  task.run();
  task.store(out, out_step);
}

#else  // without fused multiply-adds: the scalar model

std::int64_t PanelBytes() { return 0; }

void PackLeft(const LeftRows&, std::int64_t, std::int64_t, std::int64_t, Scratch&) {}

void MultiplyColumns(const LeftRows& left, const Matrix& y, float* out, std::int64_t out_step, Scratch&,
                     FixedPointWork& work) {
  const Matrix& x = left.x;
  for (std::int64_t i = 0; i < x.rows; ++i)
    for (std::int64_t j = 0; j < y.columns; ++j)
      out[i * out_step + j] = dot(x.columns, x.data + i * x.row_step, x.column_step, y.data + j * y.column_step,
                                  y.row_step, left.bias != nullptr ? left.bias[i * left.bias_step] : 0.0F);
  work.in_order += x.rows * y.columns * x.columns;
}

#endif

}  // namespace aneval::emulator::fixed_point::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::emulator::fixed_point {

HWY_EXPORT(PanelBytes);
HWY_EXPORT(PackLeft);
HWY_EXPORT(MultiplyColumns);

std::int64_t panel_bytes() { return HWY_DYNAMIC_DISPATCH(PanelBytes)(); }

void pack_left(const LeftRows& left, std::int64_t depth_block, std::int64_t first, std::int64_t count,
               Scratch& scratch) {
  HWY_DYNAMIC_DISPATCH(PackLeft)(left, depth_block, first, count, scratch);
}

void multiply_columns(const LeftRows& left, const Matrix& y, float* out, std::int64_t out_step, Scratch& scratch,
                      FixedPointWork& work) {
  HWY_DYNAMIC_DISPATCH(MultiplyColumns)(left, y, out, out_step, scratch, work);
}

}  // namespace aneval::emulator::fixed_point
#endif
