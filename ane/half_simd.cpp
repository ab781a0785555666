// Rows and transposed blocks of fp16, through Highway with run-time dispatch.
//
// Highway's f16 conversions are exact on AVX2 and better and on 64-bit Arm. Its SSE and scalar versions (1.0.3)
// truncate and lose infinities and NaNs: there the integer conversion of half.cpp is used instead. Either way the bits
// are the same, which half_bulk_test.cpp checks for every float on every target of the machine.
#include <algorithm>
#include <cstddef>

#include "ane/half.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/half_simd.cpp"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::ane::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Defined anew for every target that this file is compiled for.
#undef ANEVAL_EXACT_F16
#if (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2) || (HWY_ARCH_ARM_A64 && HWY_TARGET < HWY_EMU128)
#define ANEVAL_EXACT_F16 1
#else
#define ANEVAL_EXACT_F16 0
#endif

// Rows of the source are taken 64 at a time, so that a destination row receives two whole cache lines that lie side by
// side. The scratch of 64 x 128 halves (16 KiB) is filled row by row: reading columns directly would meet only a few
// sets of the first-level cache when the source's stride is a power of two, as weight matrices' are. Both sizes, and
// the prefetch of the next block, were the fastest of those tried (32 to 1024 columns, 32 to 128 rows; blocks ordered
// by rows or by columns) for matrices of 768 to 3072 rows, in cache and from memory.
constexpr std::int64_t kRows = 64, kColumns = 128;
constexpr std::int64_t kLineHalves = 32, kLineFloats = 16;

#if ANEVAL_EXACT_F16

const char* TargetName() { return hwy::TargetName(HWY_TARGET); }

void RowToHalf(const float* HWY_RESTRICT source, half_t* HWY_RESTRICT destination, std::int64_t n) {
  const hn::ScalableTag<float> floats;
  const hn::Rebind<hwy::float16_t, decltype(floats)> halves;
  const hn::Rebind<half_t, decltype(floats)> bits;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(floats));
  const auto convert = [&](std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::BitCast(bits, hn::DemoteTo(halves, hn::LoadU(floats, source + i))), bits, destination + i);
  };
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    convert(i);
    convert(i + lanes);
    convert(i + 2 * lanes);
    convert(i + 3 * lanes);
  }
  for (; i + lanes <= n; i += lanes) convert(i);
  if (i == n) return;
  if (n >= lanes) return convert(n - lanes);  // the last vector overlaps the one before
  for (; i < n; ++i) destination[i] = to_half(source[i]);
}

void RowToFloat(const half_t* HWY_RESTRICT source, float* HWY_RESTRICT destination, std::int64_t n) {
  const hn::ScalableTag<float> floats;
  const hn::Rebind<hwy::float16_t, decltype(floats)> halves;
  const hn::Rebind<half_t, decltype(floats)> bits;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(floats));
  const auto convert = [&](std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::PromoteTo(floats, hn::BitCast(halves, hn::LoadU(bits, source + i))), floats, destination + i);
  };
  std::int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    convert(i);
    convert(i + lanes);
    convert(i + 2 * lanes);
    convert(i + 3 * lanes);
  }
  for (; i + lanes <= n; i += lanes) convert(i);
  if (i == n) return;
  if (n >= lanes) return convert(n - lanes);
  for (; i < n; ++i) destination[i] = to_float(source[i]);
}

/// 128-bit blocks of a vector; each block carries one 8x8 transpose. Arm's vectors are used 128 bits at a time.
constexpr std::size_t kBlocks = HWY_ARCH_X86 ? HWY_MAX_BYTES / 16 : 1;

/// Block b holds 8 halves of row 8b of the scratch.
template <std::size_t Blocks>
HWY_INLINE hn::Vec<hn::FixedTag<half_t, 8 * Blocks>> LoadBlocks(const half_t* p) {
  const hn::FixedTag<half_t, 8 * Blocks> tag;
  if constexpr (Blocks == 1) {
    return hn::Load(tag, p);
  } else {
    return hn::Combine(tag, LoadBlocks<Blocks / 2>(p + 4 * Blocks * kColumns), LoadBlocks<Blocks / 2>(p));
  }
}

