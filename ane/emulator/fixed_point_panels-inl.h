// Packing for the fixed-point product: panels of x, tiles of y, and what is known about each step of k.
//
// Included once per SIMD target (Highway's foreach_target). Values of y are moved by one fp32 unit in the last place
// away from zero. Why that is right: let a·b be a product of two fp16 numbers with exponents e_a and e_b, g = 2^-16
// the grid it is rounded to. a·b is a multiple of u = 2^(e_a+e_b-20), and the move changes it by less than
// 2^(e_a+1)·2^(e_b-23) = u/4.
//   * u <= g/2: the points between two grid points, where rounding turns over, are multiples of u as well. A product
//     on one of them (a tie) is moved off it, away from zero, as the engine rounds; any other is at least u away from
//     all of them and stays on its side.
//   * u >= g: the product lies on the grid and must not leave it, so the move has to stay below g/2. It is at most
//     |a·b|·2^-23, which is below g/2 while |a·b| < 64; the paths that use moved values guarantee that.
// Moved zeros would be wrong and stay zero.

#if defined(ANEVAL_EMULATOR_FIXED_POINT_PANELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEVAL_EMULATOR_FIXED_POINT_PANELS_INL_H_
#undef ANEVAL_EMULATOR_FIXED_POINT_PANELS_INL_H_
#else
#define ANEVAL_EMULATOR_FIXED_POINT_PANELS_INL_H_
#endif

#include <cmath>

#include "ane/emulator/copy_rows-inl.h"
#include "ane/emulator/fixed_point_blocks.h"
#include "hwy/highway.h"

// Every product is rounded once, which takes a fused multiply-add. Targets without have no vector code, but include
// this file like all others: its guard counts them.
#undef ANEVAL_FUSED
#if HWY_NATIVE_FMA && HWY_HAVE_FLOAT64 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
#define ANEVAL_FUSED 1
#else
#define ANEVAL_FUSED 0
#endif

#if ANEVAL_FUSED
HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::fixed_point::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using emulator::HWY_NAMESPACE::CopyRows;

using Floats = hn::ScalableTag<float>;
using Ints = hn::RebindToSigned<Floats>;
using Vec = hn::Vec<Floats>;
using IntVec = hn::Vec<Ints>;

constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(Floats()));
// 6 x 4 vectors need 29 registers with the operands, 6 x 2 need 15.
constexpr std::int64_t kVectors = HWY_ARCH_X86 && HWY_TARGET > HWY_AVX3 ? 2 : 4;
constexpr std::int64_t kTile = kVectors * kLanes;
static_assert(kColumns % kTile == 0);

// Exponents are counted from that of subnormals, -14: e' = e + 14, 0 to 30. A product is kept when e > -17, that is
// e'_a + e'_b >= 12.
constexpr std::int32_t kKeptExponents = 12;
constexpr std::int32_t kSubnormalExponent = 127 - 14;  // as fp32 stores it
constexpr std::uint8_t kNoValue = 255;                 // above every exponent: a step of zeros

// What a value of x demands of those of y to keep a product: with byte masks (AVX-512) the smallest e'_b; elsewhere
// the magnitude's bits that have to be exceeded.
#if HWY_TARGET <= HWY_AVX3
using Threshold = std::uint8_t;
#else
using Threshold = std::int32_t;
#endif

/// kRows rows of x, kDepth steps.
struct LeftPanel {
  alignas(64) float values[kDepth * kRowSlots];
  Threshold thresholds[kDepth * kRowSlots];
  std::uint8_t step_threshold[kDepth];  // largest smallest e'_b of the rows
  float norms[kRowSlots];               // Euclidean norm of each row, within 2^-17 of itself (sums in fp32)
  float largest_norm, largest;          // of the rows, of |values|
};

/// kTile columns of y, kDepth steps, values moved away from zero.
struct RightTile {
  alignas(64) float values[kDepth * kTile];
#if HWY_TARGET <= HWY_AVX3
  std::uint8_t exponents[kDepth * kTile];
#endif
  std::uint8_t step_exponent[kDepth];  // smallest e'_b of the values that are not zero, or kNoValue
  alignas(64) float norms[kTile];
  float largest_norm, largest;
};

/// e' of the values whose bits without sign are given; 0 for zero.
template <class D>
HWY_INLINE hn::Vec<D> Exponents(D d, hn::Vec<D> magnitude_bits) {
  const auto subnormal = hn::Set(d, kSubnormalExponent);
  return hn::Sub(hn::Max(hn::ShiftRight<23>(magnitude_bits), subnormal), subnormal);
}

/// largest[k] = the largest of the eight bytes from 8k on. Reads and writes whole vectors of what lies there.
HWY_INLINE void LargestOfEight(const std::uint8_t* HWY_RESTRICT bytes, std::int64_t count,
                               std::uint8_t* HWY_RESTRICT largest) {
  const hn::ScalableTag<std::uint8_t> d;
  const hn::Repartition<std::uint64_t, decltype(d)> d64;
  constexpr auto kWords = static_cast<std::int64_t>(hn::MaxLanes(d64));
  static_assert(kRowSlots == 8 && kDepth % kWords == 0);
  alignas(64) std::uint64_t words[kWords];
  for (std::int64_t k = 0; k < count; k += kWords) {
    auto most = hn::BitCast(d64, hn::LoadU(d, bytes + 8 * k));
    const auto fold = [&](auto shifted)
                          HWY_ATTR { most = hn::BitCast(d64, hn::Max(hn::BitCast(d, most), hn::BitCast(d, shifted))); };
    fold(hn::ShiftRight<32>(most));
    fold(hn::ShiftRight<16>(most));
    fold(hn::ShiftRight<8>(most));
    hn::Store(most, d64, words);
    for (std::int64_t i = 0; i < kWords; ++i) largest[k + i] = static_cast<std::uint8_t>(words[i]);
  }
}

