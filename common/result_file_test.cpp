#include "common/result_file.h"

#include <gmock/gmock.h>

#include "common/csv.h"
#include "common/files.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using testing::HasSubstr;

Record measured(double value) {
  Record row;
  row.run.run_id = "run";
  row.kernel = "sdpaFwd";
  row.phase = "eval";
  row.metric = "time";
  row.unit = "ns";
  row.value = value;
  return row;
}

ResultFile::Options options(const std::filesystem::path& file) {
  ResultFile::Options o;
  o.file = file;
  o.run.run_id = "run";
  o.command = "bench";
  o.planned = 3;
  o.threads = 2;
  return o;
}

std::vector<std::string> metrics_of(const std::vector<Record>& rows) {
  std::vector<std::string> names;
  for (const Record& row : rows) names.push_back(row.metric);
  return names;
}

TEST(ResultFile, RowsAreOnTheDiskBeforeTheFileIsClosed) {
  const TemporaryFolder folder;
  const auto file = folder / "r.csv";
  ResultFile results(options(file));
  results.append({measured(0.1)});
  EXPECT_FALSE(std::filesystem::exists(file));
  const auto rows = rows_of(file.string() + ".partial");
  EXPECT_THAT(metrics_of(rows), testing::ElementsAre("cases_planned", "threads", "time"));
  EXPECT_EQ(rows[0].value, 3);
  EXPECT_EQ(rows[0].item, "bench");
  EXPECT_EQ(rows[1].value, 2);
  EXPECT_EQ(rows[2].value, 0.1);

  results.append({measured(0.2)});
  results.append({measured(0.3)});
  results.close();
  EXPECT_FALSE(std::filesystem::exists(file.string() + ".partial"));
  const auto closed = rows_of(file);
  EXPECT_THAT(metrics_of(closed),
              testing::ElementsAre("cases_planned", "threads", "time", "time", "time", "cases_done"));
  EXPECT_EQ(closed.back().value, 3);
  EXPECT_EQ(closed.back().status, Status::ok);
}

TEST(ResultFile, InterruptionIsARowWithItsReason) {
  const TemporaryFolder folder;
  const auto file = folder / "r.csv";
  ResultFile results(options(file));
  results.append({measured(1)});
  results.append({measured(2)}, 0);  // further rows of the same case
  results.close("interrupted by signal 2");
  const Record last = rows_of(file).back();
  EXPECT_EQ(last.metric, "cases_done");
  EXPECT_EQ(last.value, 1);
  EXPECT_EQ(last.status, Status::skipped);
  EXPECT_EQ(last.reason, "interrupted by signal 2 after 1 of 3 cases");
}

TEST(ResultFile, APartialFileIsReadWithoutItsBrokenLine) {
  const TemporaryFolder folder;
  const auto file = folder / "r.csv.partial";
  write_file(file, csv_header() + csv_line(measured(1)) + "1,run,0,2026");
  EXPECT_EQ(rows_of(file).size(), 1U);
  // A finished file has no broken line: there it is an error.
  write_file(folder / "r.csv", csv_header() + csv_line(measured(1)) + "1,run,0,2026");
  EXPECT_THAT(error_of([&] { rows_of(folder / "r.csv"); }).what(), HasSubstr("r.csv:3"));
}

TEST(ResultFile, WhatAKilledRunLeftIsReplaced) {
  const TemporaryFolder folder;
  const auto file = folder / "r.csv";
  {
    ResultFile killed(options(file));
  }  // never closed
  EXPECT_TRUE(std::filesystem::exists(file.string() + ".partial"));
  ResultFile results(options(file));
  EXPECT_EQ(rows_of(file.string() + ".partial").size(), 2U);
}

TEST(ResultFile, ARunThatGoesOnKeepsItsRows) {
  const TemporaryFolder folder;
  const auto file = folder / "r.csv";
  {
    ResultFile killed(options(file));
    killed.append({measured(1)});
    killed.append({measured(2)});
  }
  ResultFile::Options resumed = options(file);
  resumed.kept = {measured(1)};
  resumed.kept_cases = 1;
  ResultFile results(resumed);
  EXPECT_THAT(metrics_of(rows_of(file.string() + ".partial")),
              testing::ElementsAre("time", "cases_planned", "threads"));
  results.append({measured(3)});
  results.close();
  const auto rows = rows_of(file);
  EXPECT_EQ(rows[3].value, 3);
  EXPECT_EQ(rows.back().metric, "cases_done");
  EXPECT_EQ(rows.back().value, 2);
}

TEST(ResultFile, TwoWritersAreRefused) {
  const TemporaryFolder folder;
  ResultFile first(options(folder / "r.csv"));
  const Error error = error_of([&] { ResultFile second(options(folder / "r.csv")); });
  EXPECT_EQ(error.code(), ExitCode::refused);
  EXPECT_THAT(error.what(), HasSubstr("in use by another process"));
}

TEST(ResultFile, ForeignFilesAreNotReplaced) {
  const TemporaryFolder folder;
  const auto file = folder / "README.md";
  write_file(file, std::string_view("# my notes\nnot a result\n"));
  const Error error = error_of([&] { ResultFile results(options(file)); });
  EXPECT_EQ(error.code(), ExitCode::bad_input);
  EXPECT_THAT(error.what(), HasSubstr("exists and is no result file of schema 1"));
  EXPECT_EQ(read_text_file(file), "# my notes\nnot a result\n");

  std::string other = csv_line(measured(1));
  other.front() = '2';
  write_file(file, csv_header() + other);
  EXPECT_THAT(error_of([&] { ResultFile results(options(file)); }).what(), HasSubstr("is not schema 1"));

  // An older result file of this schema, an empty file and a file without rows are.
  for (const std::string& text : {csv_header() + csv_line(measured(1)), std::string(), csv_header()}) {
    write_file(file, text);
    EXPECT_NO_THROW(check_result_file(file));
  }
}

TEST(ResultFile, NoFileTakesEverythingAndWritesNothing) {
  ResultFile results(options({}));
  results.append({measured(1)});
  results.close();
}

}  // namespace
}  // namespace aneval