/// Columns 0-7 of 8·Blocks scratch rows become 8 runs of 8·Blocks halves in the destination: three rounds of
/// interleaving, of 16, 32 and 64 bits, within each block.
template <std::size_t Blocks>
HWY_INLINE void Tile(const half_t* scratch, half_t* destination, std::int64_t stride) {
  const hn::FixedTag<half_t, 8 * Blocks> d16;
  const hn::Repartition<std::uint32_t, decltype(d16)> d32;
  const hn::Repartition<std::uint64_t, decltype(d16)> d64;
  // Named values, not arrays: vectors of SVE have no size.
  const auto r0 = LoadBlocks<Blocks>(scratch), r1 = LoadBlocks<Blocks>(scratch + kColumns);
  const auto r2 = LoadBlocks<Blocks>(scratch + 2 * kColumns), r3 = LoadBlocks<Blocks>(scratch + 3 * kColumns);
  const auto r4 = LoadBlocks<Blocks>(scratch + 4 * kColumns), r5 = LoadBlocks<Blocks>(scratch + 5 * kColumns);
  const auto r6 = LoadBlocks<Blocks>(scratch + 6 * kColumns), r7 = LoadBlocks<Blocks>(scratch + 7 * kColumns);
  const auto four_columns = [&](auto a, auto b, auto c, auto d, half_t* out) HWY_ATTR {
    const auto a32 = hn::BitCast(d32, a), b32 = hn::BitCast(d32, b);
    const auto c32 = hn::BitCast(d32, c), e32 = hn::BitCast(d32, d);
    const auto low_front = hn::BitCast(d64, hn::InterleaveLower(d32, a32, b32));
    const auto low_back = hn::BitCast(d64, hn::InterleaveLower(d32, c32, e32));
    const auto high_front = hn::BitCast(d64, hn::InterleaveUpper(d32, a32, b32));
    const auto high_back = hn::BitCast(d64, hn::InterleaveUpper(d32, c32, e32));
    hn::StoreU(hn::BitCast(d16, hn::InterleaveLower(d64, low_front, low_back)), d16, out);
    hn::StoreU(hn::BitCast(d16, hn::InterleaveUpper(d64, low_front, low_back)), d16, out + stride);
    hn::StoreU(hn::BitCast(d16, hn::InterleaveLower(d64, high_front, high_back)), d16, out + 2 * stride);
    hn::StoreU(hn::BitCast(d16, hn::InterleaveUpper(d64, high_front, high_back)), d16, out + 3 * stride);
  };
  four_columns(hn::InterleaveLower(d16, r0, r1), hn::InterleaveLower(d16, r2, r3), hn::InterleaveLower(d16, r4, r5),
               hn::InterleaveLower(d16, r6, r7), destination);
  four_columns(hn::InterleaveUpper(d16, r0, r1), hn::InterleaveUpper(d16, r2, r3), hn::InterleaveUpper(d16, r4, r5),
               hn::InterleaveUpper(d16, r6, r7), destination + 4 * stride);
}

/// destination[c * stride + r] = scratch[r * kColumns + c] for rows x cols of the scratch.
void WriteTransposed(const half_t* scratch, std::int64_t rows, std::int64_t cols, half_t* destination,
                     std::int64_t stride) {
  constexpr std::int64_t kTileRows = 8 * kBlocks;
  std::int64_t c = 0;
  for (; c + 8 <= cols; c += 8) {
    std::int64_t r = 0;
    for (; r + kTileRows <= rows; r += kTileRows)
      Tile<kBlocks>(scratch + r * kColumns + c, destination + c * stride + r, stride);
    for (; r + 8 <= rows; r += 8) Tile<1>(scratch + r * kColumns + c, destination + c * stride + r, stride);
    for (std::int64_t column = c; column < c + 8; ++column)
      for (std::int64_t row = r; row < rows; ++row)
        destination[column * stride + row] = scratch[row * kColumns + column];
  }
  for (; c < cols; ++c)
    for (std::int64_t row = 0; row < rows; ++row) destination[c * stride + row] = scratch[row * kColumns + c];
}

#else

const char* TargetName() { return "portable"; }

void RowToHalf(const float* HWY_RESTRICT source, half_t* HWY_RESTRICT destination, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) destination[i] = to_half(source[i]);
}

void RowToFloat(const half_t* HWY_RESTRICT source, float* HWY_RESTRICT destination, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) destination[i] = to_float(source[i]);
}

void WriteTransposed(const half_t* scratch, std::int64_t rows, std::int64_t cols, half_t* destination,
                     std::int64_t stride) {
  for (std::int64_t c = 0; c < cols; ++c)
    for (std::int64_t r = 0; r < rows; ++r) destination[c * stride + r] = scratch[r * kColumns + c];
}

#endif

/// Rows before the first 64-byte line of the destination, when all its rows share their alignment.
HWY_INLINE std::int64_t UnalignedRows(const half_t* destination, std::int64_t stride) {
  if (stride % kLineHalves != 0) return 0;
  return static_cast<std::int64_t>((0 - reinterpret_cast<std::uintptr_t>(destination)) % 64 / sizeof(half_t));
}

void TransposedToHalf(const float* source, std::int64_t rows, std::int64_t cols, std::int64_t source_stride,
                      half_t* destination, std::int64_t destination_stride) {
  HWY_ALIGN half_t scratch[kRows * kColumns];
  const std::int64_t lead = UnalignedRows(destination, destination_stride);
  for (std::int64_t r = 0, m; r < rows; r += m) {
    m = std::min(rows - r, r == 0 && lead > 0 ? lead : kRows);
    for (std::int64_t c = 0; c < cols; c += kColumns) {
      const std::int64_t n = std::min(kColumns, cols - c);
      const std::int64_t next = std::min(cols, c + 2 * kColumns);
      for (std::int64_t i = 0; i < m; ++i) {
        const float* row = source + (r + i) * source_stride;
        RowToHalf(row + c, scratch + i * kColumns, n);
        for (std::int64_t k = c + kColumns; k < next; k += kLineFloats) hwy::Prefetch(row + k);
      }
      WriteTransposed(scratch, m, n, destination + c * destination_stride + r, destination_stride);
    }
  }
}

}  // namespace aneval::ane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::ane {

HWY_EXPORT(RowToHalf);
HWY_EXPORT(RowToFloat);
HWY_EXPORT(TransposedToHalf);
HWY_EXPORT(TargetName);

void to_half(const float* source, half_t* destination, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(RowToHalf)(source, destination, n);
}

void to_float(const half_t* source, float* destination, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(RowToFloat)(source, destination, n);
}

void to_half_transposed(const float* source, std::int64_t rows, std::int64_t cols, std::int64_t source_stride,
                        half_t* destination, std::int64_t destination_stride) {
  HWY_DYNAMIC_DISPATCH(TransposedToHalf)(source, rows, cols, source_stride, destination, destination_stride);
}

std::string simd_target() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

}  // namespace aneval::ane
#endif
