#include "ane/emulator/operand.h"

#include <algorithm>
#include <utility>

namespace aneval::emulator {

Extents extents_of(const mil::Shape& shape) {
  Extents extents;
  for (const std::int64_t n : shape) extents.push(n);
  return extents;
}

bool Operand::contiguous() const {
  std::int64_t expected = 1;
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    if (shape[axis] != 1 && strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

Operand broadcast_to(const Operand& operand, const Extents& shape) {
  Operand wide = operand;
  wide.shape = shape;
  wide.strides = Extents{};
  wide.strides.rank = shape.rank;
  for (int axis = 0; axis < operand.shape.rank; ++axis) {
    const int to = axis + shape.rank - operand.shape.rank;
    wide.strides[to] = operand.shape[axis] == 1 ? 0 : operand.strides[axis];
  }
  return wide;
}

Operand permuted(const Operand& operand, const std::vector<std::int64_t>& perm) {
  Operand turned = operand;
  for (int i = 0; i < operand.shape.rank; ++i) {
    turned.shape[i] = operand.shape[static_cast<int>(perm[static_cast<std::size_t>(i)])];
    turned.strides[i] = operand.strides[static_cast<int>(perm[static_cast<std::size_t>(i)])];
  }
  return turned;
}

std::vector<std::int64_t> axes_last(const std::vector<std::int64_t>& last, int rank) {
  std::vector<std::int64_t> perm;
  for (std::int64_t axis = 0; axis < rank; ++axis)
    if (std::find(last.begin(), last.end(), axis) == last.end()) perm.push_back(axis);
  perm.insert(perm.end(), last.begin(), last.end());
  return perm;
}

bool reshaped_strides(const Operand& source, const Extents& shape, Extents& strides) {
  // Axes of size 1 carry no stride; the rest is grouped into runs that are contiguous in memory.
  Extents old_shape, old_strides;
  for (int axis = 0; axis < source.shape.rank; ++axis) {
    if (source.shape[axis] == 1) continue;
    old_shape.push(source.shape[axis]);
    old_strides.push(source.strides[axis]);
  }
  strides = Extents{};
  strides.rank = shape.rank;
  int from = 0;
  for (int to = 0; to < shape.rank;) {
    if (shape[to] == 1) {
      strides[to++] = 0;
      continue;
    }
    if (from >= old_shape.rank) return false;
    // Grow both sides until their products agree.
    int from_end = from + 1, to_end = to + 1;
    std::int64_t old_size = old_shape[from], new_size = shape[to];
    while (old_size != new_size) {
      if (old_size < new_size) {
        if (from_end >= old_shape.rank) return false;
        if (old_strides[from_end - 1] != old_strides[from_end] * old_shape[from_end]) return false;
        old_size *= old_shape[from_end++];
      } else {
        if (to_end >= shape.rank) return false;
        new_size *= shape[to_end++];
      }
    }
    std::int64_t step = old_strides[from_end - 1];
    for (int axis = to_end - 1; axis >= to; --axis) {
      strides[axis] = step;
      step *= shape[axis];
    }
    from = from_end;
    to = to_end;
  }
  return true;
}

Operand swapped(const Operand& operand) {
  Operand turned = operand;
  const int last = operand.shape.rank - 1;
  std::swap(turned.shape[last], turned.shape[last - 1]);
  std::swap(turned.strides[last], turned.strides[last - 1]);
  return turned;
}

Operand as_matrix(const Operand& vector, bool row) {
  Operand matrix = vector;
  matrix.shape = Extents{};
  matrix.strides = Extents{};
  if (row) matrix.shape.push(1), matrix.strides.push(0);
  matrix.shape.push(vector.shape[0]), matrix.strides.push(vector.strides[0]);
  if (!row) matrix.shape.push(1), matrix.strides.push(0);
  return matrix;
}

}  // namespace aneval::emulator
