// Results of checks as records.
#pragma once

#include <vector>

#include "common/record.h"
#include "validate/layer_check.h"

namespace aneval::validate {

/// One row per block and metric, one for the case as a whole, one each for the program's and the output's hash.
std::vector<Record> case_rows(const RunContext& run, const CaseResult& result);
std::vector<Record> layer_rows(const RunContext& run, const LayerResult& result);

}  // namespace aneval::validate
