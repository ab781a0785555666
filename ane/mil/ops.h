// The operations this project knows: their arguments and how the type of the result follows from them. One row per
// operation; the builder infers with it, the checker compares declared types with it, the emulator executes its rows.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ane/mil/program.h"

namespace aneval::mil {

/// Why an operation's arguments are wrong; the caller adds the place. `key` is the argument concerned, or empty.
struct InferenceError : std::runtime_error {
  InferenceError(std::string argument, const std::string& message)
      : std::runtime_error(message), key(std::move(argument)) {}
  std::string key;
};

/// An argument that has to be a constant written in the text, and is not.
struct NonConstantArgument : InferenceError {
  using InferenceError::InferenceError;
};

/// An argument as inference sees it: its type, and its literal when the value is a constant.
struct ArgumentInfo {
  TensorType type;
  const Literal* literal = nullptr;
};

/// Arguments by key; a tuple argument has several entries.
class Arguments {
 public:
  void add(std::string key, std::vector<ArgumentInfo> infos);
  bool has(std::string_view key) const;
  const ArgumentInfo& one(std::string_view key) const;  // throws InferenceError when missing
  const std::vector<ArgumentInfo>& all(std::string_view key) const;
  /// Values of constant arguments; throw InferenceError when the argument is not constant.
  std::vector<std::int64_t> ints(std::string_view key) const;
  std::vector<bool> booleans(std::string_view key) const;
  std::int64_t integer(std::string_view key, std::optional<std::int64_t> fallback = {}) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string string(std::string_view key) const;

 private:
  std::vector<std::pair<std::string, std::vector<ArgumentInfo>>> entries_;
};

/// One row of the table. To add an operation: its inference function in ops_*.cpp, its row in ops.cpp.
struct OpDefinition {
  std::string_view name;
  std::vector<std::string_view> required, optional;
  /// The type of the result; throws InferenceError. Never a shape beyond kMaxElements.
  std::function<TensorType(const Arguments&)> infer;
  /// const and constexpr_*: the data stand in the attributes, and there are no arguments.
  bool from_attributes = false;
  /// concat: the argument `values` is a tuple. All others take one value each.
  std::string_view tuple_key = {};
};

const std::vector<OpDefinition>& op_definitions();
const OpDefinition* find_op(std::string_view name);

/// Numpy broadcasting; throws InferenceError when the shapes do not fit.
Shape broadcast(const Shape& a, const Shape& b);

/// The values that a function's identifiers stand for. Refers to the strings and literals of the function it was filled
/// from, which has to outlive it.
class Scope {
 public:
  /// False when the identifier was taken; it then keeps its first meaning.
  bool add(const Parameter& parameter);
  bool add(const Operation& operation);
  /// Null when undefined.
  const ArgumentInfo* find(std::string_view identifier) const;

 private:
  std::unordered_map<std::string_view, ArgumentInfo> values_;
};

/// The arguments of `operation` (its attributes for an operation that keeps its data there). Throws InferenceError for
/// an undefined identifier.
Arguments resolve_arguments(const Scope& scope, const Operation& operation);
/// The same for a single operation: parameters and earlier operations of `function` are its scope. Linear in the
/// function's length; whoever walks a whole function fills a Scope.
Arguments resolve_arguments(const Function& function, const Operation& operation);

}  // namespace aneval::mil
