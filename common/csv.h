// Records to CSV and back (record.h has the schema).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/record.h"

namespace aneval {

/// The header line, with its line feed.
std::string csv_header();
/// One record as a line, with its line feed. Throws std::logic_error for a non-finite value, a line break or NUL in a
/// field, another schema, or a status other than ok without a reason: those are mistakes of the caller.
std::string csv_line(const Record& record);

/// Writes header and rows to a temporary file beside `file` and renames it ("-" writes to standard output).
void write_csv(const std::filesystem::path& file, const std::vector<Record>& records);

/// Columns are found by name, in any order; unknown ones are accepted and ignored; lines end in LF or CRLF. Errors name
/// file and line: a missing or repeated column, another schema, a field that is not a number, a line break inside
/// quotes, a row with too few or too many fields, a status that does not exist, one other than ok without a reason, a
/// NUL byte. 1 M rows take about a second and 1 GB of memory, most of the time to get that memory.
std::vector<Record> read_csv(const std::filesystem::path& file);
std::vector<Record> read_csv_text(std::string_view text, std::string_view name);

/// The same, row by row in one record that is used again: twice as fast, for who keeps only some of the rows.
void visit_csv(const std::filesystem::path& file, const std::function<void(const Record&)>& visit);

}  // namespace aneval
