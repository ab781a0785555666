// Bias, variance and shared errors of elementwise operations: linear around where the operands are expected.
#pragma once

#include "validate/shadow/shadow.h"

namespace aneval::validate {

/// The spread of f(x), f exact: f(centre), and linear around it. exp of a wide spread is more than that: its variance
/// is that of a log-normal number.
void spread_unary(emulator::Function function, const Shadow& x, double at_centre, Shadow& y);

/// The spread of z = x ∘ y. An error that comes through both operands (Step::related) counts as one.
void spread_binary(const emulator::Step& step, const Shadow& x, const Shadow& y, Shadow& z);

/// An operand that is repeated: its error is shared by all that are made of it. `element` tells operands apart.
void share(const emulator::Step& step, std::int64_t element, Shadow& x);
bool repeats(const ShadowArithmetic::In& x);

}  // namespace aneval::validate
