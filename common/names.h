// Names that people type: the nearest known one for an unknown one, lists for messages, key=value texts.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aneval {

/// The known name with the smallest edit distance (case ignored), empty when none is near (distance above a third of
/// the length, at least 2).
std::string nearest_name(std::string_view name, const std::vector<std::string>& known);

/// Throws input_error "<what> 'nmae': unknown: did you mean 'name'? (known: a, b, name)".
[[noreturn]] void unknown_name(std::string_view what, std::string_view name, const std::vector<std::string>& known);

std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);

/// "a=1;b=2" in order. Errors name `what`: an entry without '=', an empty or repeated key.
std::vector<std::pair<std::string, std::string>> parse_pairs(std::string_view text, std::string_view what);

/// The shortest text that reads back to the same double ("0.1", "1e-05", "inf", "nan").
std::string number_text(double value);
/// The whole text as a number; errors name `what`.
double parse_double(std::string_view text, std::string_view what);
std::int64_t parse_int(std::string_view text, std::string_view what);

}  // namespace aneval
