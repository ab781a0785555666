// A view on one of a plan's buffers, and the ways to look at it differently without moving an element: permuted axes,
// broadcasting, another shape.
#pragma once

#include <cstdint>
#include <vector>

#include "ane/emulator/tensor_view.h"
#include "ane/mil/program.h"

namespace aneval::emulator {

struct Operand {
  int buffer = -1;
  std::int64_t offset = 0;  // elements
  Extents shape, strides;
  mil::DType dtype = mil::DType::fp16;

  bool contiguous() const;
};

Extents extents_of(const mil::Shape& shape);

inline std::int64_t normal_axis(std::int64_t axis, int rank) { return axis < 0 ? axis + rank : axis; }

/// The operand repeated to `shape` (numpy rules), by strides of 0.
Operand broadcast_to(const Operand& operand, const Extents& shape);

/// Axis i of the result is axis perm[i] of the operand.
Operand permuted(const Operand& operand, const std::vector<std::int64_t>& perm);

/// The permutation that keeps all other axes in order and puts `last` behind them.
std::vector<std::int64_t> axes_last(const std::vector<std::int64_t>& last, int rank);

/// The last two axes exchanged.
Operand swapped(const Operand& operand);

/// A vector [n] as [1, n] (row) or [n, 1].
Operand as_matrix(const Operand& vector, bool row);

/// Strides of `source` under another shape of as many elements; false when only a copy can give it.
bool reshaped_strides(const Operand& source, const Extents& shape, Extents& strides);

}  // namespace aneval::emulator
