// What became of a point: its status, what it costs in time and accuracy, and the rows that tell. A line of JSON in a
// worker's reply and in the journal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/record.h"

namespace aneval::tuning {

struct PointResult {
  Status status = Status::ok;
  std::string reason;   // when the status is not ok
  double time_ns = 0;   // sum over the sweep's phases of their medians; meaningless unless timed
  double error = 0;     // largest relative rms error of an output against the reference
  double bytes = 0;     // staged on its surfaces: of two equally fast points the smaller one wins
  std::string program;  // program_identity of the kernel; empty for layers
  std::int64_t compiles = 0;
  double seconds = 0;  // that it took, checks and all
  std::vector<Record> rows;

  /// Right, if perhaps with a warning: a point that may be ranked.
  bool usable() const { return (status == Status::ok || status == Status::degraded) && time_ns > 0; }
};

std::string result_json(const PointResult& result);
/// Errors: nlohmann's exceptions, a status that does not exist, compiles that are no whole number, those of reading
/// rows.
PointResult parse_result(std::string_view json);

}  // namespace aneval::tuning
