// Runs into a history and back, and all that can be wrong with one.
#include "reports/gate/history.h"

#include <gmock/gmock.h>

#include "common/journal.h"
#include "reports/gate/acknowledged.h"
#include "reports/gate/history_append.h"
#include "reports/gate/history_test_support.h"

namespace aneval::gate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// Three repetitions in each of two processes, a hash, a count, a control, and rows that no history keeps.
std::vector<Record> rows_of_run(int number) {
  std::vector<Record> rows;
  for (int proc = 0; proc < 2; ++proc) {
    RunContext run = run_context(number);
    run.proc = proc;
    rows.push_back(row(run, "", "", "cases_planned", 1));
    rows.back().item = "bench";
    Record power = row(run, "", "power", "power_state", {}, "ac, low power off, thermal pressure 0, 41 degrees");
    power.item = "begin";
    rows.push_back(power);
    for (const double ns : {100.0, 300.0, 110.0}) rows.push_back(row(run, "woFwd", "eval", "time", ns + 20 * proc));
    rows.push_back(row(run, "woFwd", "eval", "benchmark", 2, "woFwd/eval/tiny"));
    rows.push_back(row(run, "woFwd", "eval", "dispatches", 1));
    rows.push_back(row(run, "woFwd", "eval", "tflops", 3.5));
    rows.push_back(row(run, "woFwd", "compile", "program_hash", {}, "feed,\"beef\""));
    rows.push_back(row(run, "qBwd", "eval", "time", 7));  // of no benchmark of its own
    rows.push_back(row(run, "", "", "cases_done", 1));
    rows.back().item = "bench";
  }
  return rows;
}

class HistoryFolder : public testing::Test {
 protected:
  std::vector<Appended> append(const std::vector<Record>& rows) {
    write_file(folder_ / "r.results", file_of(rows));
    return append_runs(folder_ / "history", {folder_ / "r.results"});
  }
  std::filesystem::path file() const { return folder_ / "history/m1-apple-m4.csv"; }
  History read() const { return read_history(folder_ / "history"); }
  std::string error() const {
    return error_of([&] { read(); }).what();
  }
  TemporaryFolder folder_;
};

TEST_F(HistoryFolder, ARunComesBack) {
  const auto appended = append(rows_of_run(1));
  ASSERT_EQ(appended.size(), 1U);
  EXPECT_EQ(appended[0].run_id, "run1");
  EXPECT_EQ(appended[0].file, "m1-apple-m4.csv");
  const History history = read();
  ASSERT_EQ(history.lanes.size(), 1U);
  const Lane& lane = history.lanes[0];
  EXPECT_EQ(lane.conditions.text(), "m1, Apple M4, apple h16");
  EXPECT_EQ(lane.conditions.power, "ac, low power off");
  ASSERT_EQ(lane.runs.size(), 1U);
  EXPECT_EQ(lane.runs[0].commit, run_context(1).commit);
  std::map<std::string, const HistorySeries*> series;
  for (const HistorySeries& s : lane.series) series[s.key.metric] = &s;
  ASSERT_EQ(series.size(), 4U);                     // qBwd is left out: no benchmark of its own
  EXPECT_EQ(series["time"]->points[0].value, 120);  // medians 110 and 130
  EXPECT_EQ(series["time"]->version, 2);
  EXPECT_EQ(series["time"]->benchmark, "woFwd/eval/tiny");
  EXPECT_EQ(series["dispatches"]->points[0].value, 1);
  EXPECT_EQ(series["program_hash"]->texts[series["program_hash"]->points[0].text], "feed,\"beef\"");
  EXPECT_EQ(series["program_hash"]->version, 1);
}

TEST_F(HistoryFolder, ARunThatIsInItIsSkipped) {
  append(rows_of_run(1));
  const std::string before = read_text_file(file());
  EXPECT_EQ(append(rows_of_run(1))[0].rows, 0U);
  EXPECT_EQ(read_text_file(file()), before);
  append(rows_of_run(2));
  EXPECT_THAT(read_text_file(file()), testing::StartsWith(before));
  EXPECT_EQ(read().runs(), 2U);
}

TEST_F(HistoryFolder, ControlsBringProcessesToOneSpeed) {
  // Process 1 is twice as slow, and only it ran qBwd: controls say so.
  std::vector<Record> rows;
  for (int proc = 0; proc < 2; ++proc) {
    RunContext run = run_context(1);
    run.proc = proc;
    rows.push_back(row(run, "control", "control", "time", proc == 0 ? 100 : 400));
    if (proc == 1) rows.push_back(row(run, "qBwd", "eval", "time", 1000));
  }
  append(rows);
  const History history = read();
  for (const HistorySeries& s : history.lanes[0].series)
    EXPECT_NEAR(*s.points[0].value, s.key.kernel == "qBwd" ? 500 : 200, 1e-9) << s.key.kernel;
}

