// Changes a built program after the fact: constants, arguments, weight files. For the defect catalogue, which needs
// programs that are wrong in one place and right in all others.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ane/mil/builder.h"

namespace aneval::validate {

class ProgramEdit {
 public:
  explicit ProgramEdit(mil::BuiltProgram program) : program_(std::move(program)) {}

  /// The fp16 scalar constant `id` becomes another number; whoever asks for its exact value is told the new one.
  void set_scalar(std::string_view id, double value);
  /// The numbers of the weight file constant `id`, changed in place by `change`.
  void change_weights(std::string_view id, const std::function<void(std::span<double>)>& change);
  /// Scales, zero point and axis of an 8-bit constant; who asks for its exact values is told what they become.
  struct EightBits {
    std::vector<double> scales;
    double zero_point = 0;
    std::int64_t axis = 0;
  };
  void change_eight_bits(std::string_view id, const std::function<void(EightBits&)>& change);
  /// The 8-bit constants of the program, in its order.
  std::vector<std::string> eight_bit_constants() const;
  /// Argument `key` of the operation with that result names another value.
  void set_argument(std::string_view result, std::string_view key, std::string_view value);
  /// Argument `key` of the operation becomes a constant of the same type with other numbers.
  void set_constant_argument(std::string_view result, std::string_view key, std::vector<double> numbers);
  /// The number that argument `key` of the operation names, a scalar constant.
  double number(std::string_view result, std::string_view key);
  /// Every use of value `from` by operations that `chosen` picks becomes a use of `to`.
  void replace_uses(std::string_view from, std::string_view to,
                    const std::function<bool(const mil::Operation&)>& chosen);
  void set_type(std::string_view result, mil::Shape shape);

  /// The program with its text printed anew.
  mil::BuiltProgram finish();

 private:
  mil::Operation& operation(std::string_view result);
  mil::Argument& argument(std::string_view result, std::string_view key);

  mil::BuiltProgram program_;
};

}  // namespace aneval::validate
