#include "reports/result_set.h"

#include <gmock/gmock.h>

#include "common/csv.h"
#include "common/files.h"
#include "common/test_support.h"

namespace aneval::reports {
namespace {

using testing::HasSubstr;

Record row(const std::string& kernel, const std::string& metric, double value) {
  Record r;
  r.run.run_id = "run";
  r.run.backend = "emulator";
  r.run.profile = "ieee";
  r.kernel = kernel;
  r.phase = "eval";
  r.metric = metric;
  r.unit = "ns";
  r.value = value;
  return r;
}

Record process_row(const std::string& command, const std::string& metric, double value) {
  Record r = row("", metric, value);
  r.phase.clear();
  r.item = command;
  return r;
}

std::string file_of(const std::vector<Record>& rows) {
  std::string text = csv_header();
  for (const Record& r : rows) text += csv_line(r);
  return text;
}

TEST(Series, MedianAndSpread) {
  Series series;
  series.values = {5, 1, 4, 2, 3};
  EXPECT_EQ(series.median(), 3);
  EXPECT_DOUBLE_EQ(series.relative_iqr(), (4.0 - 2.0) / 3.0);
  series.values = {1, 2};
  EXPECT_EQ(series.median(), 1.5);
  EXPECT_EQ(series.relative_iqr(), 0);
  series.values.clear();
  EXPECT_THROW(series.median(), std::logic_error);
}

TEST(ResultSet, RowsOfOneThingBecomeASeries) {
  ResultSet set;
  for (const double value : {1.0, 2.0, 3.0}) set.add(row("woFwd", "time", value));
  set.add(row("qBwd", "time", 9));
  ASSERT_EQ(set.settings.size(), 1U);
  const auto& series = set.settings.begin()->second;
  ASSERT_EQ(series.size(), 2U);
  EXPECT_THAT(series.find({.kernel = "woFwd", .phase = "eval", .metric = "time"})->second.values,
              testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(set.settings.begin()->first.arithmetic(), "emulator profile ieee");
}

TEST(ResultSet, SettingsAreNeverMixed) {
  ResultSet set;
  Record a = row("woFwd", "time", 1), b = a;
  b.run.profile = "h16";
  set.add(a);
  set.add(b);
  b.run.backend = "apple";
  set.add(b);
  EXPECT_EQ(set.settings.size(), 3U);
}

TEST(ResultSet, TheFirstFailureOfASeriesStays) {
  ResultSet set;
  Record bad = row("woFwd", "time", 1);
  bad.status = Status::wrong_result;
  bad.reason = "first";
  set.add(row("woFwd", "time", 1));
  set.add(bad);
  bad.reason = "second";
  set.add(bad);
  const Series& series = set.settings.begin()->second.begin()->second;
  EXPECT_EQ(series.status, Status::wrong_result);
  EXPECT_EQ(series.reason, "first");
}

TEST(ResultSet, ProcessesTellHowTheyEnded) {
  ResultSet set;
  set.add(process_row("bench", "cases_planned", 10));
  set.add(process_row("validate", "cases_planned", 2));
  set.add(process_row("validate", "cases_done", 2));
  ASSERT_EQ(set.processes.size(), 2U);
  EXPECT_FALSE(set.processes[0].finished());
  EXPECT_TRUE(set.processes[1].finished());
  EXPECT_TRUE(set.settings.empty());
}

TEST(ResultSet, ANumberBeyond64BitsIsNoCountOfCases) {
  ResultSet set;
  set.add(process_row("bench", "cases_planned", 1e300));
  set.add(process_row("bench", "cases_done", -0x1p63));
  ASSERT_EQ(set.processes.size(), 1U);
  EXPECT_EQ(set.processes[0].planned, std::nullopt);
  EXPECT_FALSE(set.processes[0].finished());
}

TEST(ReadResultSet, AFolderIsItsResultsOrTheirParts) {
  const TemporaryFolder folder;
  write_file(folder / "validate.csv", file_of({row("a", "time", 1)}));
  write_file(folder / "bench.csv.partial", file_of({row("b", "time", 2)}) + "1,run,0,20");
  ResultSet set = read_result_set({folder.path()});
  EXPECT_EQ(set.rows, 2);
  EXPECT_THAT(set.files, testing::UnorderedElementsAre("validate.csv", "bench.csv.partial"));

  write_file(folder / "results.csv", file_of({row("a", "time", 1), row("b", "time", 2), row("c", "time", 3)}));
  write_file(folder / "steps.tsv", std::string_view("tests\tok\t20\t\nvalidate-real\tskipped\t0\tno data\n"));
  write_file(folder / "environment.json", std::string_view(R"({"schema": 1, "chip": "x"})"));
  set = read_result_set({folder.path()});
  EXPECT_EQ(set.rows, 3);
  ASSERT_EQ(set.steps.size(), 2U);
  EXPECT_EQ(set.steps[1].note, "no data");
  EXPECT_EQ(set.environments.size(), 1U);
}

TEST(ReadResultSet, ErrorsNameThePlace) {
  const TemporaryFolder folder;
  const auto error = [&] { return std::string(error_of([&] { read_result_set({folder.path()}); }).what()); };
  EXPECT_THAT(error(), HasSubstr("has no result file"));
  std::string other = csv_line(row("a", "time", 1));
  other.front() = '2';
  write_file(folder / "results.csv", csv_header() + other);
  EXPECT_THAT(error(), HasSubstr("results.csv:2"));
  EXPECT_THAT(error(), HasSubstr("is not schema 1"));
}

TEST(ReadResultSet, WhatCannotBeReadIsAProblemOfTheSet) {
  const TemporaryFolder folder;
  write_file(folder / "results.csv", file_of({row("a", "time", 1)}));
  const auto problem = [&] {
    const ResultSet set = read_result_set({folder.path()});
    EXPECT_EQ(set.rows, 1);
    EXPECT_EQ(set.problems.size(), 1U);
    // Reports are handed on: no folder is named.
    EXPECT_THAT(set.problems[0].what, testing::Not(HasSubstr(folder.path().string())));
    return set.problems[0].what;
  };
  write_file(folder / "environment.json", std::string_view(R"({"schema": 7})"));
  EXPECT_THAT(problem(), HasSubstr("environment.json: has schema 7"));
  write_file(folder / "environment.json", std::string_view("not json"));
  EXPECT_THAT(problem(), HasSubstr("malformed JSON"));
  write_file(folder / "environment.json", std::string_view("[1]"));
  EXPECT_THAT(problem(), HasSubstr("is no environment"));
  write_file(folder / "environment.json", std::string_view(R"({"schema": 1})"));
  write_file(folder / "steps.tsv", std::string_view("tests ok\n"));
  EXPECT_THAT(problem(), HasSubstr("steps.tsv:1"));
}

TEST(ReadResultSet, RowsBeforeABrokenLineAreKept) {
  const TemporaryFolder folder;
  write_file(folder / "broken.csv", file_of({row("a", "time", 1), row("b", "time", 2)}) + "1,run,0,20\n");
  std::string other = csv_line(row("a", "time", 1));
  other.front() = '2';
  write_file(folder / "other.csv", csv_header() + other);
  const ResultSet set = read_result_set({folder / "broken.csv", folder / "other.csv"});
  EXPECT_EQ(set.rows, 2);
  ASSERT_EQ(set.problems.size(), 2U);
  EXPECT_THAT(set.problems[0].what, HasSubstr("broken.csv:4"));
  EXPECT_THAT(set.problems[1].what, HasSubstr("is not schema 1"));
  // Nothing but a file of another schema is no report.
  EXPECT_THAT(std::string(error_of([&] { read_result_set({folder / "other.csv"}); }).what()), HasSubstr("other.csv:2"));
}

TEST(ResultSet, ProcessesAndStepsOfValuesAreKnown) {
  ResultSet set;
  Record one = row("layer", "loss", 3);
  for (const std::int64_t proc : {0, 0, 1})
    for (const std::int64_t step : {0, 10}) {
      one.run.proc = proc;
      one.step = step;
      set.add(one);
    }
  const Series& series = set.settings.begin()->second.begin()->second;
  EXPECT_THAT(series.steps, testing::ElementsAre(0, 10, 0, 10, 0, 10));
  ASSERT_EQ(series.parts.size(), 2U);
  EXPECT_EQ(series.parts[0].first, 0U);
  EXPECT_EQ(series.parts[1].first, 4U);
}

}  // namespace
}  // namespace aneval::reports