TEST_F(HistoryFolder, FailuresAndContradictionsAreRowsWithoutValue) {
  std::vector<Record> rows = {row(run_context(1), "woFwd", "eval", "time", {}),
                              row(run_context(1), "woFwd", "eval", "dispatches", 1),
                              row(run_context(1), "woFwd", "eval", "dispatches", 2)};
  rows[0].status = Status::run_error;
  rows[0].reason = "the device, it \"failed\"";
  append(rows);
  const History history = read();
  for (const HistorySeries& s : history.lanes[0].series) {
    EXPECT_FALSE(s.points[0].value);
    EXPECT_EQ(s.points[0].status, s.key.metric == "time" ? Status::run_error : Status::unstable);
  }
}

TEST_F(HistoryFolder, ARunThatACrashCutIsLeftOutAndAppendedAgain) {
  append(rows_of_run(1));
  const std::string one = read_text_file(file());
  append(rows_of_run(2));
  const std::string two = read_text_file(file());
  for (std::size_t size = one.size() + 1; size < two.size(); size += 37) {
    write_file(file(), two.substr(0, size));
    EXPECT_EQ(read().runs(), 1U) << size;
    EXPECT_GT(append(rows_of_run(2))[0].rows, 0U);
    EXPECT_EQ(read().runs(), 2U) << size;
    append(rows_of_run(3));
    const History history = read();
    EXPECT_EQ(history.runs(), 3U);
    for (const HistorySeries& s : history.lanes[0].series) EXPECT_EQ(s.points.size(), 3U);
  }
}

TEST_F(HistoryFolder, OtherConditionsAreOtherSeries) {
  std::vector<Record> rows = rows_of_run(2);
  for (Record& r : rows) r.run.os = "macOS 27";
  std::vector<Record> battery = rows_of_run(3);
  for (Record& r : battery)
    if (r.metric == "power_state") r.text = "battery, low power off, thermal pressure 0";
  std::vector<Record> version = rows_of_run(4);
  for (Record& r : version)
    if (r.metric == "benchmark") r.value = 3;
  append(rows_of_run(1));
  append(rows);
  append(battery);
  append(version);
  const History history = read();
  ASSERT_EQ(history.lanes.size(), 3U);
  EXPECT_EQ(history.lanes[0].runs.size(), 2U);
  std::vector<std::int64_t> versions;
  for (const HistorySeries& s : history.lanes[0].series)
    if (s.key.metric == "time") versions.push_back(s.version);
  EXPECT_THAT(versions, ElementsAre(2, 3));
}

TEST_F(HistoryFolder, BadResultsAreRefusedAndLeaveNothing) {
  const auto refused = [&](std::vector<Record> rows) { return std::string(error_of([&] { append(rows); }).what()); };
  EXPECT_THAT(refused({row(run_context(1), "woFwd", "eval", "time", 0)}), HasSubstr("takes 0 ns"));
  EXPECT_THAT(refused({row(run_context(1), "woFwd", "eval", "time", -5)}), HasSubstr("takes -5 ns"));
  EXPECT_THAT(refused({row(run_context(1), "woFwd", "eval", "tflops", 1)}), HasSubstr("nothing that a history keeps"));
  std::vector<Record> killed = rows_of_run(1);
  killed.pop_back();
  EXPECT_THAT(refused(killed), HasSubstr("process 1 (bench) ended before 1 of its cases"));
  std::vector<Record> timeless = rows_of_run(1);
  for (Record& r : timeless) r.run.time_utc = "2026-02-30T00:00:00Z";
  EXPECT_THAT(refused(timeless), HasSubstr("is no time"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "history"));
  EXPECT_THAT(error_of([&] { append_runs(folder_ / "history", {folder_ / "missing"}); }).what(),
              HasSubstr("does not exist"));
  // A folder whose history is broken gets no new file.
  std::filesystem::create_directories(folder_ / "history");
  write_file(folder_ / "history/a.csv", std::string_view("not,a,history\n"));
  EXPECT_THAT(refused(rows_of_run(1)), HasSubstr("a.csv:1"));
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(HistoryFolder, TwoProcessesDoNotAppendAtOnce) {
  append(rows_of_run(1));
  const Journal other(file(), Journal::Lines::left);
  const Error error = error_of([&] { append(rows_of_run(2)); });
  EXPECT_EQ(error.code(), ExitCode::refused);
}

TEST_F(HistoryFolder, BrokenHistoriesNameFileAndLine) {
  EXPECT_THAT(error(), HasSubstr("is no folder"));
  append(rows_of_run(1));
  const std::string good = read_text_file(file());
  const auto with = [&](const std::string& text) {
    write_file(file(), text);
    return error();
  };
  const std::string block = good.substr(csv_header().size());
  EXPECT_THAT(with(good + block), HasSubstr("run run1 is there twice"));
  EXPECT_THAT(with(csv_header() + csv_line(row(run_context(1), "woFwd", "eval", "time", 1))),
              HasSubstr("m1-apple-m4.csv:2: a row outside of a run"));
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < block.size(); at = block.find('\n', at) + 1)
    lines.push_back(block.substr(at, block.find('\n', at) + 1 - at));
  // A row twice, one too few, another schema, a time of zero, a clock that shows nothing.
  std::string twice = csv_header();
  for (std::size_t i = 0; i < lines.size(); ++i) twice += i == 3 ? lines[i] + lines[i] : lines[i];
  EXPECT_THAT(with(twice), HasSubstr("m1-apple-m4.csv:6: "));
  EXPECT_THAT(error(), HasSubstr("is there twice in run run1"));
  std::string fewer = csv_header();
  for (std::size_t i = 0; i < lines.size(); ++i) fewer += i == 3 ? "" : lines[i];
  EXPECT_THAT(with(fewer), HasSubstr("rows instead of"));
  std::string other = good;
  other.replace(csv_header().size(), 1, "2");
  EXPECT_THAT(with(other), HasSubstr("m1-apple-m4.csv:2: schema '2'"));
  std::string zero = good;
  zero.replace(zero.find(",ok,,120,"), 9, ",ok,,-3,");
  EXPECT_THAT(with(zero), HasSubstr("a time of -3 ns"));
  std::string clock = good;
  clock.replace(clock.find("T01:00:00Z"), 10, "T25:00:00Z");
  EXPECT_THAT(with(clock), HasSubstr("is no time"));
}

