// What `aneval train` prints of its steps: one line of progress, lines of the steps that were looked at, where the time
// went.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/rows.h"

namespace aneval::cli {

/// A step of that run. `reference_losses`: of the fp32 reference by step, for the device's run; null for the others,
/// of which there is only progress.
void show_step(const std::string& run, const train::StepReport& report, const std::vector<double>* reference_losses);

/// The mean over `steps` of every phase, each step of `tokens` tokens. Nothing when there was no step.
void show_phases(const train::PhaseTimes& times, std::int64_t steps, std::int64_t tokens);

}  // namespace aneval::cli
