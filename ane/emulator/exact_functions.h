// Unary functions that profile ieee computes exactly, rounded once. An fp16 argument has 65536 values: all results are
// made once, by libm, and looked up from then on.
#pragma once

#include <array>

#include "ane/emulator/plan.h"
#include "ane/mil/program.h"

namespace aneval::emulator {

/// One value on the way into a tensor of that type: evaluated in double, so that rounding to fp16 is the only one that
/// counts (narrow() in half_values.h). Function: sigmoid, tanh, exp, sqrt, rsqrt, silu.
float exact_function(Function function, float x, mil::DType dtype);

/// Those of all fp16 numbers by bit pattern, rounded to nearest even, made on first use.
const std::array<float, 65536>& exact_values(Function function);

}  // namespace aneval::emulator
