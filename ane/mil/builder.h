// Writes a program operation by operation; result types are inferred, so that a kernel states shapes once, in its
// layout. Constants keep their exact values beside the fp16 ones: the error analysis needs to know what rounding them
// did.
#pragma once

#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ane/mil/program.h"
#include "ane/weight_blob.h"

namespace aneval::mil {

/// Handle of a value of the function being built.
struct Value {
  std::string id;
  TensorType type;
};

/// The path under which a BLOBFILE value names the weight file of a constant: "@model_path/weights/<identifier>.bin".
std::string weight_path(const std::string& identifier);

/// A finished program: the graph, its text in one dialect, its weight files, and the exact values of its fp16
/// constants by SSA identifier.
struct BuiltProgram {
  Program graph;
  std::string text;
  ane::WeightFiles weights;
  std::map<std::string, std::vector<double>, std::less<>> exact_constants;
};

/// Errors of all functions are input_errors that name the value: arguments that the operation does not take (with the
/// shapes), names that are no identifiers, constants that fp16 cannot hold, a wrong number of values.
class Builder {
 public:
  Builder();

  Value input(std::string_view name, Shape shape, DType dtype = DType::fp16);

  // Constants. Equal scalar and small constants are shared.
  Value scalar(double value, std::string_view name);         // fp16
  Value integer(std::int64_t value, std::string_view name);  // int32, rank 0
  Value ints(std::initializer_list<std::int64_t> values, std::string_view name);
  Value ints(const Shape& values, std::string_view name);
  Value boolean(bool value);
  Value eight_bit_integer(std::int64_t value, std::string_view name);  // int8, rank 0
  Value text(std::string_view value, std::string_view name);
  /// An fp16 tensor in its own weight file `weights/<name>.bin`.
  Value weights(std::string_view name, Shape shape, std::span<const double> exact);
  /// The same from numbers that are fp16 already: these are the exact ones.
  Value weight_bits(std::string_view name, Shape shape, std::span<const ane::half_t> bits);
  /// The same without its numbers: the graph names a weight file that does not exist. For questions that shapes answer.
  Value absent_weights(std::string_view name, Shape shape);
  /// 8-bit numbers q in the weight file and behind them fp16 scales s, one per index of `axis`: an fp16 tensor of q·s
  /// by constexpr_affine_dequantize, zero point 0. `exact`: what was quantized.
  Value eight_bit_weights(std::string_view name, Shape shape, std::int64_t axis, std::span<const std::int8_t> numbers,
                          std::span<const float> scales, std::span<const float> exact);
  /// The same without numbers and scales.
  Value absent_eight_bit_weights(std::string_view name, Shape shape, std::int64_t axis);

  // Operations; `name` is the SSA identifier of the result (made unique when taken).
  Value slice(const Value& x, const Shape& begin, const Shape& size, std::string_view name);
  Value reshape(const Value& x, const Shape& shape, std::string_view name);
  Value transpose(const Value& x, const Shape& perm, std::string_view name);
  Value matmul(const Value& x, const Value& y, bool transpose_x, bool transpose_y, std::string_view name);
  Value add(const Value& x, const Value& y, std::string_view name);
  Value sub(const Value& x, const Value& y, std::string_view name);
  Value mul(const Value& x, const Value& y, std::string_view name);
  Value softmax(const Value& x, std::int64_t axis, std::string_view name);
  Value sigmoid(const Value& x, std::string_view name);
  /// int8 with one scale, zero point 0, ties and range as the device has them; and back to fp16.
  Value quantize(const Value& x, double scale, std::string_view name);
  Value dequantize(const Value& x, double scale, std::string_view name);
  Value reduce_sum(const Value& x, const Shape& axes, bool keep_dims, std::string_view name);
  Value concat(const std::vector<Value>& values, std::int64_t axis, bool interleave, std::string_view name);
  /// Any other operation of the table in ops.h. A repeated key makes a tuple (concat's values).
  Value op(std::string_view op, std::vector<std::pair<std::string, Value>> arguments, std::string_view name);

  /// Ends the function with one result, renames it `result_name` (another value of that name gives way) and prints the
  /// text in the modern dialect. The result is that of an operation. The builder is spent afterwards.
  BuiltProgram finish(const Value& result, std::string_view result_name);

 private:
  std::string unique(std::string_view name);
  Value append(Operation operation);
  Value file_constant(std::string_view name, TensorType type, std::uint64_t offset);
  /// constexpr_affine_dequantize of so many scales; numbers and scales lie at those offsets of its weight file.
  Value affine_dequantize(std::string_view name, Shape shape, std::int64_t axis, std::size_t scales,
                          std::uint64_t data_offset, std::uint64_t scale_offset);
  Value file_constant(std::string_view name, TensorType type, std::span<const ane::half_t> bits,
                      std::vector<double> exact);
  Value constant(Literal literal, std::string_view name, std::string_view sharing_key);
  void rename(std::string from, const std::string& to);

  Function function_;
  ane::WeightFiles weights_;
  std::map<std::string, std::vector<double>, std::less<>> exact_;
  std::unordered_map<std::string, Value> shared_;  // what distinguishes a constant -> its value
  std::unordered_map<std::string, int> used_;      // identifier -> next suffix
};

}  // namespace aneval::mil
