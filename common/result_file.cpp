#include "common/result_file.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>

#include "common/csv.h"
#include "common/error.h"
#include "common/files.h"
#include "common/posix.h"

namespace aneval {
namespace {

namespace fs = std::filesystem;

fs::path partial_name(const fs::path& file) { return file.string() + std::string(kPartialSuffix); }

bool is_partial(const fs::path& file) { return file.string().ends_with(kPartialSuffix); }

/// Standard output, devices and pipes take everything at the end; other files line by line.
bool is_appendable(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  return file != "-" && (!fs::exists(status) || fs::is_regular_file(status));
}

}  // namespace

void check_result_file(const fs::path& file) {
  if (file.empty()) return;
  check_writable(file);
  if (!is_appendable(file)) return;
  std::error_code error;
  if (!fs::exists(file, error) || fs::file_size(file, error) == 0) return;
  std::ifstream in(file, std::ios::binary);
  std::string header, row;
  std::getline(in, header);
  std::getline(in, row);
  try {
    visit_csv_text(header + '\n' + (row.empty() ? row : row + '\n'), file.string(), [](const Record&) {});
  } catch (const Error& wrong) {
    throw input_error(file.string(),
                      fmt::format("exists and is no result file of schema {} ({})", kRecordSchema, wrong.what()),
                      "choose another name, or move that file away");
  }
}

ResultFile::ResultFile(Options options) : options_(std::move(options)) {
  const fs::path& file = options_.file;
  if (file.empty()) return;
  check_result_file(file);
  std::string begin = csv_header();
  for (const Record& row : options_.kept) begin += csv_line(row);
  options_.kept.clear();
  done_ = options_.kept_cases;
  if (is_appendable(file)) {
    {
      const Journal lock(partial_name(file));  // no other process writes there
      write_file(partial_name(file), begin);   // in place of what a killed run left, at once
    }
    journal_ = std::make_unique<Journal>(partial_name(file));
  } else {
    text_ = std::move(begin);
  }
  append({process_row("cases_planned", static_cast<double>(options_.planned)),
          process_row("threads", static_cast<double>(options_.threads))},
         0);
  append(options_.about, 0);
}

ResultFile::~ResultFile() = default;

Record ResultFile::process_row(std::string_view metric, double value) const {
  Record row;
  row.run = options_.run;
  row.item = options_.command;
  row.metric = metric;
  row.unit = "count";
  row.value = value;
  return row;
}

void ResultFile::append(const std::vector<Record>& rows, std::int64_t cases) {
  done_ += cases;
  if (options_.file.empty() || rows.empty()) return;
  std::string lines;
  for (const Record& row : rows) lines += csv_line(row);
  if (journal_)
    journal_->append_lines(lines);
  else
    text_ += lines;
}

void ResultFile::close(const std::string& interrupted) {
  if (options_.file.empty()) return;
  Record row = process_row("cases_done", static_cast<double>(done_));
  if (!interrupted.empty()) {
    row.status = Status::skipped;
    row.reason = fmt::format("{} after {} of {} cases", interrupted, done_, options_.planned);
  }
  append({row}, 0);
  if (!journal_) return write_file(options_.file, text_);
  if (std::rename(partial_name(options_.file).c_str(), options_.file.c_str()) != 0)
    throw refusal(options_.file.string(), "cannot replace: " + errno_text(),
                  "the rows are in the .partial file beside it");
  journal_.reset();
  const fs::path folder = options_.file.has_parent_path() ? options_.file.parent_path() : fs::path(".");
  if (!sync_folder(folder))
    throw refusal(options_.file.string(), "cannot flush its folder: " + errno_text(), "check the disk");
}

void visit_results(const fs::path& file, RecordVisitor visit) {
  visit_csv(file, visit, is_partial(file) ? LastLine::complete : LastLine::any);
}

}  // namespace aneval
