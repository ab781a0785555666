// fp16 <-> fp32 along rows, for one SIMD target. Included once per target.
//
// Highway's f16 conversions are exact on AVX2 and better and on 64-bit Arm. Its SSE and scalar versions (1.0.3)
// truncate and lose infinities and NaNs: there the integer conversion of half.cpp is used instead. Either way the bits
// are the same, which half_bulk_test.cpp checks for every float on every target of the machine.

#if defined(ANEVAL_HALF_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEVAL_HALF_ROWS_INL_H_
#undef ANEVAL_HALF_ROWS_INL_H_
#else
#define ANEVAL_HALF_ROWS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "ane/half.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

// Defined anew for every target that a file is compiled for.
#undef ANEVAL_EXACT_F16
#if (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2) || (HWY_ARCH_ARM_A64 && HWY_TARGET < HWY_EMU128)
#define ANEVAL_EXACT_F16 1
#else
#define ANEVAL_EXACT_F16 0
#endif

HWY_BEFORE_NAMESPACE();
namespace aneval::ane::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if ANEVAL_EXACT_F16

/// The fp16 bits of a vector of floats.
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<half_t, D>> HalfBits(D, hn::Vec<D> values) {
  return hn::BitCast(hn::Rebind<half_t, D>(), hn::DemoteTo(hn::Rebind<hwy::float16_t, D>(), values));
}

template <class D>
HWY_INLINE hn::Vec<D> FromHalfBits(D floats, hn::Vec<hn::Rebind<half_t, D>> bits) {
  return hn::PromoteTo(floats, hn::BitCast(hn::Rebind<hwy::float16_t, D>(), bits));
}

/// convert(i) for the first element of every vector of [0, n); the last vector overlaps the one before it. What is less
/// than a vector goes through one(i).
template <class Convert, class One>
HWY_INLINE void ForEachVector(std::int64_t n, std::int64_t lanes, const Convert& convert, const One& one) {
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
  for (; i < n; ++i) one(i);
}

HWY_INLINE void RowToHalf(const float* HWY_RESTRICT source, half_t* HWY_RESTRICT destination, std::int64_t n) {
  const hn::ScalableTag<float> floats;
  const hn::Rebind<half_t, decltype(floats)> bits;
  ForEachVector(
      n, static_cast<std::int64_t>(hn::Lanes(floats)),
      [&](std::int64_t i)
          HWY_ATTR { hn::StoreU(HalfBits(floats, hn::LoadU(floats, source + i)), bits, destination + i); },
      [&](std::int64_t i) { destination[i] = to_half(source[i]); });
}

HWY_INLINE void RowToFloat(const half_t* HWY_RESTRICT source, float* HWY_RESTRICT destination, std::int64_t n) {
  const hn::ScalableTag<float> floats;
  const hn::Rebind<half_t, decltype(floats)> bits;
  ForEachVector(
      n, static_cast<std::int64_t>(hn::Lanes(floats)),
      [&](std::int64_t i)
          HWY_ATTR { hn::StoreU(FromHalfBits(floats, hn::LoadU(bits, source + i)), floats, destination + i); },
      [&](std::int64_t i) { destination[i] = to_float(source[i]); });
}

/// RowToHalf past the caches: only whole vectors at aligned places can go that way, the ends go the usual one.
HWY_INLINE void StreamRowToHalf(const float* HWY_RESTRICT source, half_t* HWY_RESTRICT destination, std::int64_t n) {
  const hn::ScalableTag<float> floats;
  const hn::Rebind<half_t, decltype(floats)> bits;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(floats));
  const auto misplaced = reinterpret_cast<std::uintptr_t>(destination) / sizeof(half_t) % hn::Lanes(floats);
  const std::int64_t lead = misplaced == 0 ? 0 : lanes - static_cast<std::int64_t>(misplaced);
  if (n < lead + lanes) return RowToHalf(source, destination, n);
  if (lead > 0) RowToHalf(source, destination, lanes);
  const std::int64_t whole = (n - lead) / lanes * lanes;
  ForEachVector(
      whole, lanes,
      [&](std::int64_t i) HWY_ATTR {
        hn::Stream(HalfBits(floats, hn::LoadU(floats, source + lead + i)), bits, destination + lead + i);
      },
      [](std::int64_t) {});
  if (lead + whole < n) RowToHalf(source + n - lanes, destination + n - lanes, lanes);
}

#else

inline void RowToHalf(const float* HWY_RESTRICT source, half_t* HWY_RESTRICT destination, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) destination[i] = to_half(source[i]);
}

inline void RowToFloat(const half_t* HWY_RESTRICT source, float* HWY_RESTRICT destination, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) destination[i] = to_float(source[i]);
}

inline void StreamRowToHalf(const float* HWY_RESTRICT source, half_t* HWY_RESTRICT destination, std::int64_t n) {
  RowToHalf(source, destination, n);
}

#endif

}  // namespace aneval::ane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
