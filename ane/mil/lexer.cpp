#include "ane/mil/lexer.h"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "ane/mil/text.h"
#include "common/error.h"

namespace aneval::mil {

namespace {

// The character classes of <cctype> depend on the locale.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_printable(char c) { return c >= ' ' && c <= '~'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// The text after "0x": digits [. digits] [p [sign] digits].
std::optional<double> parse_hexadecimal(std::string_view text) {
  std::uint64_t mantissa = 0;
  std::int64_t exponent = 0, digits = 0;
  bool fraction = false, inexact = false;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !fraction) {
      fraction = true;
      continue;
    }
    const int digit = hex_digit(text[i]);
    if (digit < 0) break;
    ++digits;
    if (mantissa >> 58 == 0) {
      mantissa = mantissa * 16 + static_cast<std::uint64_t>(digit);
      exponent -= fraction ? 4 : 0;
    } else {
      // 59 bits or more are there already: what follows only decides ties.
      inexact |= digit != 0;
      exponent += fraction ? 0 : 4;
    }
  }
  if (digits == 0) return std::nullopt;
  if (i < text.size()) {
    if (text[i] != 'p' && text[i] != 'P') return std::nullopt;
    std::string_view power = text.substr(i + 1);
    if (power.size() > 1 && power[0] == '+' && is_digit(power[1])) power.remove_prefix(1);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(power.data(), power.data() + power.size(), value);
    if (end != power.data() + power.size() || power.empty()) return std::nullopt;
    // Far beyond double's range either way, and far from overflowing the sum with the digits' exponent.
    constexpr std::int64_t kLimit = std::int64_t{1} << 40;
    if (error != std::errc{}) value = power[0] == '-' ? -kLimit : kLimit;
    exponent += std::clamp(value, -kLimit, kLimit);
  }
  if (inexact) mantissa |= 1;
  return std::ldexp(static_cast<double>(mantissa), static_cast<int>(std::clamp<std::int64_t>(exponent, -5000, 5000)));
}

}  // namespace

bool is_identifier(std::string_view text) {
  return !text.empty() && is_letter(text[0]) && text != "true" && text != "false" &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

std::optional<double> parse_number(std::string_view text) {
  const bool negative = text.starts_with('-');
  const std::string_view body = text.substr(negative ? 1 : 0);
  if (body.empty() || !(is_digit(body[0]) || body[0] == '.')) return std::nullopt;
  if (body.starts_with("0x") || body.starts_with("0X")) {
    const std::optional<double> value = parse_hexadecimal(body.substr(2));
    return value && negative ? -*value : value;
  }
  double value = 0;
  const auto [end, error] = fast_float::from_chars(body.data(), body.data() + body.size(), value);
  if (end != body.data() + body.size() || (error != std::errc{} && error != std::errc::result_out_of_range))
    return std::nullopt;
  return negative ? -value : value;
}

std::string quoted(const Token& token) {
  constexpr std::size_t kShown = 32;
  if (token.kind == TokenKind::end) return "the end of the text";
  std::string shown;
  for (const char c : token.spelling.substr(0, kShown))
    shown += is_printable(c) ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return "'" + shown + (token.spelling.size() > kShown ? "…'" : "'");
}

std::string unescape(std::string_view spelling) {
  std::string characters;
  for (std::size_t i = 1; i + 1 < spelling.size(); ++i) {
    if (spelling[i] != '\\') {
      characters += spelling[i];
      continue;
    }
    switch (spelling[++i]) {
      case 'n':
        characters += '\n';
        break;
      case 't':
        characters += '\t';
        break;
      case 'r':
        characters += '\r';
        break;
      case 'x':
        characters += static_cast<char>(hex_digit(spelling[i + 1]) * 16 + hex_digit(spelling[i + 2]));
        i += 2;
        break;
      default:
        characters += spelling[i];
    }
  }
  return characters;
}

std::string escape(std::string_view characters) {
  std::string spelling = "\"";
  for (const char c : characters) {
    if (c == '"' || c == '\\')
      spelling += {'\\', c};
    else if (c == '\n')
      spelling += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      spelling += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      spelling += c;
  }
  return spelling + '"';
}

Lexer::Lexer(std::string_view text, std::string_view file) : text_(text), file_(file) {
  if (text.size() > kMaxTextBytes)
    throw input_error(std::string(file), fmt::format("{} bytes of text, at most {}", text.size(), kMaxTextBytes),
                      "keep large constants in weight files");
  scan();
}

Token Lexer::next() {
  const Token token = token_;
  scan();
  return token;
}

void Lexer::fail(Location location, std::string reason, std::string remedy) const {
  throw input_error(fmt::format("{}:{}:{}", file_, location.line, location.column), std::move(reason),
                    std::move(remedy));
}

Location Lexer::here() const { return {line_, static_cast<int>(position_ - line_start_) + 1}; }

void Lexer::skip_blank() {
  const auto step = [this] {
    if (text_[position_++] == '\n') {
      ++line_;
      line_start_ = position_;
    }
  };
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      step();
    } else if (c == '/' && at(1) == '/') {
      while (position_ < text_.size() && text_[position_] != '\n') ++position_;
    } else if (c == '/' && at(1) == '*') {
      const Location start = here();
      position_ += 2;
      while (position_ < text_.size() && !(at(0) == '*' && at(1) == '/')) step();
      if (position_ == text_.size()) fail(start, "the comment is not closed", "end it with */");
      position_ += 2;
    } else {
      return;
    }
  }
}

