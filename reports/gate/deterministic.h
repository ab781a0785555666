// What needs no statistics: counts, sizes and hashes are equal or not, fp16 errors hold their contract and their base
// (rules.h), a case that held must hold.
#pragma once

#include <map>
#include <vector>

#include "reports/gate/outcome.h"

namespace aneval::gate {

using SeriesMap = std::map<reports::SeriesKey, reports::Series>;

/// One finding per series that has a rule, or a status, on either side. Values of one side that differ among themselves
/// are an error: nothing deterministic does that.
std::vector<Finding> judge_deterministic(const SeriesMap& base, const SeriesMap& now);

}  // namespace aneval::gate
