// 8-bit tensors in a plan: what their numbers are worth, and where a product multiplies integers.
//
// An engine that has 8-bit products takes them where quantize, dequantize and a constexpr_affine_dequantize constant
// meet in a conv (quantize → dequantize → conv: the pattern that was measured), so the emulator looks through the
// dequantizations in front of a product: when both operands come from 8 bits, with scales that do not vary along the
// sum, the integers are multiplied, added in 32 bits, and scaled once at the end. Otherwise dequantized numbers are
// fp16 numbers like any other, and so is a weight of 8 bits alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ane/emulator/operand.h"

namespace aneval::emulator {

/// Number = scale·(q − zero): one of each for a tensor, or one for each index of an axis. Of element i in row-major
/// order that index is (i / inner) % scale.size().
struct Units {
  std::vector<double> scale = {1}, zero = {0};
  std::int64_t inner = 1;

  std::size_t index(std::int64_t element) const { return static_cast<std::size_t>(element / inner) % scale.size(); }
  double scale_of(std::int64_t element) const { return scale[index(element)]; }
  double zero_of(std::int64_t element) const { return zero[zero.size() == 1 ? 0 : index(element)]; }
};

/// A product of integers q − zero: what the sum is multiplied with, by row of x and by column of y; one number each
/// where all are equal.
struct IntegerProduct {
  std::vector<double> row_scale, column_scale;

  double scale(std::int64_t row, std::int64_t column) const {
    return row_scale[row_scale.size() == 1 ? 0 : static_cast<std::size_t>(row)] *
           column_scale[column_scale.size() == 1 ? 0 : static_cast<std::size_t>(column)];
  }
};

/// What 32 bits hold: a sum of 2^31 is infinite, one of 2^30 is exact (measured on an M6).
inline constexpr double kIntegerLimit = 0x1p31;

/// Where a buffer's numbers come from 8 bits: a buffer of the integers q − zero that lies as it does.
struct Dequantized {
  int integers = -1;
  Units units;
};

/// The scales by line of an operand of a product (rows of x, columns of y); `line` and the other axes but the batches
/// before it run along the sum. Empty when a line has several.
std::optional<std::vector<double>> scales_by_line(const Operand& operand, const Units& units, int line);

}  // namespace aneval::emulator
