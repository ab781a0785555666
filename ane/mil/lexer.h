// Cuts MIL text into tokens, one ahead of the parser, so that memory does not grow with the text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "ane/mil/program.h"

namespace aneval::mil {

/// A letter or underscore, then letters, digits and underscores; "true" and "false" are literals.
bool is_identifier(std::string_view text);

/// A decimal or C hexadecimal floating-point number, or an integer, with an optional minus. Hexadecimal digits beyond
/// the precision of double are rounded to nearest even. Empty when malformed; infinite when out of double's range.
std::optional<double> parse_number(std::string_view text);

enum class TokenKind { word, number, text, symbol, end };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view spelling;  // as it stands in the text; quotes and escapes included
  Location location;
};

class Lexer {
 public:
  /// Both outlive the lexer.
  Lexer(std::string_view text, std::string_view file);

  const Token& peek() const { return token_; }
  /// The current token; moves on.
  Token next();

  /// Throws the input_error of that place.
  [[noreturn]] void fail(Location location, std::string reason, std::string remedy) const;

 private:
  Location here() const;
  char at(std::size_t offset) const { return position_ + offset < text_.size() ? text_[position_ + offset] : '\0'; }
  void skip_blank();
  void scan();
  void scan_number();
  void scan_text();

  std::string_view text_, file_;
  std::size_t position_ = 0, line_start_ = 0;
  int line_ = 1;
  Token token_;
};

/// How a token is quoted in messages: 'foo', cut when long, unprintable bytes as \xHH; "the end of the text".
std::string quoted(const Token& token);

/// The characters a text token stands for.
std::string unescape(std::string_view spelling);
/// The reverse, with quotes.
std::string escape(std::string_view characters);

}  // namespace aneval::mil
