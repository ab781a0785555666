// The matmul of the M1 and M2 engines, one product and one addition at a time: what the vectorised product
// (four_lane_product.h) must equal bit for bit.
//
// Products of fp16 numbers are exact; operands below 2^-14 count as zero. Each four consecutive ones (k = 4i … 4i+3;
// the last group may be shorter) are added one after the other, beginning with the first, in an adder of 12 significant
// bits; the sums of four are added in fp32 in the order of i, then the bias.
//
// The order within a group is derived, not published: of the orders sequential, reversed, and the two trees, only this
// one reproduces all three reductions that are published for M1 (48 values 1024, -1024, 1 repeated against ones give
// 16; the same with 4096 give 4; 4096 followed by 1024 ones gives 5116). fp32 between groups is an assumption: those
// three need no more than 14 bits there.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "ane/half.h"

namespace aneval::emulator::four_lane {

inline constexpr std::int64_t kGroup = 4;
inline constexpr float kSmallestOperand = 0x1p-14F;
/// Sums of this magnitude and above are infinite, which fp16 read as ordinary numbers writes as ±65536.
inline constexpr float kLimit = 32768.0F, kInfinite = 65536.0F;
/// Bits behind the leading one that the adder keeps.
inline constexpr int kFraction = 11;

inline float operand(float value) { return std::abs(value) < kSmallestOperand ? 0.0F : value; }

/// The larger addend (the sum so far, if they are alike) plus the other, cut toward zero to a multiple of 2^(e-11),
/// where e is the larger one's exponent; the result cut likewise at its own exponent. Addends have at most 22
/// significant bits, so that fp32 holds the uncut sum: multiples of 2^(e-21) below 2^(e+2).
inline float add(float sum, float product) {
  const bool larger = std::abs(sum) >= std::abs(product);
  const float large = larger ? sum : product, small = larger ? product : sum;
  if (large == 0) return 0.0F;
  const int unit = std::ilogb(large) - kFraction;
  const float wide = large + std::ldexp(std::trunc(std::ldexp(small, -unit)), unit);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(wide) & ~((1U << (23 - kFraction)) - 1U));
}

/// The fp16 number nearest to a sum, ties to even, or ±kInfinite; zero is +0.
inline float result(float sum) {
  if (std::abs(sum) >= kLimit) return std::copysign(kInfinite, sum);
  return ane::to_float(ane::to_half(sum)) + 0.0F;
}

/// The sum of x[k·x_step] · y[k·y_step] for k < count, then the bias.
inline float dot(std::int64_t count, const float* x, std::int64_t x_step, const float* y, std::int64_t y_step,
                 float bias = 0.0F) {
  float total = 0;
  for (std::int64_t k = 0; k < count; k += kGroup) {
    float sum = 0;
    for (std::int64_t lane = 0; lane < kGroup && k + lane < count; ++lane) {
      const float product = operand(x[(k + lane) * x_step]) * operand(y[(k + lane) * y_step]);
      sum = lane == 0 ? product : add(sum, product);
    }
    total += sum;
  }
  return result(total + bias);
}

}  // namespace aneval::emulator::four_lane
