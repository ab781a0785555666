// The tables of one setting (summary.h puts them together).
#pragma once

#include <map>
#include <vector>

#include "reports/summary.h"

namespace aneval::reports {

using SeriesMap = std::map<SeriesKey, Series>;

/// Median time of every phase of every kernel, one table per model.
std::vector<Table> phase_tables(const SeriesMap& series);
/// Errors of every kernel against the reference, the worst of its blocks and cases, one table per model. Models that
/// were timed stand first; the others are folded.
std::vector<Table> error_tables(const SeriesMap& series);
/// Time of a layer forward and backward, and the share of its steps.
std::vector<Table> layer_tables(const SeriesMap& series);
/// What the CPU does between kernels, conversions, and what the host can do.
std::vector<Table> host_tables(const SeriesMap& series);
/// The slowest kernel of every phase against memcpy and the peak of fused multiply-adds; empty when the host was not
/// measured.
std::vector<Table> roof_tables(const SeriesMap& series);

}  // namespace aneval::reports
