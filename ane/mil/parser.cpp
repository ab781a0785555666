// The grammar of programs, functions and operations by recursive descent. It nests to a fixed depth, and lists of
// numbers are read in a loop (reader.cpp): no text can exhaust the stack.
#include <fmt/format.h>

#include <utility>

#include "ane/mil/reader.h"
#include "ane/mil/text.h"

namespace aneval::mil {

namespace {

class Parser {
 public:
  Parser(std::string_view text, std::string_view file) : in_(text, file) { program_.file = file; }

  Program program() {
    in_.keyword("program");
    in_.symbol("(");
    const Token version = in_.next();
    if (version.kind != TokenKind::number || !is_version(version.spelling))
      in_.unexpected(version, "a version such as 1.3");
    program_.version = version.spelling;
    in_.symbol(")");
    if (in_.accept("[")) build_info();
    in_.symbol("{");
    while (!in_.is_symbol("}")) function();
    in_.symbol("}");
    if (in_.peek().kind != TokenKind::end) in_.unexpected(in_.peek(), "the end of the text");
    return std::move(program_);
  }

 private:
  static bool is_version(std::string_view spelling) {
    const std::size_t dot = spelling.find('.');
    const auto digits = [](std::string_view part) {
      return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    };
    return dot != std::string_view::npos && digits(spelling.substr(0, dot)) && digits(spelling.substr(dot + 1));
  }

  void build_info() {
    in_.keyword("buildInfo");
    in_.symbol("=");
    in_.keyword("dict");
    in_.symbol("<");
    in_.scalar_of(DType::string);
    in_.symbol(",");
    in_.scalar_of(DType::string);
    in_.symbol(">");
    in_.symbol("(");
    in_.symbol("{");
    for (bool more = !in_.is_symbol("}"); more; more = in_.accept(",")) {
      in_.charge(in_.peek().location);
      in_.symbol("{");
      const Location place = in_.peek().location;
      const std::string key = in_.text("a key in quotes");
      in_.symbol(",");
      if (!program_.build_info.emplace(key, in_.text("a value in quotes")).second)
        in_.fail(place, "the key " + escape(key) + " stands here a second time", "remove one of the two");
      in_.symbol("}");
    }
    in_.symbol("}");
    in_.symbol(")");
    in_.symbol("]");
  }

  void function() {
    Function result;
    result.location = in_.peek().location;
    in_.keyword("func");
    in_.charge(result.location);
    result.name = in_.identifier("the name of a function");
    in_.symbol("<");
    result.opset = in_.identifier("an opset such as ios18");
    in_.symbol(">");
    in_.symbol("(");
    for (bool more = !in_.is_symbol(")"); more; more = in_.accept(",")) {
      Parameter parameter;
      parameter.location = in_.peek().location;
      in_.charge(parameter.location);
      parameter.type = in_.type();
      parameter.name = in_.identifier("the name of a parameter");
      result.parameters.push_back(std::move(parameter));
    }
    in_.symbol(")");
    in_.symbol("{");
    while (!in_.is_symbol("}")) result.operations.push_back(operation());
    in_.symbol("}");
    in_.symbol("->");
    result.results_location = in_.peek().location;
    in_.symbol("(");
    do {
      in_.charge(in_.peek().location);
      result.results.push_back(in_.identifier("the name of a result"));
    } while (in_.accept(","));
    in_.symbol(")");
    in_.symbol(";");
    program_.functions.push_back(std::move(result));
  }

  Operation operation() {
    Operation result;
    result.location = in_.peek().location;
    in_.charge(result.location);
    result.type = in_.type();
    result.result = in_.identifier("the name of a value");
    if (in_.is_symbol(",")) in_.unexpected(in_.peek(), "'='", "operations with several results are not supported");
    in_.symbol("=");
    result.op = in_.identifier("an operation");
    in_.symbol("(");
    for (bool more = !in_.is_symbol(")"); more; more = in_.accept(",")) result.arguments.push_back(argument());
    in_.symbol(")");
    in_.symbol("[");
    for (bool more = !in_.is_symbol("]"); more; more = in_.accept(",")) {
      Attribute attribute;
      attribute.location = in_.peek().location;
      in_.charge(attribute.location);
      attribute.key = in_.identifier("the name of an attribute");
      in_.symbol("=");
      attribute.literal = in_.literal();
      result.attributes.push_back(std::move(attribute));
    }
    in_.symbol("]");
    in_.symbol(";");
    return result;
  }

  Argument argument() {
    Argument result;
    result.location = in_.peek().location;
    in_.charge(result.location);
    result.key = in_.identifier("the name of an argument");
    in_.symbol("=");
    result.tuple = in_.accept("(");
    do {
      in_.charge(in_.peek().location);
      result.values.push_back(reference());
    } while (result.tuple && in_.accept(","));
    if (result.tuple) in_.symbol(")");
    return result;
  }

  /// An argument's value: an identifier, because the engine's compiler does not take literals there.
  std::string reference() {
    constexpr std::string_view kRemedy = "declare a const and name it here, literals are not taken as arguments";
    const Token token = in_.peek();
    if (token.kind != TokenKind::word || !is_identifier(token.spelling))
      in_.unexpected(token, "an identifier", kRemedy);
    in_.next();
    if (in_.is_symbol("(") || in_.is_symbol("<")) in_.unexpected(token, "an identifier", kRemedy);
    return std::string(token.spelling);
  }

  Reader in_;
  Program program_;
};

}  // namespace

Program parse(std::string_view text, std::string_view file) { return Parser(text, file).program(); }

}  // namespace aneval::mil
