// The words of result files: metrics with their units, and phases. Whoever writes rows uses these and no others, so
// that reports, gates and other people's scripts find them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/record.h"

namespace aneval {

struct MetricName {
  std::string_view name, unit;  // unit empty for texts
  std::string_view meaning;
};

const std::vector<MetricName>& metric_names();
/// Null when there is no such metric.
const MetricName* find_metric(std::string_view name);

/// A row with another metric, in that metric's unit. Throws std::logic_error for a word that is not in the list.
Record fact(const Record& row, std::string_view metric, double value);
Record fact(const Record& row, std::string_view metric, std::string text);

struct PhaseName {
  std::string_view name, meaning;
};

const std::vector<PhaseName>& phase_names();

}  // namespace aneval
