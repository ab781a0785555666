// Judged cases: what validate made of each, from its rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reports/result_set.h"

namespace aneval::reports {

struct JudgedCase {
  std::size_t setting = 0;  // place in ResultSet::settings
  SeriesKey key = {};       // of the case: no item, metric empty
  Status status = Status::ok;
  std::string reason = {};
  double bound_ratio = 0;             // the largest of its blocks
  std::optional<double> snr_db = {};  // the smallest; none: exact, or the data are no model's
  double ns = 0;
};

/// In the order of the rows, setting by setting. Rows that only look at data under other loss scales are no case.
std::vector<JudgedCase> judged_cases(const ResultSet& set);

}  // namespace aneval::reports
