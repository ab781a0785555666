// The register tiles of the fixed-point product: kRows x kTile sums over a list of steps of k.
//
// Included once per SIMD target. The chain: a register that starts at 192 = 1.5·2^7 has a unit in the last place of
// 2^-16 as long as it stays in [128, 256), so that one fused multiply-add rounds a product to the accumulator's grid
// while adding it, exactly as the engine rounds it on its own (the register is on the grid, so rounding commutes with
// adding it; ties: fixed_point_panels-inl.h). It stays there while |sum of the block| < 63: kDepth roundings of at
// most 2^-17 each are below 0.002. The difference of its bits from those of 192 is the sum in units of 2^-16.
//
// Dropped products: e_a + e_b <= -17. Below -18 they round to zero by themselves, at -17 and -18 they need not. Where
// the smallest exponents of a step cannot rule that out it is done under a mask. The steps of a block may be taken in
// any order, because no sum of any subset of them overflows (fixed_point_simd.cpp).

#if defined(ANEVAL_EMULATOR_FIXED_POINT_KERNELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEVAL_EMULATOR_FIXED_POINT_KERNELS_INL_H_
#undef ANEVAL_EMULATOR_FIXED_POINT_KERNELS_INL_H_
#else
#define ANEVAL_EMULATOR_FIXED_POINT_KERNELS_INL_H_
#endif

#include <bit>

#include "ane/emulator/fixed_point_panels-inl.h"
#include "hwy/highway.h"

