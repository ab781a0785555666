// The operations this project knows: their arguments and how the type of the result follows from them. One row per
// operation; the builder infers with it, the checker compares declared types with it, the emulator executes its rows.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ane/mil/program.h"

namespace aneval::mil {

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
  const ArgumentInfo& one(std::string_view key) const;                 // throws InferenceError when missing
  const std::vector<ArgumentInfo>& all(std::string_view key) const;
  /// Values of constant arguments; throw InferenceError when the argument is not constant.
  std::vector<std::int64_t> ints(std::string_view key) const;
  std::int64_t integer(std::string_view key, std::optional<std::int64_t> fallback = {}) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string string(std::string_view key) const;

 private:
  std::vector<std::pair<std::string, std::vector<ArgumentInfo>>> entries_;
};

/// Why an operation's arguments are wrong; the caller adds the place. `key` is the argument concerned, or empty.
struct InferenceError : std::runtime_error {
  InferenceError(std::string argument, const std::string& message)
      : std::runtime_error(message), key(std::move(argument)) {}
  std::string key;
};

struct OpDefinition {
  std::string_view name;
  std::vector<std::string_view> required, optional;
  std::function<TensorType(const Arguments&)> infer;
};

const std::vector<OpDefinition>& op_definitions();
const OpDefinition* find_op(std::string_view name);

/// Numpy broadcasting; throws InferenceError when the shapes do not fit.
Shape broadcast(const Shape& a, const Shape& b);

/// The arguments of `operation` resolved within `function` (parameters and earlier operations).
Arguments resolve_arguments(const Function& function, const Operation& operation);

}  // namespace aneval::mil
