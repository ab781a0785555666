// A run into the history (history.h): what is judged of it, one row per metric.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace aneval::gate {

struct Appended {
  std::string run_id;
  std::string file;      // of the history, without folders
  std::size_t rows = 0;  // 0: the run is in the history already
};

/// Appends the runs of result files and folders, as `aneval report` takes them, each on the disk as a whole when this
/// returns. Rows of one run_id, measured with the same things, are one run, however many files they are from; a run
/// that the history has already is left alone. Makes the folder when it is missing.
///
/// Stored are: timings of benchmarks (of the rows that have a `benchmark` fact, when the run has such facts) and of the
/// controls; metrics that the gate has a rule for, with what their tolerances are relative to; `benchmark` facts; rows
/// of failures. A time is the median over processes of medians of repetitions. When the controls ran in every process,
/// each process is first brought to the run's median speed by them, so that it does not matter which process ran which
/// benchmarks. Deterministic values that differ within the run are a row with the status `unstable` and no value.
///
/// Errors: what read_history() refuses, in the folder as it is; nothing to append; processes that never ended; times
/// that are not above zero. A refusal when another process is appending.
std::vector<Appended> append_runs(const std::filesystem::path& folder,
                                  const std::vector<std::filesystem::path>& results);

}  // namespace aneval::gate
