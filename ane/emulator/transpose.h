// Planes of a tensor whose rows become columns, for elements of any kind; floats through Highway.
#pragma once

#include <algorithm>
#include <cstdint>

namespace aneval::emulator {

/// to[r·row_step + c] = from[r + c·column_step] for r < rows, c < columns.
template <class T>
void transpose(const T* from, std::int64_t rows, std::int64_t columns, std::int64_t column_step, T* to,
               std::int64_t row_step) {
  constexpr std::int64_t kTile = 8;  // both sides of a tile stay in the first-level cache
  for (std::int64_t c = 0; c < columns; c += kTile)
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t i = c; i < std::min(columns, c + kTile); ++i) to[r * row_step + i] = from[r + i * column_step];
}
void transpose(const float* from, std::int64_t rows, std::int64_t columns, std::int64_t column_step, float* to,
               std::int64_t row_step);

}  // namespace aneval::emulator
