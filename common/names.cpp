// Edit distance, lists and numbers as people type them (names.h).
#include "common/names.h"

#include <fast_float/fast_float.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "common/error.h"

namespace aneval {
namespace {

// ASCII only, and independent of the locale.
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Levenshtein's distance, two rows at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  std::string nearest;
  std::size_t smallest = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    // A distance as long as the longer name means that nothing of it is the same.
    if (distance < smallest && distance < std::max(name.size(), candidate.size())) {
      smallest = distance;
      nearest = candidate;
    } else if (distance == 0) {
      return candidate;  // two empty names
    }
  }
  return nearest;
}

void unknown_name(std::string_view what, std::string_view name, const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(name, known);
  const std::string list = known.empty() ? "none is known" : "known: " + join(known, ", ");
  throw input_error(fmt::format("{} '{}'", what, name), "unknown",
                    nearest.empty() ? list : fmt::format("did you mean '{}'? ({})", nearest, list));
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::string single_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::vector<std::pair<std::string, std::string>> parse_pairs(std::string_view text, std::string_view what) {
  const char* remedy = "write key=value entries joined by ';'";
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& entry : split(text, ';')) {
    const std::size_t equals = entry.find('=');
    const std::string subject = fmt::format("{} '{}'", what, entry);
    if (equals == std::string::npos) throw input_error(subject, "no '=' in the entry", remedy);
    std::string key = entry.substr(0, equals);
    if (key.empty()) throw input_error(subject, "empty key", remedy);
    if (std::any_of(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == key; }))
      throw input_error(subject, fmt::format("key '{}' is given twice", key), "keep one of them");
    pairs.emplace_back(std::move(key), entry.substr(equals + 1));
  }
  return pairs;
}

std::string number_text(double value) { return fmt::format("{}", value); }

double parse_double(std::string_view text, std::string_view what) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto result = fast_float::from_chars(text.data(), end, value);
  const std::string subject = fmt::format("{} '{}'", what, text);
  // Versions of fast_float differ in whether they call a too large or too small number an error.
  if (result.ec == std::errc::invalid_argument || result.ptr != end)
    throw input_error(subject, "not a number", "give a decimal number such as 0.5 or 1e-5");
  const bool spelled_infinity = text.find_first_of("iI") != std::string_view::npos;
  if (std::isinf(value) && !spelled_infinity)
    throw input_error(subject, "larger than a double can hold", "give a number of at most 1.797e308");
  return value;
}

std::int64_t parse_int(std::string_view text, std::string_view what) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  const std::string subject = fmt::format("{} '{}'", what, text);
  if (result.ec == std::errc::result_out_of_range)
    throw input_error(subject, "does not fit in 64 bits", "give a smaller whole number");
  if (result.ec != std::errc() || result.ptr != end)
    throw input_error(subject, "not a whole number", "give digits only, with a leading '-' if negative");
  return value;
}

}  // namespace aneval
