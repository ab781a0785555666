// CSV files to records, on fast-cpp-csv-parser: it splits lines and finds columns; numbers are converted here, because
// its own number parser is inexact and reads an empty field as 0.
#include <csv.h>  // fast-cpp-csv-parser
#include <fast_float/fast_float.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "common/csv.h"
#include "common/error.h"
#include "common/files.h"
#include "common/posix.h"

namespace aneval {
namespace {

constexpr std::size_t kColumns = kRecordColumns.size();
// No trimming: what was written comes back with its spaces.
using Parser = io::CSVReader<kColumns, io::trim_chars<>, io::double_quote_escape<',', '"'>>;
using Fields = std::array<char*, kColumns>;

consteval std::size_t column_index(std::string_view name) {
  for (std::size_t i = 0; i < kColumns; ++i)
    if (kRecordColumns[i] == name) return i;
  throw "no such column";  // at compile time
}

Error line_error(std::string_view name, std::size_t line, std::string reason, std::string remedy) {
  return input_error(fmt::format("{}:{}", name, line), std::move(reason), std::move(remedy));
}

/// Searching is several times as fast as std::count, which g++ widens to 64-bit lanes.
std::size_t line_feeds(std::string_view text) {
  std::size_t count = 0;
  for (auto at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1)) ++count;
  return count;
}

/// Hands bytes to the parser, and refuses what it would silently misread: a NUL ends its lines, and a lone carriage
/// return is a line break for other tools. Adds the last line feed when it is missing, because the parser then looks at
/// one byte beyond its data. Blocks are filled up, as the parser demands of all but the last.
class CheckedBytes : public io::ByteSourceBase {
 public:
  /// Up to `size` bytes into `buffer`, 0 at the end.
  using Source = std::function<std::size_t(char* buffer, std::size_t size)>;
  CheckedBytes(std::string_view name, Source source) : name_(name), source_(std::move(source)) {}

  int read(char* buffer, int size) override {
    const auto wanted = static_cast<std::size_t>(size);
    std::size_t used = 0;
    while (used < wanted && !at_end_) {
      const std::size_t count = source_(buffer + used, wanted - used);
      at_end_ = count == 0;
      used += count;
    }
    check({buffer, used});
    if (used > 0) last_ = buffer[used - 1];
    if (at_end_ && used < wanted && last_ != '\n') last_ = buffer[used++] = '\n';
    return static_cast<int>(used);
  }

 private:
  void check(std::string_view block) {
    if (const auto nul = block.find('\0'); nul != std::string_view::npos)
      throw error(block.substr(0, nul), "a NUL byte", "check that this is a text file in UTF-8");
    if (last_ == '\r' && !block.empty() && block.front() != '\n') throw lone_return({});
    for (auto cr = block.find('\r'); cr != std::string_view::npos; cr = block.find('\r', cr + 1))
      if (cr + 1 < block.size() && block[cr + 1] != '\n') throw lone_return(block.substr(0, cr));
    lines_ += line_feeds(block);
  }

  Error lone_return(std::string_view before) const {
    return error(before, "a carriage return inside a line", "end lines with LF or CRLF");
  }
  Error error(std::string_view before, std::string reason, std::string remedy) const {
    return line_error(name_, 1 + lines_ + line_feeds(before), std::move(reason), std::move(remedy));
  }

  std::string_view name_;
  Source source_;
  std::size_t lines_ = 0;
  char last_ = '\n';
  bool at_end_ = false;
};

/// Fields of one row to a record; knows the place for its messages.
class RowReader {
 public:
  RowReader(std::string_view name, const Parser& parser) : name_(name), parser_(parser) {}

