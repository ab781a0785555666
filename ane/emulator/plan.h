// A program made ready to run: constants resolved, shapes and strides fixed, buffers planned. Independent of what the
// elements are, so that fp16 values, error shadows and magnitude statistics all run the same plan.
//
// Slices, transposes and most reshapes are views on other buffers and cost nothing; the plan is made once at load, and
// an evaluation allocates nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ane/emulator/eight_bits.h"
#include "ane/emulator/operand.h"
#include "ane/mil/program.h"
#include "ane/weight_blob.h"

namespace aneval::emulator {

enum class StepKind { copy, slice, unary, binary, reduce, softmax, matmul, conv };

enum class Function {
  // unary
  cast,
  sigmoid,
  tanh,
  exp,
  sqrt,
  rsqrt,
  square,
  silu,
  relu,
  quantize,    // to integers q − zero, rounded and clipped to the type of the output
  dequantize,  // scale times such integers
  // binary
  add,
  sub,
  mul,
  real_div,
  maximum,
  minimum,
  pow,
  // reduce
  sum,
  mean,
  max,
  none
};

/// Two spatial axes: operands are x [N, C, H, W], weight [O, C/groups, kh, kw], optional bias [O], out [N, O, H', W'].
/// The taps of a filter lie one step of the weight's last axis apart, so that filters are the rows of a matrix.
struct ConvParameters {
  std::int64_t stride[2] = {1, 1}, dilation[2] = {1, 1}, pad_before[2] = {0, 0}, groups = 1;
};

/// One operation that computes. Operands are normalised when the plan is made:
/// binary: inputs broadcast to the output's shape (stride 0) · matmul: transposes and batch broadcasting are strides,
/// all of rank ≥ 3, [batch…, M, K]·[batch…, K, N] · softmax: the axis is last · reduce: the axes reduced are the last
/// `reduced` ones of the input, and the output has the shape of the others.
struct Step {
  StepKind kind = StepKind::copy;
  Function function = Function::none;
  std::vector<Operand> inputs;
  Operand output;
  /// Binary: one operand is this function of the other, inputs[argument]; cast when both are the same. Who follows
  /// errors must know that they come from one place.
  Function related = Function::none;
  std::size_t argument = 0;
  int reduced = 0;
  ConvParameters conv;
  Units units;                             // of quantize and dequantize, by the element of the output
  std::optional<IntegerProduct> integers;  // matmul and conv: operands are integers
  std::string result;                      // SSA identifier, for messages and statistics
  mil::Location location;
};

/// A constant as the program stores it, widened to double.
struct PlanConstant {
  std::string identifier;
  Operand operand;
  std::vector<double> values;
  bool from_file = false;  // a weight file's, not a literal of the text
  /// Of an 8-bit constant: `values` are integers q − zero of these units, or the fp16 numbers that they are worth.
  std::optional<Units> units = {};
  bool integers = false;

  /// What one unit of element i of `values` is worth.
  double unit(std::int64_t i) const { return integers ? units->scale_of(i) : 1.0; }
};

/// A slice with a non-zero begin on the last axis: what some chips multiply by 16 and divide again.
struct LastAxisSlice {
  std::string result;  // SSA identifier
  Operand operand;     // what is taken, before the gain
};

struct PlanValue {
  std::string name;
  Operand operand;
};

struct Plan {
  std::string file;                   // of the program, for messages
  std::vector<std::int64_t> buffers;  // elements of each buffer
  std::vector<Step> steps;
  std::vector<PlanConstant> constants;
  std::vector<LastAxisSlice> slices;
  std::vector<PlanValue> inputs, outputs;  // in the order of the signature; contiguous
};

/// Slices are views; with `slice_gain` those with a non-zero begin on the last axis are steps of their own, because
/// they change values. Errors: an operation that the emulator has no rule for, a rank above kMaxRank, an int32 tensor
/// and the like, each with the operation's place. The program has passed the checker.
Plan make_plan(const mil::Program& program, const ane::WeightFiles& weights, bool slice_gain = false);

}  // namespace aneval::emulator
