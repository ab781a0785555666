// Training runs as records, and back: loss curves out of the rows of a run that is continued.
#pragma once

#include <string>
#include <vector>

#include "common/record.h"
#include "train/run.h"

namespace aneval::train {

/// The columns that all rows of a run share: model, seq, variant, and its name in `case` ("run=device;loss_scale=256").
Record run_row(const RunContext& context, const Experiment& experiment, const std::string& run);

/// Everything that a step reported. Times only when `with_times`.
std::vector<Record> step_rows(const Record& row, const StepReport& report, std::int64_t tokens, bool with_times);

/// A run's losses by step from such rows; those of steps that the run's checkpoint does not know are left out.
std::vector<double> losses_in(const std::vector<Record>& rows, const Record& row, std::int64_t steps);
/// The rows of the run's steps before `steps`.
std::vector<Record> rows_before(const std::vector<Record>& rows, const Record& row, std::int64_t steps);

}  // namespace aneval::train
