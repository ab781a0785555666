// `aneval compare BASE NEW`: two result files or folders. What is deterministic gates; times were taken at different
// moments, so whatever they say is advisory and fails nothing (`--ab` measures both builds interleaved).
#pragma once

#include "reports/gate/outcome.h"
#include "reports/gate/samples.h"
#include "reports/gate/thresholds.h"

namespace aneval::gate {

/// What `report` takes, on either side. Refused when they have different schemas; otherwise as below. Errors:
/// read_side().
Outcome compare_files(const std::vector<std::filesystem::path>& base, const std::vector<std::filesystem::path>& now,
                      bool timing, const Thresholds& thresholds = {});

/// Refused, naming field and both values, when the sides were not measured with the same chip, OS, build, backend and
/// profile, or one of them mixes several. Times with two processes or more on both sides go through single_stage(),
/// others have their medians compared; not at all without `timing`.
Outcome compare_sides(const Side& base, const Side& now, bool timing, const Thresholds& thresholds = {});

}  // namespace aneval::gate
