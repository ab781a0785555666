// A function as the rules of families see it: values and their producers by identifier, and arguments that may be
// missing. Tolerant where ops.h throws, because rules also look at programs that have errors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ane/mil/ops.h"
#include "ane/mil/program.h"

namespace aneval::mil {

/// Refers to the program, which has to outlive it.
class FunctionView {
 public:
  FunctionView(const Program& program, const Function& function);

  const Program& program() const { return program_; }
  const Function& function() const { return function_; }

  /// Null when undefined. An identifier defined twice keeps its first meaning.
  const ArgumentInfo* value(std::string_view identifier) const { return scope_.find(identifier); }
  /// Null for parameters and undefined identifiers.
  const Operation* producer(std::string_view identifier) const;
  bool is_parameter(std::string_view identifier) const;

  /// The first value of an argument; null when there is none.
  const ArgumentInfo* argument(const Operation& operation, std::string_view key) const;
  const std::string* identifier(const Operation& operation, std::string_view key) const;
  /// Of a constant argument: whole numbers; nothing when it is missing, no constant, or not made of whole numbers.
  std::optional<std::vector<std::int64_t>> integers(const Operation& operation, std::string_view key) const;
  std::optional<std::int64_t> integer(const Operation& operation, std::string_view key) const;
  bool flag(const Operation& operation, std::string_view key) const;  // false unless a constant says true

  /// Whether the value is a constant: const, or constexpr_*.
  bool constant(std::string_view identifier) const;

 private:
  const Program& program_;
  const Function& function_;
  Scope scope_;
  std::unordered_map<std::string_view, const Operation*> producers_;
  std::unordered_map<std::string_view, const Parameter*> parameters_;
};

/// "matmul 'scores'".
std::string named(const Operation& operation);
/// "input 'x'".
std::string named(const Parameter& parameter);

/// Whether the engine holds such tensors: fp16, fp32, int8, uint8. Sizes, axes, flags and names are the compiler's.
bool engine_data(const TensorType& type);

/// Bytes of a packed tensor.
std::int64_t packed_bytes(const TensorType& type);

/// `axis` counted from the front; nothing when it is outside the rank.
std::optional<std::size_t> front_axis(std::int64_t axis, std::size_t rank);

/// The extent that a matmul sums over; nothing when its operands are unknown.
std::optional<std::int64_t> contraction(const FunctionView& view, const Operation& matmul);

}  // namespace aneval::mil