#if ANEVAL_FUSED
HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::fixed_point::HWY_NAMESPACE {

constexpr float kMagic = 192.0F;
/// Sums of a chain and single products stay below this (see above).
constexpr float kChainLimit = 63.0F;

/// Steps of a block by whether they need a mask.
struct Steps {
  alignas(64) std::uint8_t plain[kDepth + 8], masked[kDepth + 8];
  std::int64_t plain_count = 0, masked_count = 0;
};

/// One step's columns, which know the ones whose product with a value of x is kept.
class MaskedColumns {
 public:
  HWY_INLINE MaskedColumns(const RightTile& tile, std::int64_t k) {
#if HWY_TARGET <= HWY_AVX3
    exponents_ = _mm512_load_si512(tile.exponents + k * kTile);
#else
    for (std::int64_t j = 0; j < kVectors; ++j)
      magnitudes_[j] = hn::BitCast(Ints(), hn::Abs(hn::Load(Floats(), tile.values + k * kTile + j * kLanes)));
#endif
  }

#if HWY_TARGET <= HWY_AVX3
  /// Masks of the four vectors from one comparison of 64 bytes.
  struct Kept {
    __mmask16 of[4];
  };
  HWY_INLINE Kept kept(Threshold threshold) const {
    const __m512i least = _mm512_set1_epi8(static_cast<char>(threshold));
    Kept kept;
#if HWY_COMPILER_GCC_ACTUAL
    // g++-12 takes shifted masks through general registers, at half the speed of the whole kernel (21 against 46 G
    // multiply-accumulates per second on Zen 4).
    asm("vpcmpub $5, %5, %4, %0\n\tkshiftrq $16, %0, %1\n\tkshiftrq $32, %0, %2\n\tkshiftrq $48, %0, %3"
        : "=&Yk"(kept.of[0]), "=Yk"(kept.of[1]), "=Yk"(kept.of[2]), "=Yk"(kept.of[3])
        : "v"(exponents_), "v"(least));
#else
    const __mmask64 all = _mm512_cmpge_epu8_mask(exponents_, least);
    for (int j = 0; j < 4; ++j) kept.of[j] = static_cast<__mmask16>(all >> (16 * j));
#endif
    return kept;
  }
  /// sum + x·y where kept, else sum.
  static HWY_INLINE Vec MulAdd(const Kept& kept, std::int64_t j, Vec x, Vec y, Vec sum) {
    return Vec{_mm512_mask3_fmadd_ps(x.raw, y.raw, sum.raw, kept.of[j])};
  }
  /// value where kept, else zero.
  static HWY_INLINE IntVec Select(const Kept& kept, std::int64_t j, IntVec value) {
    return IntVec{_mm512_maskz_mov_epi32(kept.of[j], value.raw)};
  }
#else
  struct Kept {
    HWY_INLINE Kept() {}  // implicit ones are not compiled for the target
    hn::Mask<Ints> of[kVectors];
  };
  HWY_INLINE Kept kept(Threshold threshold) const {
    const IntVec least = hn::Set(Ints(), threshold);
    Kept kept;
    for (std::int64_t j = 0; j < kVectors; ++j) kept.of[j] = hn::Gt(magnitudes_[j], least);
    return kept;
  }
  static HWY_INLINE Vec MulAdd(const Kept& kept, std::int64_t j, Vec x, Vec y, Vec sum) {
    return hn::MulAdd(x, hn::IfThenElseZero(hn::RebindMask(Floats(), kept.of[j]), y), sum);
  }
  static HWY_INLINE IntVec Select(const Kept& kept, std::int64_t j, IntVec value) {
    return hn::IfThenElseZero(kept.of[j], value);
  }
#endif

 private:
#if HWY_TARGET <= HWY_AVX3
  __m512i exponents_;
#else
  IntVec magnitudes_[kVectors];
#endif
};

/// sums += the products of all steps; the block's sums stay below kChainLimit.
HWY_NOINLINE void AddChained(const Steps& steps, const LeftPanel& left, const RightTile& right,
                             std::int32_t* HWY_RESTRICT sums) {
  const Floats d;
  const Ints di;
  const Vec magic = hn::Set(d, kMagic);
  Vec sum[kRows][kVectors];
  for (std::int64_t i = 0; i < kRows; ++i)
    for (std::int64_t j = 0; j < kVectors; ++j) sum[i][j] = magic;
  for (std::int64_t s = 0; s < steps.plain_count; ++s) {
    const std::int64_t k = steps.plain[s];
    Vec y[kVectors];
    for (std::int64_t j = 0; j < kVectors; ++j) y[j] = hn::Load(d, right.values + k * kTile + j * kLanes);
    for (std::int64_t i = 0; i < kRows; ++i) {
      const Vec x = hn::Set(d, left.values[k * kRowSlots + i]);
      for (std::int64_t j = 0; j < kVectors; ++j) sum[i][j] = hn::MulAdd(x, y[j], sum[i][j]);
    }
  }
  for (std::int64_t s = 0; s < steps.masked_count; ++s) {
    const std::int64_t k = steps.masked[s];
    const MaskedColumns columns(right, k);
    Vec y[kVectors];
    for (std::int64_t j = 0; j < kVectors; ++j) y[j] = hn::Load(d, right.values + k * kTile + j * kLanes);
    for (std::int64_t i = 0; i < kRows; ++i) {
      const Vec x = hn::Set(d, left.values[k * kRowSlots + i]);
      const auto kept = columns.kept(left.thresholds[k * kRowSlots + i]);
      for (std::int64_t j = 0; j < kVectors; ++j) sum[i][j] = MaskedColumns::MulAdd(kept, j, x, y[j], sum[i][j]);
    }
  }
  for (std::int64_t i = 0; i < kRows; ++i)
    for (std::int64_t j = 0; j < kVectors; ++j) {
      std::int32_t* at = sums + i * kTile + j * kLanes;
      const IntVec block = hn::Sub(hn::BitCast(di, sum[i][j]), hn::BitCast(di, magic));
      hn::Store(hn::Add(hn::Load(di, at), block), di, at);
    }
}

/// sums += the products of kCount rows from kFirst on, each turned into an integer on its own by Product(y).with(x).
template <std::int64_t kFirst, std::int64_t kCount, class Product>
HWY_INLINE void AddEach(const Steps& steps, const LeftPanel& left, const RightTile& right,
                        std::int32_t* HWY_RESTRICT sums) {
  const Floats d;
  const Ints di;
  IntVec sum[kCount][kVectors];
  for (std::int64_t i = 0; i < kCount; ++i)
    for (std::int64_t j = 0; j < kVectors; ++j) sum[i][j] = hn::Load(di, sums + (kFirst + i) * kTile + j * kLanes);
  for (std::int64_t s = 0; s < steps.plain_count; ++s) {
    const std::int64_t k = steps.plain[s];
    Product product[kVectors];
    for (std::int64_t j = 0; j < kVectors; ++j)
      product[j] = Product(hn::Load(d, right.values + k * kTile + j * kLanes));
    for (std::int64_t i = 0; i < kCount; ++i) {
      const Vec x = hn::Set(d, left.values[k * kRowSlots + kFirst + i]);
      for (std::int64_t j = 0; j < kVectors; ++j) sum[i][j] = hn::Add(sum[i][j], product[j].with(x));
    }
  }
  for (std::int64_t s = 0; s < steps.masked_count; ++s) {
    const std::int64_t k = steps.masked[s];
    const MaskedColumns columns(right, k);
    Product product[kVectors];
    for (std::int64_t j = 0; j < kVectors; ++j)
      product[j] = Product(hn::Load(d, right.values + k * kTile + j * kLanes));
    for (std::int64_t i = 0; i < kCount; ++i) {
      const Vec x = hn::Set(d, left.values[k * kRowSlots + kFirst + i]);
      const auto kept = columns.kept(left.thresholds[k * kRowSlots + kFirst + i]);
      for (std::int64_t j = 0; j < kVectors; ++j)
        sum[i][j] = hn::Add(sum[i][j], MaskedColumns::Select(kept, j, product[j].with(x)));
    }
  }
  for (std::int64_t i = 0; i < kCount; ++i)
    for (std::int64_t j = 0; j < kVectors; ++j) hn::Store(sum[i][j], di, sums + (kFirst + i) * kTile + j * kLanes);
}

/// A product below kChainLimit: a chain of one.
class SingleProduct {
 public:
  HWY_INLINE SingleProduct() {}
  explicit HWY_INLINE SingleProduct(Vec y) : y_(y) {}
  HWY_INLINE IntVec with(Vec x) const {
    const Ints di;
    const Vec magic = hn::Set(Floats(), kMagic);
    return hn::Sub(hn::BitCast(di, hn::MulAdd(x, y_, magic)), hn::BitCast(di, magic));
  }

 private:
  Vec y_;
};

/// A product below 2^15: p = a·b·2^16 has 22 significant bits, and trunc(p + sign(p)/2) rounds it half away from zero.
/// The sum is exact in fp32 where it matters: below 1/2 it truncates to zero however it is rounded, from there to 2^22
/// its bits span at most 24 places, and beyond p is an even integer, to which the tie of adding 1/2 is rounded back.
class WideProduct {
 public:
  HWY_INLINE WideProduct() {}
  explicit HWY_INLINE WideProduct(Vec moved) {
    const Floats d;
    const Ints di;
    // Values have 10 bits behind the point: the last bit tells that it was moved.
    const Vec y = hn::BitCast(d, hn::And(hn::BitCast(di, moved), hn::Set(di, ~1)));
    half_ = hn::CopySign(hn::Set(d, 0.5F), y);
    y_ = hn::Mul(y, hn::Set(d, 65536.0F));
  }
  HWY_INLINE IntVec with(Vec x) const {
    const Floats d;
    return Truncated(hn::MulAdd(x, y_, hn::Xor(half_, hn::And(x, hn::SignBit(d)))));
  }

 private:
  /// Highway's conversion saturates, at a cost; what is not proved to be in range is not used here.
  static HWY_INLINE IntVec Truncated(Vec value) {
#if HWY_TARGET <= HWY_AVX3
    return IntVec{_mm512_cvttps_epi32(value.raw)};
#elif HWY_ARCH_X86
    return IntVec{_mm256_cvttps_epi32(value.raw)};
#else
    return hn::ConvertTo(Ints(), value);
#endif
  }

  Vec y_, half_;
};

// Two halves, because operands and temporary values need registers, too.
HWY_NOINLINE void AddSingle(const Steps& steps, const LeftPanel& left, const RightTile& right, std::int32_t* sums) {
  AddEach<0, kRows / 2, SingleProduct>(steps, left, right, sums);
  AddEach<kRows / 2, kRows / 2, SingleProduct>(steps, left, right, sums);
}

HWY_NOINLINE void AddWide(const Steps& steps, const LeftPanel& left, const RightTile& right, std::int32_t* sums) {
  AddEach<0, kRows / 2, WideProduct>(steps, left, right, sums);
  AddEach<kRows / 2, kRows / 2, WideProduct>(steps, left, right, sums);
}

/// Columns that are summed in order together.
constexpr std::int64_t kOrderedVectors = 4;
constexpr std::int64_t kOrdered = kOrderedVectors * kLanes / 2;
static_assert(kTile % kOrdered == 0);

/// Any operands: `steps` steps of row i in the order of k for the columns from `column` on. overflow[c] is 0 or the
/// sign of the overflow; a column that has it keeps it.
///
/// The chain in double: a register at 1.5·2^36 has a unit of 2^-16 and room for |sum| < 2^35, that is 2^15 and one
/// product of at most 2^34. Values of y are moved by one unit of double here: less than 2^17·2^(16-52) < 2^-17.
HWY_NOINLINE void AddInOrder(std::int64_t steps, const LeftPanel& left, std::int64_t i, const RightTile& right,
                             std::int64_t column, std::int32_t* HWY_RESTRICT sums, std::int8_t* HWY_RESTRICT overflow) {
  const hn::ScalableTag<double> d;
  const hn::RebindToSigned<decltype(d)> d64;
  const hn::Rebind<float, decltype(d)> d32;
  const hn::RebindToSigned<decltype(d32)> i32;
  constexpr double kWideMagic = 0x1.8p36;
  const auto magic = hn::Set(d, kWideMagic), limit = hn::Set(d, 32768.0);
  alignas(64) double start[kOrdered];
  for (std::int64_t c = 0; c < kOrdered; ++c)
    start[c] = kWideMagic + (overflow[c] != 0 ? 65536.0 * overflow[c] : 0x1p-16 * sums[c]);
  constexpr std::int64_t kWidth = kLanes / 2;
  hn::Vec<decltype(d)> sum[kOrderedVectors];
  for (std::int64_t j = 0; j < kOrderedVectors; ++j) sum[j] = hn::Load(d, start + j * kWidth);
  for (std::int64_t k = 0; k < steps; ++k) {
    const float x = left.values[k * kRowSlots + i];
    const auto exponent = std::max<std::int32_t>(
        0, static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x) >> 23 & 255U) - kSubnormalExponent);
    // The smallest magnitude that keeps the product, 2^(12 - e' - 14).
    const double least = exponent >= kKeptExponents
                             ? 0.0
                             : std::bit_cast<double>(static_cast<std::uint64_t>(1023 + 12 - 14 - exponent) << 52);
    const auto a = hn::Set(d, static_cast<double>(x)), smallest = hn::Set(d, least);
    for (std::int64_t j = 0; j < kOrderedVectors; ++j) {
      const auto moved = hn::Load(d32, right.values + k * kTile + column + j * kWidth);
      const auto y = hn::PromoteTo(d, hn::BitCast(d32, hn::And(hn::BitCast(i32, moved), hn::Set(i32, ~1))));
      const auto added = hn::MulAdd(a, hn::BitCast(d, hn::Add(hn::BitCast(d64, y), hn::Set(d64, 1))), sum[j]);
      const auto goes_on = hn::And(hn::Lt(hn::Abs(hn::Sub(sum[j], magic)), limit), hn::Ge(hn::Abs(y), smallest));
      sum[j] = hn::IfThenElse(goes_on, added, sum[j]);
    }
  }
  for (std::int64_t j = 0; j < kOrderedVectors; ++j) hn::Store(hn::Sub(sum[j], magic), d, start + j * kWidth);
  for (std::int64_t c = 0; c < kOrdered; ++c) {
    const bool over = std::abs(start[c]) >= 32768.0;
    overflow[c] = static_cast<std::int8_t>(!over ? 0 : start[c] > 0 ? 1 : -1);
    sums[c] = over ? 0 : static_cast<std::int32_t>(start[c] * 65536.0);
  }
}

}  // namespace aneval::emulator::fixed_point::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

#endif  // per-target include guard
