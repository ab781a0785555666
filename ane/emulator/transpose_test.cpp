#include "ane/emulator/transpose.h"

#include <gtest/gtest.h>

#include <vector>

#include "ane/every_target.h"

namespace aneval::emulator {
namespace {

/// Rows and columns around the sizes of blocks and bands, with room between rows that must stay as it is.
template <class T>
void expect_transposed() {
  for (const std::int64_t rows : {1, 3, 4, 63, 65, 130}) {
    for (const std::int64_t columns : {1, 2, 4, 9, 31}) {
      const std::int64_t column_step = rows + 2, row_step = columns + 3;
      std::vector<T> from(static_cast<std::size_t>(columns * column_step));
      for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<T>(i);
      std::vector<T> to(static_cast<std::size_t>(rows * row_step), static_cast<T>(-1));
      transpose(from.data(), rows, columns, column_step, to.data(), row_step);
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < row_step; ++c)
          ASSERT_EQ(to[static_cast<std::size_t>(r * row_step + c)],
                    c < columns ? static_cast<T>(r + c * column_step) : static_cast<T>(-1))
              << rows << " x " << columns << " at " << r << ", " << c;
    }
  }
}

TEST(Transpose, FloatsOnEveryTarget) { on_every_target(expect_transposed<float>); }
TEST(Transpose, AnyOtherElement) { expect_transposed<double>(); }

}  // namespace
}  // namespace aneval::emulator
