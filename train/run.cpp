#include "train/run.h"

#include <fmt/format.h>

#include "common/hash.h"

namespace aneval::train {
namespace {

TrainState state_of(const Experiment& experiment, std::optional<Checkpoint> from, const std::filesystem::path& file) {
  if (!from) return TrainState::of(experiment.model);
  check_continues(*from, experiment.model.shape, experiment.ids, experiment.identity(), file);
  return std::move(from->state);
}

}  // namespace

std::string Experiment::identity() const {
  Hasher hasher;
  hasher.add(tokens.data(), tokens.size() * sizeof tokens[0]);
  return fmt::format("{};cyclic_heads={};data={}", settings.text(), cyclic_heads, hasher.digest());
}

TrainingRun::TrainingRun(const Experiment& experiment, LayerBackend& backend, std::filesystem::path checkpoint_file,
                         std::optional<Checkpoint> from)
    : experiment_(experiment),
      backend_(backend),
      checkpoint_file_(std::move(checkpoint_file)),
      data_(experiment.tokens, experiment.model.shape.seq, experiment.settings.seed),
      trainer_(state_of(experiment, std::move(from), checkpoint_file_), backend, experiment.settings, experiment.pool) {
}

void TrainingRun::look_at_gradients(DroppedProducts* dropped) {
  reference_ = make_reference_backend(experiment_.model.shape, experiment_.cyclic_heads);
  dropped_ = dropped;
}

Parameters TrainingRun::reference_gradients() {
  const TrainState& state = trainer_.state();
  const TrainSettings& settings = experiment_.settings;
  Parameters gradients = zeros_like(state.weights);
  PhaseTimes nobodys;
  reference_->stage(state.weights.layers, state.step, nobodys);
  ModelPass pass(state.shape, *reference_, experiment_.pool);
  for (std::int64_t micro = 0; micro < settings.accum; ++micro)
    pass.run(state.weights, data_.sequence(state.step, micro),
             settings.loss_scale / static_cast<double>(settings.accum), gradients, nobodys);
  return gradients;
}

bool TrainingRun::go(const std::function<bool(const StepReport&)>& report) {
  const std::int64_t steps = experiment_.settings.schedule.steps;
  while (trainer_.state().step < steps) {
    const std::int64_t step = trainer_.state().step;
    const bool looks = reference_ && (step % experiment_.look_every == 0 || step + 1 == steps);
    // Before the step: afterwards the weights are others.
    std::optional<Parameters> expected;
    if (looks) expected = reference_gradients();
    if (looks && dropped_ != nullptr) dropped_->measure(true);
    StepReport result;
    result.result = trainer_.differentiate(data_, result.times);
    // Between gradients and update: afterwards the weights are others.
    if (dump_.steps.contains(step)) {
      write_step_dump(dump_, {trainer_.state(), trainer_.gradients(), result.result, experiment_.settings, data_,
                              experiment_.ids, experiment_.vocab});
      result.dump = dump_.file(step);
    }
    trainer_.apply(result.result, result.times);
    if (looks) {
      result.look = Look{compare_gradients(trainer_.gradients(), *expected), backend_.largest_activation(), {}};
      if (dropped_ != nullptr) {
        result.look->dropped = dropped_->fractions();
        dropped_->measure(false);
      }
    }
    const bool goes_on = report(result);
    if (!goes_on || trainer_.state().step == steps || trainer_.state().step % experiment_.checkpoint_every == 0)
      write_checkpoint(checkpoint_file_, trainer_.state(), experiment_.ids, experiment_.vocab, experiment_.identity());
    if (!goes_on) return trainer_.state().step == steps;
  }
  return true;
}

}  // namespace aneval::train
