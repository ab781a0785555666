// Runs a sweep: points one after the other, each judged and timed by whoever evaluates, the best of each contest
// confirmed against the default, everything on the disk at every moment.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tuning/search.h"
#include "tuning/sweep_journal.h"
#include "tuning/winner.h"

namespace aneval::tuning {

struct SweepOptions {
  SweepFile file;
  std::filesystem::path out;
  bool resume = false;
  Shard shard;
  std::string setting;  // JSON object: build, backend, whatever else must be the same when the sweep goes on
  /// Judges and times a point; failures of any kind are its status, never an exception.
  std::function<PointResult(const Point&)> evaluate;
  /// A fresh process' ln(ns) of the point and of controls; empty when it failed. Null: winners are not confirmed.
  std::function<std::vector<double>(const Point&)> measure;
  std::function<int()> interrupted;                  // 0, or the signal that ends the sweep early; may be null
  std::function<void(const std::string&)> progress;  // a line for a terminal; may be null
  std::function<void(const Point&, const PointResult&)> done;  // of every new point; may be null
};

/// What a contest came to.
struct ContestOutcome {
  Contest contest;
  bool opposed = true;  // false: the default cannot run, and the best has nothing to beat
  Win win;              // when it was to be confirmed
  std::int64_t points = 0, usable = 0;
};

struct SweepOutcome {
  std::vector<std::pair<Point, PointResult>> points;   // in the order of their texts
  std::vector<ContestOutcome> contests;                // in the order of their contexts
  std::vector<std::pair<Point, std::string>> refused;  // points that cannot run, and why
  std::int64_t runnable = 0, same = 0;                 // 0 when the product was not enumerated
  bool exhaustive = false, repaired = false;
  std::string ended;  // empty when nothing was left to do; else why the sweep stopped: a budget, a signal
  int signal = 0;
};

/// Errors: those of SweepJournal and Search.
SweepOutcome run_sweep(const SweepOptions& options);

/// ln(ns) of confirming processes by their names (SweepJournal::find_process).
using Processes = std::function<const std::vector<double>*(const std::string& process)>;

/// Judges all contests that have processes, up to `blocks` of each side.
void judge_contests(std::vector<ContestOutcome>& contests, const Processes& processes, std::size_t blocks);

/// The contests of points that were measured elsewhere: not confirmed. Points of a context without a usable one make
/// none.
std::vector<ContestOutcome> contests_of(const std::vector<std::pair<Point, PointResult>>& points,
                                        std::optional<double> error_ratio);

}  // namespace aneval::tuning
