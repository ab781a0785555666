// Records as CSV lines. Fields are quoted only where RFC 4180 demands it.
#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <stdexcept>

#include "common/csv.h"
#include "common/files.h"

namespace aneval {
namespace {

void append_text(std::string& line, std::string_view field, std::string_view column) {
  using namespace std::string_view_literals;
  if (field.find_first_of("\r\n\0"sv) != std::string_view::npos)
    throw std::logic_error(fmt::format("csv: line break or NUL in column '{}'", column));
  append_csv_field(line, field);
}

template <typename Number>
void append_number(std::string& line, Number value) {
  fmt::format_to(std::back_inserter(line), "{}", value);
}

void append_value(std::string& line, double value) {
  if (!std::isfinite(value))
    throw std::logic_error("csv: a value that is not finite: leave it empty and set the status");
  append_number(line, value);  // the shortest text that reads back to the same double
}

void append_line(std::string& line, const Record& record) {
  if (record.schema != kRecordSchema) throw std::logic_error(fmt::format("csv: schema {}", record.schema));
  if (record.status != Status::ok && record.reason.empty())
    throw std::logic_error(fmt::format("csv: status {} without a reason", status_name(record.status)));
  std::size_t column = 0;
  const auto next = [&] {
    if (column++ > 0) line += ',';
  };
  const auto text = [&](std::string_view field) { next(), append_text(line, field, kRecordColumns[column - 1]); };
  const auto integer = [&](std::optional<std::int64_t> field) {
    next();
    if (field) append_number(line, *field);
  };
  const RunContext& run = record.run;
  integer(record.schema), text(run.run_id), integer(run.proc), text(run.time_utc), text(run.commit), text(run.build);
  text(run.machine), text(run.chip), text(run.family), text(run.os), text(run.backend), text(run.profile);
  text(record.model), integer(record.seq), integer(record.layer), text(record.kernel), text(record.variant);
  text(record.case_text), text(record.item), text(record.phase), text(record.metric), text(record.unit);
  integer(record.step), integer(record.rep), text(status_name(record.status)), text(record.reason);
  next();
  if (record.value) append_value(line, *record.value);
  text(record.text);
  line += '\n';
}

}  // namespace

std::string csv_header() { return fmt::format("{}\n", fmt::join(kRecordColumns, ",")); }

std::string csv_line(const Record& record) {
  std::string line;
  append_line(line, record);
  return line;
}

void append_csv_field(std::string& line, std::string_view field) {
  if (field.find_first_of(",\"\r\n") == std::string_view::npos) {
    line += field;
    return;
  }
  line += '"';
  for (const char c : field) line.append(c == '"' ? 2 : 1, c);
  line += '"';
}

std::string csv_text(const std::vector<Record>& records) {
  std::string text = csv_header();
  for (const Record& record : records) append_line(text, record);
  return text;
}

void write_csv(const std::filesystem::path& file, const std::vector<Record>& records) {
  write_file(file, csv_text(records));
}

}  // namespace aneval
