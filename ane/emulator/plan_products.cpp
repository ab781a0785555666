// The planner's matmul and conv: operands as matrices, filters as views where they lie in one.
#include <algorithm>
#include <optional>
#include <utility>

#include "ane/emulator/operand.h"
#include "ane/emulator/plan_eight_bits.h"
#include "ane/emulator/planner.h"

namespace aneval::emulator {

void Planner::plan_matmul(const mil::Operation& operation, const mil::Arguments& arguments) {
  Operand x = value(operation, "x"), y = value(operation, "y");
  if (x.shape.rank == 1)
    x = as_matrix(x, true);
  else if (arguments.boolean("transpose_x", false))
    x = swapped(x);
  if (y.shape.rank == 1)
    y = as_matrix(y, false);
  else if (arguments.boolean("transpose_y", false))
    y = swapped(y);

  const Operand out = new_buffer(operation.type, operation.location);
  const std::int64_t m = x.shape[x.shape.rank - 2], k = x.shape[x.shape.rank - 1], n = y.shape[y.shape.rank - 1];
  const int rank = std::max({x.shape.rank, y.shape.rank, 3});
  Extents batch;  // leading axes of the result
  for (int axis = 0; axis + 2 < rank; ++axis) {
    const auto size_at = [&](const Operand& operand) {
      const int at = axis - (rank - operand.shape.rank);
      return at < 0 ? std::int64_t{1} : operand.shape[at];
    };
    batch.push(std::max(size_at(x), size_at(y)));
  }
  const auto with_matrix = [&](std::int64_t rows, std::int64_t cols) {
    Extents shape = batch;
    shape.push(rows);
    shape.push(cols);
    return shape;
  };
  const Extents x_shape = with_matrix(m, k), y_shape = with_matrix(k, n), out_shape = with_matrix(m, n);
  Operand result = out;
  result.shape = out_shape;
  result.strides = contiguous_strides(out_shape);
  // broadcast_to zeroes the strides of axes of size 1: harmless for the matrix axes too, they have one element.
  std::vector<Operand> inputs = {broadcast_to(x, x_shape), broadcast_to(y, y_shape)};
  auto integers = integer_product(inputs, {rank - 2, rank - 1}, dequantized_);
  emit(operation, StepKind::matmul, Function::none, std::move(inputs), result);
  plan_.steps.back().integers = std::move(integers);
  values_[operation.result] = out;
}

Operand Planner::filters(Operand weight, const mil::Operation& operation) {
  const std::int64_t taps = weight.shape[1] * weight.shape[2] * weight.shape[3];
  const Extents rows = extents_of({weight.shape[0], taps});
  Extents strides;
  if (!reshaped_strides(weight, rows, strides)) {
    weight = moved(StepKind::copy, weight, operation.result, operation.location);
    strides = contiguous_strides(rows);
  }
  const std::int64_t step = strides[1], row = weight.shape[3] * step;
  weight.strides = extents_of({strides[0], weight.shape[2] * row, row, step});
  return weight;
}

void Planner::plan_conv(const mil::Operation& operation, const mil::Arguments& arguments) {
  const Operand x = value(operation, "x");
  if (x.shape.rank != 4)
    fail(operation.location, "conv of a tensor of rank " + std::to_string(x.shape.rank),
         "the emulator runs conv on [N, C, H, W]");
  const Operand weight = filters(value(operation, "weight"), operation);
  ConvParameters conv;
  const auto read_pair = [&](std::string_view key, std::int64_t* target) {
    if (!arguments.has(key)) return;
    const auto values = arguments.ints(key);
    target[0] = values.at(0);
    target[1] = values.at(1);
  };
  read_pair("strides", conv.stride);
  read_pair("dilations", conv.dilation);
  conv.groups = arguments.integer("groups", 1);
  const std::string pad_type = arguments.has("pad_type") ? arguments.string("pad_type") : "valid";
  const Operand out = new_buffer(operation.type, operation.location);
  for (int i = 0; i < 2; ++i) {
    if (pad_type == "custom" && arguments.has("pad")) {
      conv.pad_before[i] = arguments.ints("pad").at(2 * static_cast<std::size_t>(i));
    } else if (pad_type != "valid" && pad_type != "custom") {
      // same, same_lower: the total that the output's size needs, the odd one behind (before for same_lower).
      const std::int64_t span = (weight.shape[2 + i] - 1) * conv.dilation[i] + 1;
      const std::int64_t total =
          std::max<std::int64_t>(0, (out.shape[2 + i] - 1) * conv.stride[i] + span - x.shape[2 + i]);
      conv.pad_before[i] = pad_type == "same_lower" ? (total + 1) / 2 : total / 2;
    }
  }
  std::vector<Operand> inputs = {x, weight};
  // A conv is weight·patches: the weight's scales are those of rows. Groups and biases of 8-bit products are unknown.
  std::optional<IntegerProduct> integers;
  if (arguments.has("bias"))
    inputs.push_back(value(operation, "bias"));
  else if (conv.groups == 1)
    integers = integer_product(inputs, {1, 0}, dequantized_);
  if (integers) std::swap(integers->row_scale, integers->column_scale);
  if (integers && integers->column_scale.size() != 1) {  // one scale for each channel of x: they vary along the sum
    inputs = {x, weight};
    integers.reset();
  }
  emit(operation, StepKind::conv, Function::none, std::move(inputs), out, 0, conv);
  plan_.steps.back().integers = std::move(integers);
  values_[operation.result] = out;
}

}  // namespace aneval::emulator
