// Records to CSV and back (record.h has the schema).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/function_ref.h"
#include "common/record.h"

namespace aneval {

/// The header line, with its line feed.
std::string csv_header();
/// One record as a line, with its line feed. Throws std::logic_error for a non-finite value, a line break or NUL in a
/// field, another schema, or a status other than ok without a reason: those are mistakes of the caller.
std::string csv_line(const Record& record);

/// Header and records.
std::string csv_text(const std::vector<Record>& records);
/// Any field of any CSV: in quotes where RFC 4180 demands them.
void append_csv_field(std::string& line, std::string_view field);

/// Writes header and rows to a temporary file beside `file` and renames it ("-" writes to standard output).
void write_csv(const std::filesystem::path& file, const std::vector<Record>& records);

/// Called once per row, with the same record each time: who keeps a row copies it.
using RecordVisitor = FunctionRef<void(const Record&)>;

/// What becomes of a last line without a line feed. `complete`: it is left out, because somebody is writing it or a
/// crash cut it.
enum class LastLine { any, complete };

/// Reads a file row by row. Columns are found by name, in any order; unknown ones are accepted and ignored; lines end
/// in LF or CRLF. Errors name file and line: a missing or repeated column, another schema, a field that is not a
/// number, a line break inside quotes, a row with too few or too many fields, a status that does not exist, one other
/// than ok without a reason, a NUL byte.
///
/// 1 M rows take about 0.6 s. There is no function that returns them all: they would be 1 GB, and getting that memory
/// takes twice as long as reading the file.
void visit_csv(const std::filesystem::path& file, RecordVisitor visit, LastLine last = LastLine::any);
/// The same from memory; `name` stands for the file in errors.
void visit_csv_text(std::string_view text, std::string_view name, RecordVisitor visit);

/// What column `schema` says in the first row, whichever schema it is; nothing when the file has no row or no such
/// column. Error: it cannot be opened.
std::optional<std::string> csv_schema(const std::filesystem::path& file);

/// The fields of one line of any CSV (RFC 4180, no line breaks inside fields); nothing when its quotes are not right.
std::optional<std::vector<std::string>> csv_fields(std::string_view line);

}  // namespace aneval
