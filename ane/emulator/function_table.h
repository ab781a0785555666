// The engine's sigmoid, tanh and exp: tables of 33 fp16 points with linear interpolation, read from compiled programs
// of an M6 (M6 study, 751K, notes/numerics.md). Their largest errors on fp16's grid are the published ones:
//
//   sigmoid  σ(−8), σ(−7.5) … σ(8); clamped outside                        3.355e-3 absolute on [−10, 10]
//   tanh     tanh(0), tanh(0.125) … tanh(4); odd; ±1 beyond ±4             1.613e-3 absolute
//   exp      2^(i/32), i = 0 … 32; e^x = 2^n·2^(a−n), a = r(x·r(log2 e))   9.08 ulp on [−10, 10], published 9.1
//
// y = T[k] + r((T[k+1] − T[k])·f), r and the result rounded to fp16 half away from zero. What the sources leave open:
// the points are rounded to nearest (none is a tie, so the kind of nearest does not matter), and the differences are
// exact; both reproduce the published errors to their digits (function_table_test.cpp).
#pragma once

#include <array>

#include "ane/emulator/plan.h"
#include "ane/emulator/profile.h"

namespace aneval::emulator {

/// One value. x is an fp16 number, exponent 31 read as ordinary: the result is one too. Function: sigmoid, tanh, exp.
float table_function(Function function, float x);

/// All 65536 of them by bit pattern, made once; what evaluations look up.
const std::array<float, 65536>& function_values(Function function);
/// The same of a profile with tables: a sigmoid that was measured takes the place of M6's.
const std::array<float, 65536>& function_values(const Profile& profile, Function function);

}  // namespace aneval::emulator
