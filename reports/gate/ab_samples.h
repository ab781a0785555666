// What one process of `aneval bench` delivered for a comparison of two builds: one time per benchmark, or why there is
// none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/gate/samples.h"

namespace aneval::gate {

/// A benchmark in one process.
struct Sample {
  reports::SeriesKey key;    // of its times
  std::int64_t version = 1;  // of what is timed
  double ns = 0;             // median of all its samples; only without trouble
  std::string trouble = {};  // why it has no time
};

struct Measured {
  std::vector<std::string> expected = {};         // names that it was asked for and knows
  std::map<std::string, Sample> benchmarks = {};  // by name
  std::string trouble = {};                       // how it ended, when not well
  std::optional<std::int64_t> thermal = {};       // the highest pressure it told
  bool throttled = false;                         // pressure was not zero, or changed

  /// Whether it timed anything.
  bool delivered() const;
  /// Why it has no time of this benchmark; empty when it has one.
  std::string trouble_of(const std::string& name) const;
};

/// Reads the result file of a process, or what it left of it. Rows whose metric has a rule (rules.h) go into `facts`.
/// A file that is none, has another schema, or names a benchmark twice delivers nothing: `trouble` says why. `ended`
/// says how the process ended, empty when well.
Measured read_measured(const std::filesystem::path& file, const std::string& ended, SampleMap& facts);

}  // namespace aneval::gate
