#include "ane/mil/reader.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "ane/half.h"
#include "ane/mil/text.h"
#include "common/tensor.h"

namespace aneval::mil {

namespace {

/// Beyond it a double skips integers.
constexpr double kMaxInteger = 9007199254740992.0;  // 2^53

bool is_not_finite(std::string_view spelling) {
  if (spelling.starts_with('-')) spelling.remove_prefix(1);
  std::string lower;
  for (const char c : spelling.substr(0, 9)) lower += (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  return lower == "inf" || lower == "infinity" || lower == "nan";
}

double held_as(double value, DType dtype) {
  switch (dtype) {
    case DType::fp16:
      return ane::to_float(ane::to_half(value));
    case DType::fp32:
      // The conversion of a double beyond float's range is undefined.
      return std::fabs(value) < 0x1.ffffffp127 ? static_cast<double>(static_cast<float>(value))
                                               : std::numeric_limits<double>::infinity();
    default:
      return std::fabs(value) <= kMaxInteger ? value : std::numeric_limits<double>::infinity();
  }
}

}  // namespace

void Reader::unexpected(const Token& token, std::string_view expected, std::string_view remedy) const {
  lexer_.fail(token.location, fmt::format("expected {} but found {}", expected, quoted(token)), std::string(remedy));
}

bool Reader::is_symbol(std::string_view spelling) const {
  return lexer_.peek().kind == TokenKind::symbol && lexer_.peek().spelling == spelling;
}

bool Reader::accept(std::string_view spelling) {
  if (!is_symbol(spelling)) return false;
  lexer_.next();
  return true;
}

void Reader::symbol(std::string_view spelling) {
  if (!accept(spelling)) unexpected(lexer_.peek(), fmt::format("'{}'", spelling));
}

void Reader::keyword(std::string_view spelling) {
  if (lexer_.peek().kind != TokenKind::word || lexer_.peek().spelling != spelling)
    unexpected(lexer_.peek(), fmt::format("'{}'", spelling));
  lexer_.next();
}

std::string Reader::identifier(std::string_view what) {
  const Token token = lexer_.peek();
  if (token.kind != TokenKind::word || !is_identifier(token.spelling)) unexpected(token, what);
  lexer_.next();
  return std::string(token.spelling);
}

std::string Reader::text(std::string_view what) {
  const Token token = lexer_.peek();
  if (token.kind != TokenKind::text) unexpected(token, what);
  lexer_.next();
  return unescape(token.spelling);
}

void Reader::charge(Location location) {
  if (++items_ > kMaxItems)
    lexer_.fail(location, fmt::format("more than {} parts in one program", kMaxItems), "split the program");
}

void Reader::scalar_of(DType dtype) {
  const Token first = lexer_.peek();
  if (type() != TensorType{dtype, {}}) unexpected(first, fmt::format("'{}'", dtype_name(dtype)));
}

DType Reader::dtype() {
  const Token token = lexer_.peek();
  const std::optional<DType> found = token.kind == TokenKind::word ? parse_dtype(token.spelling) : std::nullopt;
  if (!found) unexpected(token, "a type", "types are tensor, fp16, fp32, int32, int8, uint8, uint64, bool, string");
  lexer_.next();
  return *found;
}

TensorType Reader::type() {
  const Token first = lexer_.peek();
  if (first.kind != TokenKind::word || first.spelling != "tensor") return {dtype(), {}};
  lexer_.next();
  TensorType result;
  symbol("<");
  result.dtype = dtype();
  symbol(",");
  symbol("[");
  for (bool more = !is_symbol("]"); more; more = accept(",")) {
    if (result.shape.size() == kMaxRank)
      lexer_.fail(lexer_.peek().location, fmt::format("more than {} dimensions", kMaxRank), "use a lower rank");
    result.shape.push_back(dimension());
  }
  symbol("]");
  symbol(">");
  if (!element_count(result.shape))
    lexer_.fail(first.location, "the type " + type_text(result) + " has more than 2^40 elements",
                "use a smaller shape");
  return result;
}

std::int64_t Reader::dimension() {
  const Token token = lexer_.next();
  std::int64_t value = 0;
  const char* end = token.spelling.data() + token.spelling.size();
  if (token.kind == TokenKind::word || token.spelling == "?")
    unexpected(token, "a dimension", "symbolic dimensions are not supported, state the size");
  if (token.kind != TokenKind::number) unexpected(token, "a dimension");
  if (const auto parsed = std::from_chars(token.spelling.data(), end, value);
      parsed.ptr != end || parsed.ec != std::errc{} || value < 1 || value > kMaxElements)
    unexpected(token, "a dimension from 1 to 2^40");
  return value;
}

// One element of a literal, rounded to its type.
double Reader::number(DType dtype) {
  const Token token = lexer_.peek();
  if (dtype == DType::boolean) {
    if (token.kind != TokenKind::word || (token.spelling != "true" && token.spelling != "false"))
      unexpected(token, "'true' or 'false'");
    lexer_.next();
    return token.spelling == "true" ? 1 : 0;
  }
  if (is_not_finite(token.spelling))
    lexer_.fail(token.location, quoted(token) + " is not a finite number",
                "the engine has no such constants, use the largest finite one");
  if (token.kind != TokenKind::number) unexpected(token, "a number");
  const std::optional<double> value = parse_number(token.spelling);
  if (!value) lexer_.fail(token.location, "malformed number " + quoted(token), "write 0.125, 1e-3 or 0x1p-3");
  lexer_.next();
  if (++numbers_ > kMaxLiteralNumbers)
    lexer_.fail(token.location, fmt::format("more than {} numbers in literals", kMaxLiteralNumbers),
                "keep large constants in weight files");
  const double held = held_as(*value, dtype);
  if (!std::isfinite(held))
    lexer_.fail(token.location, fmt::format("{} does not fit into {}", quoted(token), dtype_name(dtype)),
                "use a number in its range");
  return held;
}

Literal Reader::literal() {
  Literal result{type(), std::vector<double>{}};
  symbol("(");
  const Token first = lexer_.peek();
  if (first.kind == TokenKind::word && first.spelling == "BLOBFILE") {
    result.value = blob_file();
  } else if (result.type.dtype == DType::string) {
    if (is_symbol("[")) unexpected(first, "a string in quotes", "lists of strings are not supported");
    result.value = text("a string in quotes");
  } else if (is_symbol("[")) {
    result.value = list(result.type);
  } else {
    result.value = std::vector<double>{number(result.type.dtype)};
  }
  symbol(")");
  return result;
}

BlobFile Reader::blob_file() {
  BlobFile blob;
  lexer_.next();
  symbol("(");
  keyword("path");
  symbol("=");
  scalar_of(DType::string);
  symbol("(");
  blob.path = text("a path in quotes");
  symbol(")");
  symbol(",");
  keyword("offset");
  symbol("=");
  scalar_of(DType::uint64);
  symbol("(");
  const Token offset = lexer_.next();
  const char* end = offset.spelling.data() + offset.spelling.size();
  if (const auto parsed = std::from_chars(offset.spelling.data(), end, blob.offset);
      offset.kind != TokenKind::number || parsed.ptr != end || parsed.ec != std::errc{})
    unexpected(offset, "an offset in bytes");
  symbol(")");
  symbol(")");
  return blob;
}

// The numbers of a flat list in row-major order, or of nested lists of the shape of `type`.
std::vector<double> Reader::list(const TensorType& type) {
  const Location start = lexer_.peek().location;
  std::vector<double> values;
  Shape lengths;                   // of the lists at each depth, -1 until one is closed
  std::vector<std::int64_t> open;  // elements so far of each open list
  std::size_t leaf = 0;            // depth at which numbers stand, 0 until there is one
  const auto ragged = [&] {
    lexer_.fail(lexer_.peek().location, "the nested lists are not all of one shape", "write one list per row");
  };
  for (;;) {
    if (is_symbol("[")) {
      if (open.size() == kMaxRank)
        lexer_.fail(lexer_.peek().location, fmt::format("lists nested deeper than {}", kMaxRank), "use a flat list");
      if (leaf != 0 && open.size() >= leaf) ragged();
      lexer_.next();
      open.push_back(0);
      if (lengths.size() < open.size()) lengths.push_back(-1);
      if (!is_symbol("]")) continue;
    } else {
      if (leaf != 0 && leaf != open.size()) ragged();
      leaf = open.size();
      values.push_back(number(type.dtype));
      ++open.back();
    }
    while (is_symbol("]")) {
      std::int64_t& length = lengths[open.size() - 1];
      if (length != -1 && length != open.back()) ragged();
      length = open.back();
      lexer_.next();
      open.pop_back();
      if (open.empty()) {
        if (lengths.size() > 1 && lengths != type.shape)
          lexer_.fail(start, fmt::format("nested lists of shape {} for {}", shape_text(lengths), type_text(type)),
                      "write a flat list, or nest as the shape says");
        return values;
      }
      ++open.back();
    }
    if (!accept(",")) unexpected(lexer_.peek(), "']' or ','");
  }
}

}  // namespace aneval::mil
