// Records to CSV and back (record.h has the schema).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/record.h"

namespace aneval {

/// The header line, with its line feed.
std::string csv_header();
/// One record as a line, with its line feed. Throws std::logic_error for a non-finite value, a line break in a field, or a
/// status other than ok without a reason: those are mistakes of the caller.
std::string csv_line(const Record& record);

/// Writes header and rows to a temporary file beside `file` and renames it ("-" writes to standard output).
void write_csv(const std::filesystem::path& file, const std::vector<Record>& records);

/// Columns are found by name; unknown ones are accepted and ignored. Errors name file and line: a missing column, another
/// schema, a field that is not a number, a line break inside quotes, a row with too few or too many fields, a status
/// that does not exist.
std::vector<Record> read_csv(const std::filesystem::path& file);
std::vector<Record> read_csv_text(std::string_view text, std::string_view name);

}  // namespace aneval
