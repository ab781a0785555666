// The journals of shards as one sweep.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tuning/sweep.h"

namespace aneval::tuning {

struct MergedSweep {
  std::vector<std::pair<Point, PointResult>> points;  // in the order of their texts
  std::int64_t duplicates = 0;                        // points that more than one journal has
  std::vector<std::string> conflicts;  // duplicates whose status, program or error differ: what does not depend on the
                                       // moment, and so is the same on machines that are the same
  std::string setting;                 // of the journals
  std::map<std::string, std::vector<double>> processes;  // that confirmed winners
  std::size_t blocks = 0;                                // of them, as the sweep's file says
  std::optional<double> error_ratio;                     // the same
};

/// Of a point that several have the first one counts. Errors (exit 2): a journal that cannot be read, a file given
/// twice, sweeps of different files or settings (with what differs).
MergedSweep merge_journals(const std::vector<std::filesystem::path>& journals);

}  // namespace aneval::tuning
