#include "ane/emulator/eight_bits.h"

#include <utility>

namespace aneval::emulator {

std::optional<std::vector<double>> scales_by_line(const Operand& operand, const Units& units, int line) {
  if (units.scale.size() == 1) return units.scale;
  // The line's axis first, all others behind it: each line must meet one scale only.
  Extents shape, strides;
  for (int axis = 0; axis < operand.shape.rank; ++axis) {
    if (axis == line) continue;
    shape.push(operand.shape[axis]);
    strides.push(operand.strides[axis]);
  }
  const RowLoop<1> others(shape, {&strides});
  std::vector<double> scales;
  for (std::int64_t i = 0; i < operand.shape[line]; ++i) {
    const std::int64_t first = operand.offset + i * operand.strides[line];
    const std::size_t index = units.index(first);
    for (std::int64_t r = 0; r < others.rows(); ++r) {
      const Row<1> row = others.row(r);
      for (std::int64_t k = 0; k < row.count; ++k)
        if (units.index(first + row.offset[0] + k * row.step[0]) != index) return std::nullopt;
    }
    scales.push_back(units.scale[index]);
  }
  return scales;
}

}  // namespace aneval::emulator