  void read(const Fields& fields, Record& record) const {
    if (std::strcmp(fields[column_index("schema")], "1") != 0)
      throw error("schema", fields[column_index("schema")], "is not schema 1",
                  "read the file with the version of aneval that wrote it");
    RunContext& run = record.run;
    copy(fields[column_index("run_id")], run.run_id);
    run.proc = integer(fields, column_index("proc")).value_or(0);
    copy(fields[column_index("time_utc")], run.time_utc);
    copy(fields[column_index("commit")], run.commit);
    copy(fields[column_index("build")], run.build);
    copy(fields[column_index("machine")], run.machine);
    copy(fields[column_index("chip")], run.chip);
    copy(fields[column_index("family")], run.family);
    copy(fields[column_index("os")], run.os);
    copy(fields[column_index("backend")], run.backend);
    copy(fields[column_index("profile")], run.profile);
    copy(fields[column_index("model")], record.model);
    record.seq = integer(fields, column_index("seq"));
    record.layer = integer(fields, column_index("layer"));
    copy(fields[column_index("kernel")], record.kernel);
    copy(fields[column_index("variant")], record.variant);
    copy(fields[column_index("case")], record.case_text);
    copy(fields[column_index("item")], record.item);
    copy(fields[column_index("phase")], record.phase);
    copy(fields[column_index("metric")], record.metric);
    copy(fields[column_index("unit")], record.unit);
    record.step = integer(fields, column_index("step"));
    record.rep = integer(fields, column_index("rep"));
    record.status = status(fields[column_index("status")]);
    copy(fields[column_index("reason")], record.reason);
    if (record.status != Status::ok && record.reason.empty())
      throw error("status", fields[column_index("status")], "has no reason", "fill in the column 'reason'");
    record.value = value(fields[column_index("value")]);
    copy(fields[column_index("text")], record.text);
  }

 private:
  Error error(std::string_view column, std::string_view field, std::string_view reason, std::string remedy) const {
    return line_error(name_, parser_.get_file_line(), fmt::format("{} '{}' {}", column, field, reason),
                      std::move(remedy));
  }

  /// Most columns hardly change from row to row: comparing is cheaper than replacing, which measures the field as well.
  static void copy(const char* field, std::string& text) {
    if (std::strcmp(field, text.c_str()) != 0) text = field;
  }

  std::optional<std::int64_t> integer(const Fields& fields, std::size_t column) const {
    const char* field = fields[column];
    if (*field == '\0') return std::nullopt;
    const char* end = field + std::strlen(field);
    std::int64_t number = 0;
    const auto result = std::from_chars(field, end, number);
    if (result.ec != std::errc() || result.ptr != end)
      throw error(kRecordColumns[column], field, "is not a whole number of 64 bits", "correct the field");
    return number;
  }

  std::optional<double> value(const char* field) const {
    if (*field == '\0') return std::nullopt;
    const char* end = field + std::strlen(field);
    double number = 0;
    const auto result = fast_float::from_chars(field, end, number);
    // A number below the smallest double is an error code in some versions of fast_float, and zero in all of them.
    if (result.ec == std::errc::invalid_argument || result.ptr != end || !std::isfinite(number))
      throw error("value", field, "is not a finite number", "leave the field empty when there is no value");
    return number;
  }

  Status status(const char* field) const {
    const std::optional<Status> parsed = parse_status(field);
    if (!parsed) throw error("status", field, "is unknown", "use a status of this schema, such as ok or failed");
    return *parsed;
  }

  std::string_view name_;
  const Parser& parser_;
};

template <std::size_t... I>
void read_header(Parser& parser, std::index_sequence<I...>) {
  parser.read_header(io::ignore_extra_column, std::string(kRecordColumns[I])...);
}

template <std::size_t... I>
bool read_fields(Parser& parser, Fields& fields, std::index_sequence<I...>) {
  return parser.read_row(fields[I]...);
}

void visit_rows(std::string_view name, CheckedBytes::Source source, RecordVisitor visit) {
  Parser parser("", std::make_unique<CheckedBytes>(name, std::move(source)));
  constexpr auto columns = std::make_index_sequence<kColumns>();
  try {
    read_header(parser, columns);
    const RowReader reader(name, parser);
    Record record;
    for (Fields fields; read_fields(parser, fields, columns);) {
      reader.read(fields, record);
      visit(record);
    }
  } catch (const io::error::header_missing&) {
    throw line_error(name, 1, "the file is empty", "give a result file with its header line");
  } catch (const io::error::missing_column_in_header& error) {
    throw line_error(name, 1, fmt::format("column '{}' is missing", error.column_name),
                     "give a result file of schema 1 with all its columns");
  } catch (const io::error::duplicated_column_in_header& error) {
    throw line_error(name, 1, fmt::format("column '{}' appears twice", error.column_name), "keep one of them");
  } catch (const io::error::escaped_string_not_closed&) {
    throw line_error(name, std::max(1u, parser.get_file_line()), "a quote is not closed on its line",
                     "close it; fields never contain line breaks");
  } catch (const io::error::too_few_columns&) {
    throw line_error(name, parser.get_file_line(), "fewer fields than the header has columns",
                     "check whether the line was cut off");
  } catch (const io::error::too_many_columns&) {
    throw line_error(name, parser.get_file_line(), "more fields than the header has columns",
                     "quote fields that contain commas");
  } catch (const io::error::line_length_limit_exceeded&) {
    throw line_error(name, parser.get_file_line(), "a line longer than 16 MiB", "check that this is a result file");
  }
}

}  // namespace

