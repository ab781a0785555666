// Names that people type: the nearest known one for an unknown one, lists for messages, key=value texts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aneval {

/// The known name with the smallest edit distance (Levenshtein, case ignored), the first of equally near ones. Empty
/// when none is near: distance above a third of the length (at least 2), or nothing in common.
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// Throws input_error "<what> 'nmae': unknown: did you mean 'name'? (known: a, b, name)".
[[noreturn]] void unknown_name(std::string_view what, std::string_view name, const std::vector<std::string>& known);

std::string join(const std::vector<std::string>& parts, std::string_view separator);
/// "a,,b" has three parts, the empty text none.
std::vector<std::string> split(std::string_view text, char separator);

/// One word for a shell, whatever the text is: in single quotes.
std::string single_quoted(std::string_view text);

/// "a=1;b=2" in order. Errors name `what`: an entry without '=', an empty or repeated key.
std::vector<std::pair<std::string, std::string>> parse_pairs(std::string_view text, std::string_view what);

/// The shortest text that reads back to the same double ("0.1", "1e-05", "inf", "nan").
std::string number_text(double value);
/// The whole text as a number, without spaces or a leading '+'; errors name `what`: not a number, out of range.
/// parse_double takes what number_text gives, "inf" and "nan" too; what is too small for a double becomes zero.
double parse_double(std::string_view text, std::string_view what);
std::int64_t parse_int(std::string_view text, std::string_view what);

}  // namespace aneval
