// A whole training run: from a state to the last step, with checkpoints on the way and, at some of the steps, a look at
// the gradients. A comparison is several such runs on the same model, data and settings.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "train/checkpoint.h"
#include "train/comparison.h"
#include "train/dropped_products.h"
#include "train/step_dump.h"

namespace aneval::train {

/// What all runs of a comparison share. The model has the compacted vocabulary, the tokens its ids.
struct Experiment {
  reference::Model model;
  TokenIds ids, tokens;
  std::int64_t vocab = 0;  // entries before compaction
  TrainSettings settings;
  std::int64_t look_every = 10;        // steps between two looks at the gradients
  std::int64_t checkpoint_every = 10;  // steps between two checkpoints
  bool cyclic_heads = false;
  ThreadPool* pool = nullptr;

  /// Settings and data in one text: runs with equal ones take the same steps.
  std::string identity() const;
};

/// What was seen at a step whose gradients were looked at.
struct Look {
  std::vector<GradientError> errors;  // against the fp32 reference at the same weights
  double largest_activation = 0;
  std::map<std::string, double> dropped;  // share of products, by kernel; empty when nobody measures
};

struct StepReport {
  StepResult result;
  PhaseTimes times;
  std::optional<Look> look;
  std::optional<std::filesystem::path> dump;  // the file, when the step was dumped
};

/// One run of an experiment. Its state is what the checkpoint holds, when one is given, or the beginning.
class TrainingRun {
 public:
  /// Errors: as check_continues.
  TrainingRun(const Experiment& experiment, LayerBackend& backend, std::filesystem::path checkpoint_file,
              std::optional<Checkpoint> from);

  /// Looks at gradients at every look_every-th step and the last. `dropped` may be null.
  void look_at_gradients(DroppedProducts* dropped);

  /// Writes the steps that `options` names to files, which changes no bit of the run and takes no time from its phases.
  void dump_steps(const DumpOptions& options) { dump_ = options; }

  /// Up to the last step of the schedule. `report` gets every step before a checkpoint holds it, so that a killed
  /// process has reported at least what its checkpoint knows; when it returns false the run stops. The last state is
  /// always written. Returns whether the run came to its end.
  bool go(const std::function<bool(const StepReport&)>& report);

 private:
  /// Of the coming step, by the reference at the weights that it starts from, loss scale included.
  Parameters reference_gradients();

  const Experiment& experiment_;
  LayerBackend& backend_;
  std::filesystem::path checkpoint_file_;
  SequenceSampler data_;
  Trainer trainer_;
  std::unique_ptr<LayerBackend> reference_;  // when gradients are looked at
  DroppedProducts* dropped_ = nullptr;
  DumpOptions dump_;
};

}  // namespace aneval::train