TEST_F(HistoryFolder, ClocksThatGoBackwardsAreSaid) {
  append(rows_of_run(5));
  append(rows_of_run(2));
  const History history = read();
  EXPECT_EQ(history.lanes[0].runs[1].id, "run2");
  ASSERT_EQ(history.warnings.size(), 1U);
  EXPECT_THAT(history.warnings[0], HasSubstr("the order is that of appending"));
}

TEST(SecondsOf, Times) {
  EXPECT_EQ(seconds_of("1970-01-02T00:00:01Z"), 86401);
  EXPECT_EQ(seconds_of("2024-02-29T12:30:00Z"), 1709209800);
  for (const char* text :
       {"", "2023-02-29T12:30:00Z", "2024-02-29 12:30:00Z", "2024-02-29T12:30:00", "2024-13-01T00:00:00Z"})
    EXPECT_FALSE(seconds_of(text)) << text;
}

TEST(Acknowledgements, AreReadAndChecked) {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& text) {
    write_file(folder / "acknowledged.csv", text);
    return read_acknowledgements(folder / "acknowledged.csv");
  };
  EXPECT_THAT(read_acknowledgements(folder / "acknowledged.csv"), IsEmpty());
  const auto entries =
      read("name,from_commit,reason\r\n\"a, \"\"b\"\"\",abc1234,\"why, indeed\"\n\nwoFwd*,abc1235def,x\n");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].name, "a, \"b\"");
  EXPECT_EQ(entries[0].reason, "why, indeed");
  EXPECT_TRUE(entries[0].names("a, \"b\"", ""));
  EXPECT_FALSE(entries[0].names("a, \"b\" c", ""));
  EXPECT_TRUE(entries[1].names("x", "woFwd/eval"));
  EXPECT_TRUE(entries[1].is_of("abc1235"));
  EXPECT_FALSE(entries[1].is_of("abc123"));
  const auto error = [&](const std::string& text) { return std::string(error_of([&] { read(text); }).what()); };
  EXPECT_THAT(error(""), HasSubstr("acknowledged.csv:1: is empty"));
  EXPECT_THAT(error("name,reason\n"), HasSubstr("acknowledged.csv:1: has another header"));
  EXPECT_THAT(error("name,from_commit,reason\na,b\n"), HasSubstr("acknowledged.csv:2: 2 fields"));
  EXPECT_THAT(error("name,from_commit,reason\na,,c\n"), HasSubstr("acknowledged.csv:2: an empty field"));
  EXPECT_THAT(error("name,from_commit,reason\na,b,\"c\n"), HasSubstr("acknowledged.csv:2: a quote"));
  EXPECT_THAT(error("name,from_commit,reason\na,b,c\na,b,d\n"),
              HasSubstr("acknowledged.csv:3: 'a' at b is there twice"));
}

}  // namespace
}  // namespace aneval::gate
