// What earlier runs measured: a folder of append-only result files, read into series.
//
// A history has one file per machine and chip, in the schema of result files, so that every tool that reads those reads
// it. A run is a block of rows: `cases_planned` (item "history", value: how many rows follow), the machine's
// `power_state` when it is known, one row per metric, and `cases_done`. A block without its last row is what a crash
// left: it is no part of the history. Runs count in the order in which they were appended; clocks jump.
//
// Values are as they were measured, in their units: a time is the median over the run's processes of the medians of
// their repetitions. What the controls say about the machine is a part of the judgement (history_judge.h), never of
// what is stored; their times are rows like all others (phase `control`).
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/record.h"
#include "reports/result_set.h"

namespace aneval::gate {

/// What two runs must share for their times to be comparable: any difference begins new series.
struct Conditions {
  std::string machine, chip, os, backend, profile, build;
  std::string power;  // source, low power mode and clock governor: the parts of power_state that somebody chose
  auto operator<=>(const Conditions&) const = default;
  bool operator==(const Conditions&) const = default;
  /// "m1, Apple M4 Max, apple h16": what reports call it.
  std::string text() const;
};

struct HistoryRun {
  std::string id, commit, time_utc;
  std::int64_t seconds = 0;  // since 1970
  std::size_t order = 0;     // among all runs of the file
};

struct Point {
  std::uint32_t run = 0;   // in its lane
  std::uint32_t text = 0;  // in its series; 0: none
  Status status = Status::ok;
  std::optional<double> value;
};

/// One metric of one thing, of one version of its benchmark.
struct HistorySeries {
  reports::SeriesKey key;
  std::string unit, benchmark;  // the benchmark's name, when it is known
  std::int64_t version = 1;
  std::vector<std::string> texts = {""};
  std::vector<Point> points;  // ascending by run, one per run at most
};

/// Runs under the same conditions.
struct Lane {
  Conditions conditions;
  std::string file;  // where it lies, without folders
  std::vector<HistoryRun> runs;
  std::vector<HistorySeries> series;
};

/// Whether a machine's runs of one backend go to both, under other conditions.
bool same_stream(const Lane& a, const Lane& b);

struct History {
  std::vector<Lane> lanes;
  std::vector<std::string> warnings;
  std::size_t files = 0, rows = 0;

  std::size_t runs() const;
  /// Whether a run is in it: by its id and what it was measured with.
  bool has(const RunContext& run) const;
};

inline constexpr const char* kAcknowledgedFile = "acknowledged.csv";
/// `item` of the rows that begin and end a run.
inline constexpr const char* kHistoryItem = "history";

/// All result files of the folder. 1 M rows take about a second. Errors name file and line: no folder, no history in
/// it, what visit_csv refuses, rows outside of a run, a metric or a run that is there twice, a time of a run that is no
/// time, a time of a benchmark that is not above zero.
History read_history(const std::filesystem::path& folder);

/// The parts of power_state that somebody chose ("ac, low power off"): no temperatures.
std::string chosen_power(const std::string& power_state);

/// "2026-11-28T12:01:26Z" in seconds since 1970; nothing for other texts.
std::optional<std::int64_t> seconds_of(const std::string& time_utc);

}  // namespace aneval::gate
