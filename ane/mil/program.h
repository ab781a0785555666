// A MIL program as a typed graph: what the builder makes, the printer writes, the parser reads, the checker judges and
// the emulator runs. Operations are kept in the order of the text; a value is known by its SSA identifier only (the
// `name=` attribute of the text differs from it and may collide).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace aneval::mil {

enum class DType { fp16, fp32, int32, int8, uint8, uint64, boolean, string };

std::string_view dtype_name(DType dtype);  // "fp16", …, "bool", "string"
std::optional<DType> parse_dtype(std::string_view name);
/// Bytes per element (1 for bool; 0 for string).
std::int64_t dtype_bytes(DType dtype);

using Shape = std::vector<std::int64_t>;

/// No tensor has more elements: counts and byte sizes of legal shapes never overflow 64 bits.
inline constexpr std::int64_t kMaxElements = std::int64_t{1} << 40;

/// The number of elements; empty when a dimension is not positive or the product exceeds kMaxElements.
std::optional<std::int64_t> element_count(const Shape& shape);

/// A scalar has rank 0: `fp16` (modern dialect) and `tensor<fp16, []>` (legacy) are the same type.
struct TensorType {
  DType dtype = DType::fp16;
  Shape shape;

  /// Errors: a dimension that is not positive, more than kMaxElements.
  std::int64_t elements() const;
  bool operator==(const TensorType&) const = default;
};

std::string type_text(const TensorType& type);  // "tensor<fp16, [1, 768, 1, 256]>", "fp16"

/// Where something stands in its text, 1-based, columns in bytes; 0 when it was built, not parsed.
struct Location {
  int line = 0, column = 0;
};

/// Numbers held in a weight file: `offset` is that of the blob's metadata.
struct BlobFile {
  std::string path;
  std::uint64_t offset = 0;
  bool operator==(const BlobFile&) const = default;
};

/// A literal. Numbers of any dtype are held as double, which is exact for fp16, fp32, int32 and smaller; the parser and
/// the builder round to the dtype, so that an fp16 literal holds an fp16 number. bool is 0 or 1.
struct Literal {
  TensorType type;
  std::variant<std::vector<double>, std::string, BlobFile> value;
  bool operator==(const Literal&) const = default;
};

/// A named argument: identifiers of the values given. Only `values` of concat is a tuple.
struct Argument {
  std::string key;
  std::vector<std::string> values;
  bool tuple = false;
  Location location;
};

/// An attribute in the brackets after an operation: `name`, `val`, …
struct Attribute {
  std::string key;
  Literal literal;
  Location location;
};

struct Operation {
  std::string op;      // "matmul"
  std::string result;  // SSA identifier
  TensorType type;     // declared type of the result
  std::vector<Argument> arguments;
  std::vector<Attribute> attributes;
  Location location;  // of the statement's first token

  const Argument* find(std::string_view key) const;
  const Attribute* attribute(std::string_view key) const;
};

struct Parameter {
  std::string name;
  TensorType type;
  Location location;
};

struct Function {
  std::string name = "main";
  std::string opset = "ios18";
  std::vector<Parameter> parameters;
  std::vector<Operation> operations;
  std::vector<std::string> results;
  Location location;
  Location results_location;

  const Operation* find(std::string_view identifier) const;
};

struct Program {
  std::string version = "1.3";
  std::map<std::string, std::string> build_info;
  std::vector<Function> functions;
  std::string file = "<built>";  // named in messages

  /// The function that runs: "main", or the only one. Errors: neither.
  const Function& main() const;
};

/// 2·M·N·K summed over the matmul and conv operations of a function, with their batches; multiplications of padding
/// count too. Takes a function that check() accepts: throws InferenceError (ops.h) otherwise.
double matmul_flops(const Function& function);

}  // namespace aneval::mil
