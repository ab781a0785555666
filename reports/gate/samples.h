// Result files as the gate needs them: the values of every metric, process by process. (A report mixes them in one
// series; statistics take one median per process.)
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "reports/result_set.h"

namespace aneval::gate {

struct ProcessId {
  std::string run_id;
  std::int64_t proc = 0;
  auto operator<=>(const ProcessId&) const = default;
};

/// All values of one metric of one thing.
struct Samples {
  std::string unit = {};
  std::map<ProcessId, std::vector<double>> processes = {};
  std::set<std::string> texts = {};
  bool stepped = false;        // rows of training steps
  Status status = Status::ok;  // the worst of its rows
  std::string reason = {};     // of the first row with it
  void add(const Record& row);
  std::vector<double> medians() const;  // one per process that has values, in the order of processes
  std::size_t count() const;            // values of all processes
};
using SampleMap = std::map<reports::SeriesKey, Samples>;

/// How bad a status is, worst last: ok, degraded, judged and found wrong, not measured at all.
int badness(Status status);
/// Whether a row of that status has a measurement behind it.
inline bool measured(Status status) { return badness(status) < 3; }

/// What one side of a comparison measured.
struct Side {
  std::string name;                                   // of its file or folder, without the path to it
  std::map<reports::Setting, std::int64_t> settings;  // and the rows of each
  std::set<ProcessId> processes;
  std::vector<std::string> unfinished;  // commands that did not come to their end
  SampleMap samples;
};

/// Result files and folders, as `aneval report` takes them. Rows of the fp32 reference beside a device's (a training's
/// yardstick) are left out. Errors: as read_result_set; a process that has two rows of one repetition of a metric
/// (names file, line and metric).
Side read_side(const std::vector<std::filesystem::path>& results);

}  // namespace aneval::gate
