// MIL text out of a program, in both dialects, as Core ML's compiler writes it.
#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "ane/mil/lexer.h"
#include "ane/mil/text.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

class Printer {
 public:
  explicit Printer(Dialect dialect) : legacy_(dialect == Dialect::legacy) {}

  std::string program(const Program& program) {
    put("program({})\n", version(program.version));
    put("[buildInfo = dict<{0}, {0}>({{", type({DType::string, {}}));
    std::string_view separator = "";
    for (const auto& [key, value] : program.build_info) {
      put("{}{{{}, {}}}", separator, escape(key), escape(value));
      separator = ", ";
    }
    put("}})]\n{{\n");
    for (const Function& each : program.functions) function(each);
    put("}}\n");
    return std::move(out_);
  }

 private:
  template <class... Values>
  void put(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Values>(values)...);
  }

  std::string version(const std::string& version) const {
    return (version == "1.0") == legacy_ ? version : legacy_ ? "1.0" : "1.3";
  }

  std::string opset(const std::string& opset) const {
    return (opset == "ios15" || opset == "ios16") == legacy_ ? opset : legacy_ ? "ios16" : "ios18";
  }

  std::string type(const TensorType& type) const {
    if (!legacy_ || !type.shape.empty()) return type_text(type);
    return fmt::format("tensor<{}, []>", dtype_name(type.dtype));
  }

  void number(double value, DType dtype) {
    if (dtype == DType::boolean)
      put("{}", value != 0 ? "true" : "false");
    else if (dtype == DType::fp16 || dtype == DType::fp32)
      put("{:a}", value);
    else if (value == std::trunc(value) && std::fabs(value) <= 0x1p53)
      put("{}", static_cast<std::int64_t>(value));
    else
      put("{}", value);  // no integer: the checker says so, and the text keeps what it says
  }

  void literal(const Literal& literal) {
    put("{}(", type(literal.type));
    if (const auto* text = std::get_if<std::string>(&literal.value)) {
      put("{}", escape(*text));
    } else if (const auto* blob = std::get_if<BlobFile>(&literal.value)) {
      put("BLOBFILE(path = {}({}), offset = {}({}))", type({DType::string, {}}), escape(blob->path),
          type({DType::uint64, {}}), blob->offset);
    } else {
      const auto& values = std::get<std::vector<double>>(literal.value);
      const bool list = !literal.type.shape.empty() || values.size() != 1;
      if (list) put("[");
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (i != 0) put(", ");
        number(values[i], literal.type.dtype);
      }
      if (list) put("]");
    }
    put(")");
  }

  void operation(const Operation& operation) {
    put("        {} {} = {}(", type(operation.type), operation.result, operation.op);
    std::string_view separator = "";
    for (const Argument& argument : operation.arguments) {
      put("{}{} = ", separator, argument.key);
      const std::string values = fmt::format("{}", fmt::join(argument.values, ", "));
      put("{}", argument.tuple ? "(" + values + ")" : values);
      separator = ", ";
    }
    put(")[");
    separator = "";
    for (const Attribute& attribute : operation.attributes) {
      put("{}{} = ", separator, attribute.key);
      literal(attribute.literal);
      separator = ", ";
    }
    put("];\n");
  }

  void function(const Function& function) {
    put("    func {}<{}>(", function.name, opset(function.opset));
    std::string_view separator = "";
    for (const Parameter& parameter : function.parameters) {
      put("{}{} {}", separator, type(parameter.type), parameter.name);
      separator = ", ";
    }
    put(") {{\n");
    for (const Operation& each : function.operations) operation(each);
    put("    }} -> ({});\n", fmt::join(function.results, ", "));
  }

  bool legacy_;
  std::string out_;
};

}  // namespace

std::string print(const Program& program, Dialect dialect) { return Printer(dialect).program(program); }

}  // namespace aneval::mil
