// What the planner knows of 8-bit tensors: numbers of constants, units of quantizations, integer products.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ane/emulator/plan.h"
#include "ane/mil/ops.h"

namespace aneval::emulator {

/// The elements of a constant, from its literal or its weight file, as its type holds them. The program has passed the
/// checker. Errors: the file is not among `weights`.
std::vector<double> constant_values(const mil::Literal& literal, const ane::WeightFiles& weights);

/// Scale, zero point and axis of a quantize, dequantize or constexpr_affine_dequantize of a tensor of that shape.
/// Throws mil::InferenceError where one of them is no constant, or a scale is not positive.
Units units_of(const mil::Arguments& arguments, const mil::Shape& shape, const ane::WeightFiles& weights);

/// Whether products look through such a dequantization: nothing but a zero point of 0 was measured.
bool has_no_zero_point(const Units& units);

/// Takes the integers of both operands in their place when both come from 8 bits and the scales allow it. `lines`: the
/// axis of each that the sum does not run along.
std::optional<IntegerProduct> integer_product(std::vector<Operand>& inputs, std::array<int, 2> lines,
                                              const std::unordered_map<int, Dequantized>& dequantized);

/// Removes dequantizations that every reader looked through, and the one of an 8-bit constant's two forms that nobody
/// reads.
void drop_unread(Plan& plan);

}  // namespace aneval::emulator
