// fp16 values carried as floats, under a profile's rounding and its reading of exponent 31.
//
// Every fp16 number is a float. A chip that reads exponent 31 as an ordinary exponent (Specials::ordinary) has numbers
// up to 131008, which floats hold too: its infinity, 0x7C00, is carried as 65536, and a NaN as something larger. Such a
// float array therefore never contains an infinity or a NaN.
#pragma once

#include <cstdint>

#include "ane/emulator/profile.h"
#include "ane/half.h"

namespace aneval::emulator {

/// What the bit pattern of infinity is worth where exponent 31 is ordinary.
inline constexpr float kOrdinaryInfinity = 65536.0F;

/// How a tensor of fp16 numbers is written.
struct HalfFormat {
  Rounding rounding = Rounding::nearest_even;
  Specials specials = Specials::ieee;
};

/// n values to the fp16 numbers that a store makes of them, in place: rounded; beyond 65504 infinite (65536 where
/// exponent 31 is ordinary), and there −0 becomes +0. Every value is a float: what is not an fp32 result must not have
/// been rounded to nearest on the way (see narrow()).
void round_to_half(HalfFormat format, float* values, std::int64_t n);
float round_to_half(HalfFormat format, double value);

/// Between bits and floats, n contiguous elements; exact both ways for values that fp16 has.
void decode_halves(Specials specials, const ane::half_t* bits, float* values, std::int64_t n);
void encode_halves(Specials specials, const float* values, ane::half_t* bits, std::int64_t n);

/// A double as a float on the way to fp16. Rounding to nearest here would round ties twice; rounding to odd makes the
/// second rounding the only one that counts (Boldo and Melquiond 2008), for ties to even as for ties away from zero.
float narrow(double value);

}  // namespace aneval::emulator