/// One panel from `steps` rows of kRowSlots floats each (more than kRows: the next panel's), `stride` floats apart.
HWY_INLINE void PackPanel(const float* HWY_RESTRICT staged, std::int64_t stride, std::int64_t steps, LeftPanel& panel) {
  const hn::CappedTag<float, kRowSlots> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<std::uint8_t, decltype(d)> d8;
  constexpr std::int64_t kWidth = static_cast<std::int64_t>(hn::MaxLanes(d));
  alignas(64) float largest[kRowSlots];
#if HWY_TARGET <= HWY_AVX3
  std::uint8_t* bytes = panel.thresholds;
#else
  std::uint8_t bytes[kDepth * kRowSlots];
#endif
  panel.largest_norm = panel.largest = 0;
  for (std::int64_t slot = 0; slot < kRowSlots; slot += kWidth) {
    const auto rows = hn::FirstN(d, static_cast<std::size_t>(std::clamp<std::int64_t>(kRows - slot, 0, kWidth)));
    auto squares = hn::Zero(d), most = hn::Zero(d);
    for (std::int64_t k = 0; k < steps; ++k) {
      const auto value = hn::IfThenElseZero(rows, hn::LoadU(d, staged + k * stride + slot));
      const auto magnitude = hn::Abs(value);
      hn::Store(value, d, panel.values + k * kRowSlots + slot);
      squares = hn::MulAdd(value, value, squares);
      most = hn::Max(most, magnitude);
      // A zero keeps all: its products are zero anyway.
      const auto smallest = hn::IfThenElseZero(
          hn::RebindMask(di, hn::Gt(magnitude, hn::Zero(d))),
          hn::Max(hn::Zero(di), hn::Sub(hn::Set(di, kKeptExponents), Exponents(di, hn::BitCast(di, magnitude)))));
      hn::StoreU(hn::DemoteTo(d8, smallest), d8, bytes + k * kRowSlots + slot);
#if HWY_TARGET > HWY_AVX3
      // e'_b >= t for t > 0 is: the magnitude is at least 2^(t-14), whose bits are exceeded from one less on.
      const auto bits = hn::ShiftLeft<23>(hn::Add(smallest, hn::Set(di, kSubnormalExponent)));
      hn::StoreU(hn::IfThenElse(hn::Gt(smallest, hn::Zero(di)), hn::Sub(bits, hn::Set(di, 1)), hn::Set(di, -1)), di,
                 panel.thresholds + k * kRowSlots + slot);
#endif
    }
    hn::StoreU(hn::Sqrt(squares), d, panel.norms + slot);
    hn::StoreU(most, d, largest + slot);
  }
  LargestOfEight(bytes, steps, panel.step_threshold);
  for (std::int64_t i = 0; i < kRows; ++i) {
    panel.largest_norm = std::max(panel.largest_norm, panel.norms[i]);
    panel.largest = std::max(panel.largest, largest[i]);
  }
}

/// One tile from `steps` rows of kTile floats, `stride` floats apart.
HWY_INLINE void PackTile(const float* HWY_RESTRICT staged, std::int64_t stride, std::int64_t steps, RightTile& tile) {
  const Floats d;
  const Ints di;
#if HWY_TARGET <= HWY_AVX3
  const hn::Rebind<std::uint8_t, Floats> d8;
#endif
  Vec squares[kVectors], most = hn::Zero(d);
  for (std::int64_t j = 0; j < kVectors; ++j) squares[j] = hn::Zero(d);
  for (std::int64_t k = 0; k < steps; ++k) {
    IntVec least = hn::Set(di, kNoValue);
    for (std::int64_t j = 0; j < kVectors; ++j) {
      const Vec value = hn::LoadU(d, staged + k * stride + j * kLanes);
      const Vec magnitude = hn::Abs(value);
      const auto is_value = hn::RebindMask(di, hn::Gt(magnitude, hn::Zero(d)));
      const IntVec exponents = Exponents(di, hn::BitCast(di, magnitude));
      least = hn::Min(least, hn::IfThenElse(is_value, exponents, hn::Set(di, kNoValue)));
      // The next bit pattern of a float is its neighbour away from zero.
      const Vec moved = hn::BitCast(d, hn::Add(hn::BitCast(di, value), hn::IfThenElseZero(is_value, hn::Set(di, 1))));
      hn::Store(moved, d, tile.values + k * kTile + j * kLanes);
#if HWY_TARGET <= HWY_AVX3
      hn::Store(hn::DemoteTo(d8, exponents), d8, tile.exponents + k * kTile + j * kLanes);
#endif
      squares[j] = hn::MulAdd(value, value, squares[j]);
      most = hn::Max(most, magnitude);
    }
    tile.step_exponent[k] = static_cast<std::uint8_t>(hn::GetLane(hn::MinOfLanes(di, least)));
  }
  Vec largest_norm = hn::Zero(d);
  for (std::int64_t j = 0; j < kVectors; ++j) {
    const Vec norm = hn::Sqrt(squares[j]);
    hn::Store(norm, d, tile.norms + j * kLanes);
    largest_norm = hn::Max(largest_norm, norm);
  }
  tile.largest_norm = hn::GetLane(hn::MaxOfLanes(d, largest_norm));
  tile.largest = hn::GetLane(hn::MaxOfLanes(d, most));
}

}  // namespace aneval::emulator::fixed_point::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#endif  // per-target include guard
