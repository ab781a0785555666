// The exact softmax of a row: exponentials, sum and quotients in double, rounded once.
//
// Highway's exp is off by 1 ulp at most (its documentation; softmax_rows_test.cpp has the measured error), libm's by as
// much. So the quotient lies within (n + 8)·2^-52 of the exact one, relatively, which is what the error shadows allow
// (docs/judgement.md): a numerator and each term of the sum within 2^-52 of themselves, n − 1 additions in any order
// and a division within 2^-53 each. The stored fp16 number can be another one than libm's only where the exact quotient
// is as near to a tie.
#pragma once

#include <cstdint>

#include "ane/emulator/half_values.h"
#include "ane/mil/program.h"

namespace aneval::emulator {

/// to[i] = e^(x[i] − largest) in double for n contiguous floats, NaN where the difference is NaN. Returns their sum,
/// added up in eight interleaved parts on every target.
double exponentials(const float* x, std::int64_t n, float largest, double* to);

/// out[i] = numerators[i] / sum, rounded once to what a tensor of that type can hold.
void quotients(HalfFormat format, mil::DType dtype, const double* numerators, double sum, float* out, std::int64_t n);

}  // namespace aneval::emulator
