// The planner: walks a program once, in order, and gives every value an operand. plan.cpp has the walk and what moves
// and reduces tensors, plan_products.cpp matmul and conv, plan_eight_bits.cpp what 8-bit numbers need.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ane/emulator/eight_bits.h"
#include "ane/emulator/plan.h"
#include "ane/mil/ops.h"

namespace aneval::emulator {

class Planner {
 public:
  Planner(const mil::Program& program, const ane::WeightFiles& weights, bool slice_gain)
      : program_(program), function_(program.main()), weights_(weights), slice_gain_(slice_gain) {}

  Plan run();

 private:
  [[noreturn]] void fail(const mil::Location& location, const std::string& reason, const std::string& remedy) const;
  void require_float(const mil::TensorType& type, const mil::Location& location, const std::string& what) const;
  Operand new_buffer(const mil::TensorType& type, const mil::Location& location);
  /// The operand of an argument; constants become buffers when they are first used as data.
  Operand value(const mil::Operation& operation, std::string_view key, std::size_t index = 0);
  /// A contiguous tensor with the source's elements, by a step of that kind.
  Operand moved(StepKind kind, const Operand& source, const std::string& result, const mil::Location& location);
  void emit(const mil::Operation& operation, StepKind kind, Function function, std::vector<Operand> inputs,
            Operand output, int reduced = 0, const ConvParameters& conv = {});
  /// Finds out whether one operand of a binary step is a function of the other.
  void relate(Step& step) const;

  void plan_operation(const mil::Operation& operation);
  bool plan_view(const mil::Operation& operation, const mil::Arguments& arguments);
  void plan_reduce(const mil::Operation& operation, const mil::Arguments& arguments, Function function);
  void plan_softmax(const mil::Operation& operation, const mil::Arguments& arguments);
  void plan_concat(const mil::Operation& operation, const mil::Arguments& arguments);

  void plan_matmul(const mil::Operation& operation, const mil::Arguments& arguments);
  /// A convolution's weight with the taps of each filter one step apart: a view of it where there is one (slices of a
  /// packed input, transposed or not, are), else a copy.
  Operand filters(Operand weight, const mil::Operation& operation);
  void plan_conv(const mil::Operation& operation, const mil::Arguments& arguments);

  Units units(const mil::Operation& operation, const mil::Arguments& arguments) const;
  void plan_quantization(const mil::Operation& operation, const mil::Arguments& arguments);
  /// An 8-bit constant as fp16 numbers (nearest, ties to even, as whoever compiles it may compute them) and, for
  /// products of integers, as it is; drop_unread() leaves what is needed.
  void plan_eight_bit_constant(const mil::Operation& operation, const mil::Arguments& arguments);

  const mil::Program& program_;
  const mil::Function& function_;
  const ane::WeightFiles& weights_;
  const bool slice_gain_;
  Plan plan_;
  mil::Scope scope_;
  std::unordered_map<std::string, Operand> values_;
  std::unordered_map<int, Dequantized> dequantized_;  // by buffer
};

}  // namespace aneval::emulator
