// An operand of a product taken apart for ProductSpread: contiguous arrays of what its shadows say, the errors that a
// line across k has in common, and which k come again.
#pragma once

#include <cstdint>
#include <vector>

#include "validate/shadow/shadow.h"

namespace aneval::validate {

/// Lines are what is contracted: rows of a left operand, columns of a right one.
struct SpreadOperand {
  /// Part of k.
  struct Depth {
    std::int64_t begin = 0, end = 0;
  };
  /// Errors of at most one row per line.
  struct Shared {
    std::vector<float> amounts;
    std::vector<std::uint32_t> names;  // of the row, per line; 0: none
    Depth depth;                       // where amounts other than 0 are
  };

  emulator::Extents shape;
  std::vector<float> value, centre, bias;
  std::vector<float> variance;  // of what is an element's own, and of what it shares with no other of its line
  std::vector<Shared> shared;
  bool any_bias = false, any_variance = false;
  /// Per batch, the k at which all numbers across k are equal: {k, k, …} of two or more. See find_repeated().
  std::vector<std::vector<std::vector<std::int32_t>>> repeated;
  bool any_repeated = false;

  emulator::TensorView<const float> view(const std::vector<float>& of) const {
    return {of.data(), shape, emulator::contiguous_strides(shape)};
  }
};

/// `line`, `depth`: the axes across k and along it.
SpreadOperand take_apart(const ShadowArithmetic::In& x, int line, int depth);

/// Which k have the same numbers all through: by a hash of the exact values across.
void find_repeated(const ShadowArithmetic::In& x, int line, int depth, SpreadOperand& spread);

}  // namespace aneval::validate