void Lexer::scan() {
  skip_blank();
  token_ = {TokenKind::end, {}, here()};
  if (position_ == text_.size()) return;
  const char c = text_[position_];
  if (is_letter(c)) {
    token_.kind = TokenKind::word;
    std::size_t length = 1;
    while (is_letter(at(length)) || is_digit(at(length))) ++length;
    token_.spelling = text_.substr(position_, length);
  } else if (c == '"') {
    scan_text();
  } else if (c == '-' && at(1) == '>') {
    token_.kind = TokenKind::symbol;
    token_.spelling = text_.substr(position_, 2);
  } else if (is_digit(c) || c == '-' || c == '.') {
    scan_number();
  } else if (std::string_view("()[]{}<>=,;?").find(c) != std::string_view::npos) {
    token_.kind = TokenKind::symbol;
    token_.spelling = text_.substr(position_, 1);
  } else {
    fail(token_.location, "unexpected character " + quoted({TokenKind::symbol, text_.substr(position_, 1), {}}),
         "remove it");
  }
  position_ += token_.spelling.size();
}

void Lexer::scan_number() {
  // Greedy: whatever sticks to a number is part of it, and makes it malformed when the parser reads its value. Signs
  // belong to exponents only: after e in decimal numbers, after p in hexadecimal ones, where e is a digit.
  token_.kind = TokenKind::number;
  const bool hexadecimal = (at(0) == '-' ? at(2) : at(1)) == 'x' || (at(0) == '-' ? at(2) : at(1)) == 'X';
  const auto exponent = [&](char c) { return hexadecimal ? c == 'p' || c == 'P' : c == 'e' || c == 'E'; };
  std::size_t length = 1;
  while (is_letter(at(length)) || is_digit(at(length)) || at(length) == '.' ||
         ((at(length) == '-' || at(length) == '+') && exponent(at(length - 1))))
    ++length;
  token_.spelling = text_.substr(position_, length);
}

void Lexer::scan_text() {
  token_.kind = TokenKind::text;
  std::size_t length = 1;
  for (; at(length) != '"'; ++length) {
    const char c = at(length);
    const Location place{line_, token_.location.column + static_cast<int>(length)};
    if (position_ + length >= text_.size() || c == '\n')
      fail(token_.location, "the string is not closed", "end it with \" on the same line");
    if (static_cast<unsigned char>(c) < 0x20)
      fail(place, fmt::format("unexpected character '\\x{:02x}' in a string", static_cast<unsigned char>(c)),
           "write it as an escape");
    if (c != '\\') continue;
    const char escaped = at(++length);
    if (escaped == 'x' && hex_digit(at(length + 1)) >= 0 && hex_digit(at(length + 2)) >= 0)
      length += 2;
    else if (escaped == '\0' || std::string_view("\"\\ntr").find(escaped) == std::string_view::npos)
      fail(place, "unknown escape in a string", "use \\\" \\\\ \\n \\t \\r or \\xHH");
  }
  token_.spelling = text_.substr(position_, length + 1);
}

}  // namespace aneval::mil
