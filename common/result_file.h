// The result file of a command while it is being made, and reading it back however the command ended.
//
// Rows go to `FILE.partial`, on the disk after every case, and the file gets its name when it is closed. Besides its
// measurements every process writes rows about itself (kernel and phase empty, item the command's name): cases_planned
// and threads first, cases_done last. So whoever reads the rows knows whether a process came to its end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/csv.h"
#include "common/journal.h"
#include "common/record.h"

namespace aneval {

inline constexpr std::string_view kPartialSuffix = ".partial";

class ResultFile {
 public:
  struct Options {
    std::filesystem::path file;  // empty: nothing is written; "-": standard output, at the end
    RunContext run;
    std::string command;  // "validate"
    std::int64_t planned = 0;
    int threads = 1;
    std::vector<Record> about = {};  // what the rows begin with: the arithmetic, whatever holds for all of them
    std::vector<Record> kept = {};   // rows of an earlier process that this one continues, and
    std::int64_t kept_cases = 0;     // the cases they are of; they are never off the disk meanwhile
  };

  /// Errors (exit code 2): the file cannot be created there, it exists and holds something else than results of this
  /// schema. A refusal (3): another process writes to it.
  explicit ResultFile(Options options);
  ~ResultFile();
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;

  /// The rows of `cases` finished cases (0 for further rows of the same case), on the disk when this returns.
  void append(const std::vector<Record>& rows, std::int64_t cases = 1);
  /// Gives the file its name. `interrupted` says why fewer cases than planned were done.
  void close(const std::string& interrupted = {});

 private:
  Record process_row(std::string_view metric, double value) const;

  Options options_;
  std::unique_ptr<Journal> journal_;
  std::string text_;  // when there is no file to append to
  std::int64_t done_ = 0;
};

/// Throws an input_error when `file` cannot be created, or exists and is not a result file of this schema: nobody loses
/// a file to a mistyped --out, and results of different schemas do not mix. An empty path is nothing to check.
void check_result_file(const std::filesystem::path& file);

/// Visits the rows of a result file, also of a `.partial` one, whose last line a crash may have cut: that line is left
/// out. Errors as visit_csv.
void visit_results(const std::filesystem::path& file, RecordVisitor visit);

}  // namespace aneval