std::optional<std::vector<std::string>> csv_fields(std::string_view line) {
  std::vector<std::string> fields(1);
  for (std::size_t i = 0; i < line.size();) {
    if (line[i] == ',') {
      fields.emplace_back();
      ++i;
      continue;
    }
    if (line[i] != '"') {
      const std::size_t end = std::min(line.find(',', i), line.size());
      fields.back() = line.substr(i, end - i);
      if (fields.back().find('"') != std::string::npos) return std::nullopt;
      i = end;
      continue;
    }
    for (++i;; ++i) {
      if (i >= line.size()) return std::nullopt;
      if (line[i] == '"' && (++i >= line.size() || line[i] != '"')) break;
      fields.back() += line[i];
    }
    if (i < line.size() && line[i] != ',') return std::nullopt;
  }
  return fields;
}

void visit_csv_text(std::string_view text, std::string_view name, RecordVisitor visit) {
  const auto source = [rest = text](char* buffer, std::size_t size) mutable {
    const std::size_t count = rest.copy(buffer, size);
    rest.remove_prefix(count);
    return count;
  };
  visit_rows(name, source, visit);
}

namespace {

CheckedBytes::Source bytes_of(const Descriptor& in, const std::string& name, LastLine last = LastLine::any) {
  const auto unreadable = [&name] {
    return input_error(name, "cannot read: " + errno_text(), "check that it is a file and the disk is sound");
  };
  auto left = std::numeric_limits<std::size_t>::max();
  if (last == LastLine::complete) {
    const off_t end = end_of_last_line(in.get());
    if (end < 0) throw unreadable();
    left = static_cast<std::size_t>(end);
  }
  return [&in, unreadable, left](char* buffer, std::size_t size) mutable {
    const ssize_t count = read_retrying(in.get(), buffer, std::min(size, left));
    if (count < 0) throw unreadable();
    left -= static_cast<std::size_t>(count);
    return static_cast<std::size_t>(count);
  };
}

Descriptor open_to_read(const std::string& name) {
  Descriptor in(open_retrying(name.c_str(), O_RDONLY));
  if (!in) throw input_error(name, "cannot open: " + errno_text(), "check the path and its permissions");
  return in;
}

}  // namespace

void visit_csv(const std::filesystem::path& file, RecordVisitor visit, LastLine last) {
  const std::string name = file.string();
  const Descriptor in = open_to_read(name);
  visit_rows(name, bytes_of(in, name, last), visit);
}

std::optional<std::string> csv_schema(const std::filesystem::path& file) {
  const std::string name = file.string();
  const Descriptor in = open_to_read(name);
  try {
    io::CSVReader<1, io::trim_chars<>, io::double_quote_escape<',', '"'>> parser(
        "", std::make_unique<CheckedBytes>(name, bytes_of(in, name)));
    parser.read_header(io::ignore_extra_column, "schema");
    char* schema = nullptr;
    if (parser.read_row(schema)) return schema;
  } catch (const io::error::base&) {  // visit_csv says what is wrong with it
  }
  return std::nullopt;
}

}  // namespace aneval
