// Rows of device values: computed, rounded as the tensor's type and the profile ask, and stored at any stride.
#pragma once

#include <array>
#include <cstdint>

#include "ane/emulator/half_values.h"
#include "ane/mil/program.h"

namespace aneval::emulator {

inline constexpr std::int64_t kPiece = 512;  // elements computed, rounded and stored at a time: they stay in L1

/// Rounds to what a tensor of that type can hold; values stay floats.
inline void round_to(HalfFormat format, mil::DType dtype, float* values, std::int64_t n) {
  if (dtype == mil::DType::fp16) round_to_half(format, values, n);
}

/// Computes up to kPiece elements with `compute(values)` and stores them rounded, at any stride.
template <class Compute>
void store_row(HalfFormat format, mil::DType dtype, float* target, std::int64_t step, std::int64_t count,
               const Compute& compute) {
  std::array<float, kPiece> values;
  compute(values.data());
  round_to(format, dtype, values.data(), count);
  for (std::int64_t i = 0; i < count; ++i) target[i * step] = values[static_cast<std::size_t>(i)];
}

/// A double on the way into a tensor of that type.
inline float narrow_to(double value, mil::DType dtype) {
  return dtype == mil::DType::fp16 ? narrow(value) : static_cast<float>(value);
}

}  // namespace aneval::emulator
