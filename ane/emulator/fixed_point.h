// The matmul of the M4 to M6 engines, one product and one addition at a time, in integers: what the fast product
// (fixed_point_product.h) must equal bit for bit.
//
// Source: "Apple-Neural-Engine-Microarchitecture-Study-M6", notes/numerics.md, measured on M4 and M6. Operands are fp16
// numbers carried as floats; exponent field 31 is an ordinary exponent there, so magnitudes reach 131008. The sum is a
// 32-bit fixed-point number in units of 2^-16 (Q15.16).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace aneval::emulator::fixed_point {

/// The sum overflows when its magnitude reaches 2^15: this many units.
inline constexpr std::int64_t kLimit = std::int64_t{1} << 31;
/// An overflowed output: 0x7C00 read as an ordinary number.
inline constexpr float kOverflowed = 65536.0F;
/// Products whose exponents sum to this or less are dropped.
inline constexpr int kDroppedExponent = -17;

/// value = significand · 2^(exponent - 10), |significand| < 2048.
struct Operand {
  std::int64_t significand = 0;
  int exponent = -14;  // that of subnormals and zero
};

/// Of a float that is an fp16 number.
constexpr Operand decode(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const int biased = static_cast<int>(bits >> 23 & 255U);
  if (biased == 0) return {};
  const int exponent = std::max(biased - 127, -14);
  // The float's significand has 23 bits behind the point, fp16's has 10; subnormals of fp16 are not normalised.
  const std::int64_t magnitude = ((bits & 0x7FFFFFU) | 0x800000U) >> (13 + exponent - (biased - 127));
  return {bits >> 31 != 0 ? -magnitude : magnitude, exponent};
}

/// significand · 2^shift, rounded half away from zero.
constexpr std::int64_t scaled(std::int64_t significand, int shift) {
  if (shift >= 0) return significand * (std::int64_t{1} << shift);
  const std::int64_t magnitude = significand < 0 ? -significand : significand;
  const std::int64_t rounded = (magnitude + (std::int64_t{1} << (-shift - 1))) >> -shift;
  return significand < 0 ? -rounded : rounded;
}

/// A product in units of 2^-16.
constexpr std::int64_t product(const Operand& a, const Operand& b) {
  if (a.exponent + b.exponent <= kDroppedExponent) return 0;
  return scaled(a.significand * b.significand, a.exponent + b.exponent - 20 + 16);
}

/// A bias in units of 2^-16.
constexpr std::int64_t units(float bias) {
  const Operand b = decode(bias);
  return scaled(b.significand, b.exponent - 10 + 16);
}

/// The sum of a dot product. Once it has reached the limit it stays there, whatever follows.
class Accumulator {
 public:
  explicit constexpr Accumulator(float bias = 0.0F) { add(units(bias)); }

  constexpr void add(std::int64_t product_units) {
    if (overflowed()) return;
    sum_ += product_units;
  }
  constexpr bool overflowed() const { return sum_ >= kLimit || sum_ <= -kLimit; }

  /// The sum as an fp16 number, rounded half away from zero; ±kOverflowed. Zero is +0.
  constexpr float result() const {
    if (overflowed()) return sum_ < 0 ? -kOverflowed : kOverflowed;
    std::int64_t magnitude = sum_ < 0 ? -sum_ : sum_;
    const int excess = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(magnitude))) - 11;
    if (excess > 0) magnitude = scaled(magnitude, -excess) << excess;
    const float value = static_cast<float>(magnitude) * 0x1p-16F;  // 11 significant bits: exact
    return sum_ < 0 ? -value : value;
  }

 private:
  std::int64_t sum_ = 0;
};

/// bias + sum of x[k·x_step] · y[k·y_step] for k < count, in the order of k.
constexpr float dot(std::int64_t count, const float* x, std::int64_t x_step, const float* y, std::int64_t y_step,
                    float bias = 0.0F) {
  Accumulator sum(bias);
  for (std::int64_t k = 0; k < count; ++k) sum.add(product(decode(x[k * x_step]), decode(y[k * y_step])));
  return sum.result();
}

}  // namespace aneval::emulator::fixed_point
