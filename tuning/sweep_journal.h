// What a sweep has finished: OUT/journal.jsonl, one line per point and per process of a confirmation, each on the disk
// before the next one begins.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/journal.h"
#include "tuning/point_result.h"

namespace aneval::tuning {

/// A journal as it lies there, for replays and merges.
struct RecordedSweep {
  std::string identity;                                     // as given to SweepJournal
  std::string setting;                                      // of it: JSON, what build, machine and backend it ran on
  std::vector<std::pair<std::string, PointResult>> points;  // in the order in which they were finished
  std::map<std::string, std::vector<double>> processes;
};

/// Of a sweep's folder; the journal itself stays what it is.
std::filesystem::path journal_of(const std::filesystem::path& path);

/// Errors (exit 2): cannot be read, is no sweep's journal. A last line that a crash cut is left out.
RecordedSweep read_journal(const std::filesystem::path& file);

class SweepJournal {
 public:
  /// Opens or begins it. `identity` is what makes two sweeps the same one: file, shard, backend, build. Errors (exit
  /// 2): it is of another sweep, it exists and `resume` is not set, a line that is no sweep's. A refusal (3): another
  /// process has it open.
  SweepJournal(const std::filesystem::path& out, const std::string& identity, bool resume);

  /// A last line was cut by a crash, and is gone.
  bool repaired() const { return journal_.repaired(); }
  /// Null when it has not been done.
  const PointResult* find(const std::string& point) const;
  void add(const std::string& point, PointResult result);
  /// ln(ns) that a process of a confirmation measured, of subject and controls; nothing when it has not been run. An
  /// empty list is a process that failed.
  const std::vector<double>* find_process(const std::string& process) const;
  void add_process(const std::string& process, std::vector<double> values);

  std::size_t points() const { return order_.size(); }
  /// In the order in which they were finished.
  const std::vector<std::string>& order() const { return order_; }

 private:
  Journal journal_;
  std::map<std::string, PointResult> results_;
  std::map<std::string, std::vector<double>> processes_;
  std::vector<std::string> order_;
};

}  // namespace aneval::tuning
