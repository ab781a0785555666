// Strided views and the loops over them, without allocation: what every arithmetic of the emulator works on.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "common/thread_pool.h"

namespace aneval::emulator {

inline constexpr int kMaxRank = 8;

/// Up to kMaxRank sizes or strides.
struct Extents {
  int rank = 0;
  std::array<std::int64_t, kMaxRank> at{};

  std::int64_t& operator[](int i) { return at[static_cast<std::size_t>(i)]; }
  std::int64_t operator[](int i) const { return at[static_cast<std::size_t>(i)]; }
  std::int64_t product() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= (*this)[i];
    return n;
  }
  void push(std::int64_t value) { at[static_cast<std::size_t>(rank++)] = value; }
};

/// Strides of a contiguous tensor of that shape.
inline Extents contiguous_strides(const Extents& shape) {
  Extents strides;
  strides.rank = shape.rank;
  std::int64_t step = 1;
  for (int i = shape.rank - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

/// Elements of type T in memory: element (i, j, …) lies at data[i·strides[0] + j·strides[1] + …].
template <class T>
struct TensorView {
  T* data = nullptr;
  Extents shape, strides;

  /// The matrix of the last two axes at batch index `batch` (counted over all leading axes).
  T* matrix(std::int64_t batch) const {
    T* at = data;
    for (int axis = shape.rank - 3; axis >= 0; --axis) {
      at += (batch % shape[axis]) * strides[axis];
      batch /= shape[axis];
    }
    return at;
  }
  std::int64_t batches() const {
    std::int64_t n = 1;
    for (int axis = 0; axis + 2 < shape.rank; ++axis) n *= shape[axis];
    return n;
  }
};

/// One run of elements of N operands: pointers' element offsets and steps.
template <std::size_t N>
struct Row {
  std::array<std::int64_t, N> offset, step;
  std::int64_t count;
};

/// A loop nest over one shape for N operands with their own strides; adjacent axes that all operands walk alike are
/// merged, so that contiguous operands make one long row.
template <std::size_t N>
class RowLoop {
 public:
  RowLoop(const Extents& shape, const std::array<const Extents*, N>& strides) {
    for (int axis = 0; axis < shape.rank; ++axis) {
      if (shape[axis] == 1) continue;
      bool merge = shape_.rank > 0;
      for (std::size_t n = 0; merge && n < N; ++n)
        merge = strides_[n][shape_.rank - 1] == (*strides[n])[axis] * shape[axis];
      if (merge) {
        shape_[shape_.rank - 1] *= shape[axis];
        for (std::size_t n = 0; n < N; ++n) strides_[n][shape_.rank - 1] = (*strides[n])[axis];
      } else {
        shape_.push(shape[axis]);
        for (std::size_t n = 0; n < N; ++n) strides_[n].push((*strides[n])[axis]);
      }
    }
    if (shape_.rank == 0) {
      shape_.push(1);
      for (std::size_t n = 0; n < N; ++n) strides_[n].push(0);
    }
    count_ = shape_[shape_.rank - 1];
    rows_ = 1;
    for (int axis = 0; axis + 1 < shape_.rank; ++axis) rows_ *= shape_[axis];
  }

  std::int64_t rows() const { return rows_; }
  std::int64_t count() const { return count_; }

  Row<N> row(std::int64_t index) const {
    Row<N> row;
    row.count = count_;
    for (std::size_t n = 0; n < N; ++n) {
      row.offset[n] = 0;
      row.step[n] = strides_[n][shape_.rank - 1];
    }
    for (int axis = shape_.rank - 2; axis >= 0; --axis) {
      const std::int64_t at = index % shape_[axis];
      index /= shape_[axis];
      for (std::size_t n = 0; n < N; ++n) row.offset[n] += at * strides_[n][axis];
    }
    return row;
  }

 private:
  Extents shape_;
  std::array<Extents, N> strides_;
  std::int64_t rows_ = 1, count_ = 1;
};

/// Calls body(row) for every row, cut into pieces of at most `piece` elements, on the threads of the pool.
/// A body sees rows of a fixed size whatever the number of threads. `cost`: what an element of a row stands for, when
/// it is more than one (the terms of a sum, say); threads are given some 32768 at a time.
template <std::size_t N, class Body>
void for_each_row(ThreadPool* pool, const RowLoop<N>& loop, std::int64_t piece, const Body& body,
                  std::int64_t cost = 1) {
  if (loop.rows() * loop.count() == 0) return;
  const std::int64_t pieces = (loop.count() + piece - 1) / piece;
  const std::int64_t work = std::min(piece, loop.count()) * std::max<std::int64_t>(1, cost);
  const std::int64_t chunk = std::max<std::int64_t>(1, 32768 / work);
  parallel_for(pool, loop.rows() * pieces, chunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Row<N> row = loop.row(i / pieces);
      const std::int64_t start = (i % pieces) * piece;
      for (std::size_t n = 0; n < N; ++n) row.offset[n] += start * row.step[n];
      row.count = std::min(piece, row.count - start);
      body(row);
    }
  });
}

}  // namespace aneval::emulator
