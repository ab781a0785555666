// Weights that are constants of programs: which choices make them so, and how 8-bit ones are made.
//
// 8 bits, symmetric: w ≈ q·s, q from −127 to 127, one scale s per output channel of the product that the weight is for.
// Scales of weights have four significant bits: seven of q and four of s fit into fp16's eleven, so that q·s is an fp16
// number whatever the rule is that the compiler rounds it by, which nobody published. Of the nine such scales from the
// smallest that holds the largest weight to twice it, the one with the smallest square error is taken: integers and
// powers of two come out exactly, random weights at most 15 % worse than with any scale (weight_constants_test.cpp).
// Scales of activations are powers of two: then x/s is exact however an engine divides (no rule is known), and all that
// was measured of its 8-bit products was measured with such scales.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ane/packed_layout.h"
#include "ane/variant.h"

namespace aneval::ane {

/// Whether weights are constants of the program and have no place on the surface.
constexpr bool are_constants(Weights weights) { return weights != Weights::dynamic; }
/// Whether those of the forward pass have 8 bits. Kernels that are given gradients keep fp16 constants: what flows back
/// is the gradient at the weights that training keeps (a straight-through estimate), and gradients of all sizes would
/// need a scale each.
constexpr bool have_8_bits(Weights weights) { return weights == Weights::int8 || weights == Weights::w8a8; }

/// Whether a kernel's program depends on activations: it quantizes them, with scales that were chosen for some.
bool quantizes_activations(const Variant& variant, const PackedLayout& layout);

/// What the numbers of a weight that is compiled in take in the program's weight file: fp16, or 8 bits and fp16 scales.
std::int64_t constant_bytes(const Slot& slot);

/// The axis of [1, channels, 1, width] along which a weight slot in 8 bits has its scales: its output channels.
std::int64_t eight_bit_axis(const Slot& slot);

/// A weight slot in 8 bits, row-major as it lies there, padding 0; scales are fp16 numbers, one per index of
/// eight_bit_axis().
struct EightBitWeight {
  std::vector<std::int8_t> values;
  std::vector<float> scales;
  std::int64_t axis = 3;
};

/// `numbers`: staged_numbers() of the slot. Errors: one that is not finite or beyond 65504.
EightBitWeight eight_bit_weight(const Slot& slot, std::span<const float> numbers);

/// The scale of an activation that is quantized to 8 bits: the power of two with the smallest mean square error over
/// these numbers, errors of those that it clips included; 1 when all are zero. Numbers that are not finite are left
/// out: they are what a check finds elsewhere.
float activation_scale(std::span<const float> numbers);

}  // namespace aneval::ane
