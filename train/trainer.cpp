#include "train/trainer.h"

#include <fmt/format.h>

#include <cmath>

namespace aneval::train {

std::string TrainSettings::text() const {
  return fmt::format(
      "accum={};lr={};final_share={};warmup={};steps={};beta1={};beta2={};eps={};weight_decay={};clip={};loss_scale={};"
      "seed={}",
      accum, schedule.peak, schedule.final_share, schedule.warmup, schedule.steps, adam.beta1, adam.beta2, adam.eps,
      adam.weight_decay, clip, loss_scale, seed);
}

TrainState TrainState::of(reference::Model model) {
  TrainState state;
  state.shape = std::move(model.shape);
  state.weights = {std::move(model.globals), std::move(model.layers)};
  state.moments = {zeros_like(state.weights), zeros_like(state.weights), 0};
  return state;
}

Trainer::Trainer(TrainState state, LayerBackend& backend, const TrainSettings& settings, ThreadPool* pool)
    : state_(std::move(state)),
      backend_(backend),
      settings_(settings),
      pool_(pool),
      pass_(state_.shape, backend, pool),
      gradients_(zeros_like(state_.weights)) {}

StepResult Trainer::step(const SequenceSampler& data, PhaseTimes& times) {
  const StepResult result = differentiate(data, times);
  apply(result, times);
  return result;
}

StepResult Trainer::differentiate(const SequenceSampler& data, PhaseTimes& times) {
  const PhaseScope whole(times, "step", "train_step");
  StepResult result;
  result.step = state_.step;
  result.rate = settings_.schedule.rate(state_.step);
  backend_.stage(state_.weights.layers, state_.step, times);
  {
    const PhaseScope scope(times, "step", "optimizer");
    fill_zeros(gradients_);
  }
  // Averaging is part of the scale: it costs nothing, and the layers see gradients of one size whatever accum is.
  const double share = 1 / static_cast<double>(settings_.accum);
  for (std::int64_t micro = 0; micro < settings_.accum; ++micro)
    result.loss += share * pass_.run(state_.weights, data.sequence(state_.step, micro), settings_.loss_scale * share,
                                     gradients_, times);
  const PhaseScope scope(times, "step", "optimizer");
  result.gradient_norm = global_norm(gradients_, pool_) / settings_.loss_scale;
  result.overflow = !std::isfinite(result.gradient_norm);
  return result;
}

void Trainer::apply(const StepResult& result, PhaseTimes& times) {
  const PhaseScope whole(times, "step", "train_step");
  if (!result.overflow) {
    const PhaseScope scope(times, "step", "optimizer");
    update(settings_.adam, result.rate, clip_factor(result.gradient_norm, settings_.clip) / settings_.loss_scale,
           gradients_, state_.weights, state_.moments, pool_);
  }
  ++state_.step;
}

}  // namespace aneval::train
