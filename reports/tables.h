// The tables of one setting (summary.h puts them together).
#pragma once

#include <array>
#include <map>
#include <vector>

#include "reports/report.h"

namespace aneval::reports {

using SettingsMap = std::map<Setting, SeriesMap>;

/// Median time of every phase of every kernel, one table per model.
std::vector<Table> phase_tables(const SeriesMap& series);
/// Errors of every kernel against the reference, the worst of its blocks and cases, one table per model. Models that
/// were timed stand first; the others are folded.
std::vector<Table> error_tables(const SeriesMap& series);
/// Per kernel and block: the largest part of each gate's limit that any case reached, one table per model; and how
/// errors are distributed against bounds and standard deviations.
std::vector<Table> gate_tables(const SeriesMap& series);
/// Time of a layer forward and backward, and the share of its steps.
std::vector<Table> layer_tables(const SeriesMap& series);
/// What the CPU does between kernels, conversions, and what the host can do.
std::vector<Table> host_tables(const SeriesMap& series);
/// Per product of every kernel: bits to the accumulator's limit and the share of dropped products, a column per loss
/// scale; one table per model.
std::vector<Table> headroom_tables(const SeriesMap& series);
/// Per last-axis slice: the largest magnitude against 4094, a column per loss scale; one table per model.
std::vector<Table> slice_tables(const SeriesMap& series);
/// Operations whose operands were NaN or infinite.
std::vector<Table> special_tables(const SeriesMap& series);
/// The rules of the emulator's profile and their evidence.
std::vector<Table> profile_tables(const SeriesMap& series);
/// The emulator's exact products against fp32; empty when they were not measured.
std::vector<Table> arithmetic_tables(const SeriesMap& series);
/// What was held against a yardstick, with targets; empty when nothing was.
std::vector<Table> ratio_tables(const SeriesMap& series);
/// The slowest kernel of every phase against memcpy and the peak of fused multiply-adds, and every kernel's shares;
/// empty when the host was not measured.
std::vector<Table> roof_tables(const SeriesMap& series);

/// What this machine can do at best, as measured in the same run; 0: it was not.
struct Roofs {
  double bandwidth = 0;  // of memcpy from memory, GB/s read and written
  double peak = 0;       // of fused multiply-adds on all threads, TFLOP/s
};
Roofs roofs_of(const SeriesMap& series);

// Of all settings, side by side:

struct ErrorPart {
  const char *metric, *name;
};
inline constexpr std::array<ErrorPart, 4> kErrorParts = {{{"error_input", "rounding of inputs"},
                                                          {"error_constants", "rounding of constants"},
                                                          {"error_output_rounding", "rounding of the output"},
                                                          {"error_arithmetic", "arithmetic"}}};

/// The end-to-end error of a block, of its worst case under one setting.
struct ErrorSource {
  std::size_t setting = 0;  // place in the map
  SeriesKey key = {};
  std::string kernel = {};  // with what tells its data apart
  double total = 0, reference = 0, relative = 0;
  bool has_parts = false;
  std::array<double, 4> shares = {};  // of kErrorParts in the sum of squares
  std::string excess = {};            // "exact" when the device is right everywhere
};
std::vector<ErrorSource> error_sources(const SettingsMap& settings);

/// Per kernel and block: the error end to end, its parts and its excess; one table per model.
std::vector<Table> source_tables(const SettingsMap& settings);
/// Per tensor of a layer, in the order of its steps: the error and what the step itself added.
std::vector<Table> growth_tables(const SettingsMap& settings);

/// Defects that the self-test committed, and its healthy runs.
std::vector<Table> defect_tables(const SeriesMap& series);

}  // namespace aneval::reports
