// A whole training step, as the loop of train/ takes it, and where its time goes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "ane/weight_constants.h"
#include "bench/suites.h"
#include "common/statistics.h"
#include "train/memory.h"
#include "train/trainer.h"
#include "validate/layer_check.h"
#include "validate/weights/weights.h"

namespace aneval::bench {
namespace {

/// Layers of a quick run: one that is first and one that is last.
constexpr std::int64_t kQuickLayers = 2;
/// Entries of the vocabulary that are trained, as after compaction: a classifier of the whole Qwen3 vocabulary would
/// outweigh its layers, and a text uses a fraction of it.
constexpr std::int64_t kTrainedVocabulary = 16384;
/// Of the machine's memory; the rest is for the emulator's own buffers and whoever else is there.
constexpr double kMemoryShare = 0.8;

struct LayerChoice {
  std::int64_t layers = 0;
  std::string note;  // why they are not all
};

LayerChoice choose_layers(const SuiteOptions& options, const ModelShape& shape, const ane::Variant& variant) {
  if (options.layers)
    return {std::min(*options.layers, shape.layers), *options.layers < shape.layers ? "as asked for" : ""};
  if (options.extent == validate::Extent::quick)
    return {std::min(kQuickLayers, shape.layers), shape.layers > kQuickLayers ? "a quick run" : ""};
  if (options.memory_gib <= 0) return {shape.layers, {}};
  const double bytes = kMemoryShare * options.memory_gib * 0x1p30;
  const std::int64_t fit = train::layers_that_fit(shape, variant, bytes);
  if (fit == shape.layers) return {fit, {}};
  return {std::max<std::int64_t>(fit, 1),
          fmt::format("all {} layers need {:.1f} GiB, {:.0f} % of this machine's memory are {:.1f}", shape.layers,
                      static_cast<double>(train::training_bytes(shape, variant)) / 0x1p30, 100 * kMemoryShare,
                      bytes / 0x1p30)};
}

/// A model on its device, and the phases of every step.
struct TrainStepState {
  std::unique_ptr<ane::LayerPrograms> programs;
  std::unique_ptr<train::LayerBackend> backend;
  std::unique_ptr<train::Trainer> trainer;
  train::TokenIds tokens;
  std::unique_ptr<train::SequenceSampler> data;
  train::StepResult last;
  const ane::Device* device = nullptr;
  std::int64_t compiles_before = 0, compiles = 0;  // of the programs, and of the first step
  std::map<train::PhaseTimes::Key, std::vector<double>> phases;
};

std::shared_ptr<TrainStepState> make_state(const SuiteOptions& options, const ModelShape& shape,
                                           const ane::Variant& variant) {
  const validate::CheckOptions& check = options.cases->options();
  // Its layers are judged before they are timed.
  validate::Case c;
  c.kernel = "layer";
  c.shape = shape;
  c.variant = variant;
  c.seed = options.seed;
  (void)options.cases->layer(c, validate::random_layer_tensors(c));

  auto state = std::make_shared<TrainStepState>();
  ModelShape text = shape;
  text.seq = 64 * shape.seq;
  state->tokens = validate::random_tokens(text, options.seed);
  state->data = std::make_unique<train::SequenceSampler>(state->tokens, shape.seq, options.seed);
  state->device = check.device;
  state->compiles_before = check.device->counters().compile_attempts;
  state->programs = std::make_unique<ane::LayerPrograms>(*check.device, check.registry, shape, variant, check.programs);
  state->backend = train::make_device_backend(*state->programs, {.pool = check.pool});
  train::TrainSettings settings;
  // Small enough for any number of steps on random tokens.
  settings.schedule = {.peak = 1e-4, .warmup = 10, .steps = 1000};
  state->trainer = std::make_unique<train::Trainer>(train::TrainState::of(validate::random_model(shape, options.seed)),
                                                    *state->backend, settings, check.pool);
  return state;
}

void take_step(TrainStepState& state) {
  train::PhaseTimes times;
  state.last = state.trainer->step(*state.data, times);
  if (state.compiles == 0) state.compiles = state.device->counters().compile_attempts - state.compiles_before;
  for (const auto& [key, nanoseconds] : times.all()) state.phases[key].push_back(static_cast<double>(nanoseconds));
}

void check_step(const TrainStepState& state) {
  if (state.last.overflow || !std::isfinite(state.last.loss))
    throw Error(ExitCode::check_failed, fmt::format("train step {}", state.last.step),
                "its loss or a gradient is not finite", "validate the layer: aneval validate --kernel layer");
}

/// Median time of every phase and its share of the step's, and what holds for the whole run.
std::vector<Record> step_facts(const TrainStepState& state, const Record& row, const LayerChoice& choice) {
  std::vector<Record> rows;
  const double whole = median(state.phases.at({"step", "train_step"}));
  for (const auto& [key, times] : state.phases) {
    if (key.second == "train_step") continue;
    Record phase = row;
    phase.item = "train_step." + key.first;
    phase.phase = key.second;
    rows.push_back(fact(phase, "time", median(times)));
    rows.push_back(fact(phase, "ratio", median(times) / whole));
  }
  rows.push_back(fact(row, "tokens_per_s", static_cast<double>(*row.seq) * 1e9 / whole));
  Record all = row;
  all.item = "all";
  rows.push_back(fact(all, "compile_count", static_cast<double>(state.compiles)));
  rows.push_back(fact(all, "layers", static_cast<double>(choice.layers)));
  rows.back().text = choice.note;
  return rows;
}

Subject train_subject(const SuiteOptions& options, const ModelShape& shape, const ane::Variant& variant,
                      const LayerChoice& choice) {
  const auto state = make_state(options, shape, variant);
  Subject subject;
  subject.run = [state] { take_step(*state); };
  subject.after = [state] { check_step(*state); };
  subject.warm = [state] { state->phases.clear(); };
  subject.facts = [state, choice](const Record& row) { return step_facts(*state, row, choice); };
  subject.counters = [state, shape] {
    const double whole = median(state->phases.at({"step", "train_step"}));
    return std::vector<std::pair<std::string, double>>{{"tokens/s", static_cast<double>(shape.seq) * 1e9 / whole}};
  };
  return subject;
}

/// The variant asked for and, when its weights are on surfaces, beside it the one that compiles them in. That one is
/// left out where compiles are counted (a few steps would use them up), and with programs from files, which hold
/// weights of their own.
std::vector<ane::Variant> variants_beside(const SuiteOptions& options) {
  std::vector<ane::Variant> variants = {options.variant};
  const bool counted = options.cases && options.cases->options().device->compile_limit();
  const bool external = options.cases && !options.cases->options().programs.programs.empty();
  if (ane::are_constants(options.variant.weights) || counted || external) return variants;
  variants.push_back(options.variant);
  variants.back().weights = ane::Weights::compiled;
  return variants;
}

Benchmark train_benchmark(const SuiteOptions& options, ModelShape shape, const ane::Variant& variant) {
  shape.vocab = std::min(shape.vocab, kTrainedVocabulary);
  const LayerChoice choice = choose_layers(options, shape, variant);
  shape.layers = choice.layers;
  validate::Case c;
  c.kernel = "layer";
  c.shape = shape;
  c.variant = variant;
  c.seed = options.seed;
  Benchmark benchmark;
  benchmark.name = fmt::format("train_step/{}/layers={}", case_name(c), shape.layers);
  benchmark.row = case_row(c, "train_step");
  // Steps of a large model take seconds; repetitions are what adds samples.
  benchmark.iterations = 1;
  benchmark.prepare = [options, shape, variant, choice] { return train_subject(options, shape, variant, choice); };
  return benchmark;
}

}  // namespace

std::vector<Benchmark> train_suite(const SuiteOptions& options) {
  std::vector<Benchmark> benchmarks;
  for (const ModelShape& shape : options.shapes)
    for (const ane::Variant& variant : variants_beside(options))
      benchmarks.push_back(train_benchmark(options, shape, variant));
  return benchmarks;
}

}  // namespace aneval::bench
