// fp16 <-> fp32. The one module that converts: rows and transposed blocks, through Highway with run-time dispatch,
// with a portable integer path as the fallback and as the yardstick of the tests.
//
// A half is stored as its 16 bits: `_Float16` is missing in g++-12 on aarch64 and in clang-14, std::float16_t
// everywhere. Rounding is to nearest, ties to even; infinities and the sign of zero are kept; a NaN stays a NaN
// (quieted, upper payload bits kept, as F16C does).
#pragma once

#include <cstdint>
#include <string>

namespace aneval::ane {

using half_t = std::uint16_t;

inline constexpr half_t kHalfInfinity = 0x7C00;
inline constexpr double kHalfMax = 65504.0;

/// Portable, exact for all 2^32 inputs.
half_t to_half(float value);
float to_float(half_t bits);
/// From double with a single rounding (to_half(float(x)) would round twice).
half_t to_half(double value);

/// Spacing of fp16 numbers at |value| (2^-24 for subnormals and zero; 32 at and above 32768).
double half_ulp(double value);

/// n contiguous elements.
void to_half(const float* source, half_t* destination, std::int64_t n);
void to_float(const half_t* source, float* destination, std::int64_t n);

/// rows x cols floats, rows `stride` apart.
struct FloatMatrix {
  const float* data = nullptr;
  std::int64_t rows = 0, cols = 0, stride = 0;
};

/// Rows of halves, `stride` apart: as many as what is written there has.
struct HalfRows {
  half_t* data = nullptr;
  std::int64_t stride = 0;
};

/// How results are stored. Streaming stores go past the caches: right for what the CPU does not read again soon, as
/// weights on a surface, because a line that is overwritten as a whole need not be fetched from memory first.
enum class Stores { cached, streaming };

/// Row r of the destination = half(row r of the source).
void to_half_rows(const FloatMatrix& source, const HalfRows& destination, Stores stores = Stores::cached);

/// Row c of the destination = half(column c of the source): [rows, cols] fp32 becomes [cols, rows] fp16 in one pass,
/// without an intermediate buffer of its size.
void to_half_transposed(const FloatMatrix& source, const HalfRows& transposed, Stores stores = Stores::cached);

/// Both in one pass over the source.
void to_half_both(const FloatMatrix& source, const HalfRows& rows, const HalfRows& transposed,
                  Stores stores = Stores::cached);

/// Name of the SIMD target that run-time dispatch chose, e.g. "AVX3", "AVX2", "NEON", or "portable".
std::string simd_target();

}  // namespace aneval::ane
