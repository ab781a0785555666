// What tests of several modules need: a folder of their own, and the error that something throws. No part of the
// library.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/csv.h"
#include "common/error.h"
#include "common/result_file.h"

namespace aneval {

/// A new empty folder, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "aneval-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// All rows at once.
inline std::vector<Record> rows_of(const std::filesystem::path& file) {
  std::vector<Record> rows;
  visit_results(file, [&](const Record& row) { rows.push_back(row); });
  return rows;
}
inline std::vector<Record> rows_of_text(std::string_view text) {
  std::vector<Record> rows;
  visit_csv_text(text, "r.csv", [&](const Record& row) { rows.push_back(row); });
  return rows;
}

/// The Error that `function` throws; when it throws none the test fails, and the result is empty.
template <typename Function>
Error error_of(Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no aneval::Error was thrown";
  return {ExitCode::ok, "", "", ""};
}

}  // namespace aneval
