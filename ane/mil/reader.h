// What the parser reads the text through: expectations about the next token, limits, types and literals.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ane/mil/lexer.h"
#include "ane/mil/program.h"

namespace aneval::mil {

/// Every function throws the input_error "FILE:LINE:COL: expected … but found …" when the text is not as it demands.
class Reader {
 public:
  Reader(std::string_view text, std::string_view file) : lexer_(text, file) {}

  const Token& peek() const { return lexer_.peek(); }
  Token next() { return lexer_.next(); }
  [[noreturn]] void fail(Location location, std::string reason, std::string remedy) const {
    lexer_.fail(location, std::move(reason), std::move(remedy));
  }
  [[noreturn]] void unexpected(const Token& token, std::string_view expected,
                               std::string_view remedy = "correct the text there") const;

  bool is_symbol(std::string_view spelling) const;
  /// Moves on when the symbol is the next token.
  bool accept(std::string_view spelling);
  void symbol(std::string_view spelling);
  void keyword(std::string_view spelling);
  /// `what` is expected, in words.
  std::string identifier(std::string_view what);
  std::string text(std::string_view what);

  /// Counts one part of the program against kMaxItems.
  void charge(Location location);

  TensorType type();
  /// The type of a scalar, in either dialect.
  void scalar_of(DType dtype);
  /// A type and its value in parentheses, numbers rounded to the type.
  Literal literal();

 private:
  DType dtype();
  std::int64_t dimension();
  double number(DType dtype);
  BlobFile blob_file();
  std::vector<double> list(const TensorType& type);

  Lexer lexer_;
  std::size_t items_ = 0, numbers_ = 0;
};

}  // namespace aneval::mil
