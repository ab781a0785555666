// The runs of `aneval train` in one folder: the fp32 reference, the controls, and the device, one after the other on
// the same model, data and settings, so that only one of them is in memory at a time.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/command.h"
#include "common/result_file.h"
#include "train/rows.h"

namespace aneval::cli {

struct TrainRunOptions {
  std::filesystem::path folder;      // for results.csv and the checkpoints of the other runs
  std::filesystem::path checkpoint;  // the device run's
  bool resume = false;               // from the checkpoints that are there
  bool overlap = false;              // weight gradients on a thread of their own
  int controls = train::kControls;
  train::DumpOptions dump;  // of the device's steps
};

class TrainRuns {
 public:
  /// Compiles the programs that all layers share; the session's proof has been given. Errors: a run lies in the folder
  /// and is not to be continued, checkpoints of another run, a compile limit that does not allow for one step.
  TrainRuns(const TrainRunOptions& options, const DeviceOptions& device, Session& session,
            const train::Experiment& experiment);

  /// All runs to their end; what was found goes to standard output and results.csv. Returns the exit code: 1 when the
  /// device compiled more than its programs, or does not train as the controls do; 128 + signal when interrupted.
  /// kGoOnInFreshProcess when the next step would compile more than the device's limit: checkpoints and rows are on
  /// disk then.
  int go();

 private:
  struct Named {
    std::string name;
    std::filesystem::path checkpoint;
    Record row;                  // the columns of its rows
    std::int64_t done = 0;       // steps that its checkpoint holds
    std::vector<double> losses;  // of the steps that there are rows of: the last of the `done`, and those made here
  };

  Named named(const std::string& name, std::filesystem::path checkpoint, const RunContext& context) const;
  /// What an earlier process left: rows to keep, and how far every run is.
  std::vector<Record> take_up();
  bool run(Named& run, train::LayerBackend& backend, train::DroppedProducts* dropped);
  bool run_device();
  /// Compiles of the device since the last call, as a row of that step.
  Record step_compiles(std::int64_t step);
  /// Whether staging another step would go beyond the limit.
  bool compiles_spent() const;
  bool check_compiles();
  bool judge();

  TrainRunOptions options_;
  Session& session_;
  const train::Experiment& experiment_;
  std::int64_t proof_compiles_;  // of every process
  ane::CompileCounts claimed_;   // what a process and a step compile
  ane::LayerPrograms programs_;
  std::vector<Named> others_;  // the reference first, then the controls
  Named device_;
  std::unique_ptr<ResultFile> results_;
  // Of the device's steps that there are rows of, those of earlier processes among them.
  train::PhaseTimes times_;
  std::int64_t timed_steps_ = 0;
  std::int64_t compiled_before_ = 0, processes_before_ = 0;
  std::int64_t compiles_in_rows_ = 0;  // of this process
};

}  // namespace aneval::cli
