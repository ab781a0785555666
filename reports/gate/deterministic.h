// What needs no statistics: counts, sizes and hashes are equal or not, fp16 errors hold their contract and their base
// (rules.h), a case that held must hold. Also what is there at all: a benchmark that is on one side only is NEW or
// REMOVED here, once, whatever metrics it has.
#pragma once

#include <vector>

#include "reports/gate/outcome.h"
#include "reports/gate/samples.h"

namespace aneval::gate {

/// One finding per metric that has a rule and is on both sides; one per case or benchmark that was validated, did not
/// hold on either side, or is on one side only (kind contract, its key without metric and item). Values of one side
/// that differ among themselves are an error: nothing deterministic does that. Rows of training steps count together,
/// per run, and only where they are exact.
std::vector<Finding> judge_deterministic(const SampleMap& base, const SampleMap& now);

/// Whether `time` rows of this phase are a measurement of what is benchmarked. A validation's own duration is none.
bool is_timed(const reports::SeriesKey& key);

/// The case or benchmark that a row belongs to: its key without metric and item.
reports::SeriesKey whole(reports::SeriesKey key);

}  // namespace aneval::gate
