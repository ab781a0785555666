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

/// destination[c * destination_stride + r] = half(source[r * source_stride + c]): [rows, cols] fp32 becomes
/// [cols, rows] fp16 in one pass, without an intermediate buffer of its size.
void to_half_transposed(const float* source, std::int64_t rows, std::int64_t cols, std::int64_t source_stride,
                        half_t* destination, std::int64_t destination_stride);

/// Name of the SIMD target that run-time dispatch chose, e.g. "AVX3", "AVX2", "NEON", or "portable".
std::string simd_target();

}  // namespace aneval::ane
