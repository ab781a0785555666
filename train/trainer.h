// The training loop, one step at a time: staging, gradients of some sequences on a backend, clipping, AdamW. It is
// the same for every backend, and a step depends on state, data and settings alone: a run that is continued from a
// checkpoint gets the bits of one that never stopped.
#pragma once

#include <cstdint>
#include <string>

#include "train/layer_backend.h"
#include "train/model_pass.h"
#include "train/optimizer.h"
#include "train/tokens.h"

namespace aneval::train {

/// What a run is asked to do, apart from model, data and backend.
struct TrainSettings {
  std::int64_t accum = 1;  // sequences per step, whose gradients are averaged
  Schedule schedule;
  AdamW adam;
  double clip = 1;          // largest global norm of the averaged gradients; 0: no clipping
  double loss_scale = 256;  // factor of all gradients on their way through the layers
  std::uint64_t seed = 1;   // of the order of the data

  /// "accum=1;lr=0.0003;…": equal for runs that take the same steps.
  std::string text() const;
};

/// Everything that a step changes.
struct TrainState {
  ModelShape shape;
  Parameters weights;
  Moments moments;
  std::int64_t step = 0;  // the next one

  /// Before the first step.
  static TrainState of(reference::Model model);
};

struct StepResult {
  std::int64_t step = 0;
  double loss = 0;           // nats per token, mean over the step's sequences, before the update
  double gradient_norm = 0;  // global, without the loss scale, before clipping; not finite after an overflow
  double rate = 0;           // learning rate
  bool overflow = false;     // a gradient was not finite: no weight was changed
};

class Trainer {
 public:
  /// The backend must outlive this.
  Trainer(TrainState state, LayerBackend& backend, const TrainSettings& settings, ThreadPool* pool);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// differentiate() and apply(). Where the step's time went is added to `times`, the whole of it as `train_step` of
  /// `step`.
  StepResult step(const SequenceSampler& data, PhaseTimes& times);

  /// Loss and gradients of the coming step; the state stays as it is. Stages its weights first: what the last update
  /// made is staged when a step needs it, or never.
  StepResult differentiate(const SequenceSampler& data, PhaseTimes& times);
  /// The update by these gradients, unless they overflowed.
  void apply(const StepResult& result, PhaseTimes& times);

  const TrainState& state() const { return state_; }
  /// Of the last differentiate(), averaged, times the loss scale.
  const Parameters& gradients() const { return gradients_; }

 private:
  TrainState state_;
  LayerBackend& backend_;
  TrainSettings settings_;
  ThreadPool* pool_;
  ModelPass pass_;
  Parameters gradients_;
};

}  // namespace aneval::train
