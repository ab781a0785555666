#include "train/trainer.h"

#include <gmock/gmock.h>

#include <cmath>

#include "train/test_support.h"

namespace aneval::train {
namespace {

std::vector<StepResult> train(Trainer& trainer, const TokenIds& tokens, std::int64_t seq, std::int64_t steps) {
  const SequenceSampler data(tokens, seq, 1);
  PhaseTimes times;
  std::vector<StepResult> results;
  for (std::int64_t i = 0; i < steps; ++i) results.push_back(trainer.step(data, times));
  return results;
}

/// Tokens that repeat: there is something to learn.
TokenIds periodic(std::int64_t count) {
  TokenIds tokens;
  for (std::int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<std::int32_t>(i * i % 23));
  return tokens;
}

TEST(Trainer, LearnsOnEveryBackendAndTheyStayTogether) {
  const ModelShape shape = small_shape();
  const TokenIds tokens = periodic(400);
  const auto reference = make_reference_backend(shape);
  DeviceRun device(shape);
  Trainer on_reference(TrainState::of(small_model(shape)), *reference, small_settings(30), nullptr);
  Trainer on_device(TrainState::of(small_model(shape)), *device.backend, small_settings(30), nullptr);
  const auto expected = train(on_reference, tokens, shape.seq, 30), got = train(on_device, tokens, shape.seq, 30);
  EXPECT_LT(expected.back().loss, 0.5 * expected.front().loss);
  for (std::size_t i = 0; i < 30; ++i) {
    EXPECT_FALSE(got[i].overflow);
    // The first step differs by the rounding of two layers; after that by what an optimizer makes of it.
    EXPECT_NEAR(got[i].loss, expected[i].loss, (i == 0 ? 0.01 : 0.05) * expected[0].loss);
  }
}

TEST(Trainer, CompilesTenProgramsForAnyNumberOfLayersAndSteps) {
  for (const std::int64_t layers : {1, 3}) {
    const ModelShape shape = small_shape(16, layers);
    DeviceRun device(shape);
    Trainer trainer(TrainState::of(small_model(shape)), *device.backend, small_settings(), nullptr);
    train(trainer, periodic(100), shape.seq, 3);
    EXPECT_EQ(device.device->counters().compile_attempts, 10);
  }
}

// Eight of the ten kernels hold weights; a step compiles those of every layer, and nothing is compiled after the last.
TEST(Trainer, StaticWeightsCompileInEveryStepAndChangeNoBit) {
  for (const char* variant : {"default", "score_scale=folded;pad=32"}) {
    for (const char* profile : {"ieee", "h13", "h16"}) {
      const ModelShape shape = small_shape(16, 3);
      const TokenIds tokens = small_tokens(shape);
      ane::Variant compiled = ane::parse_variant(variant);
      DeviceRun dynamic(shape, profile, {}, compiled);
      compiled.weights = ane::Weights::compiled;
      DeviceRun device(shape, profile, {}, compiled);
      Trainer a(TrainState::of(small_model(shape)), *dynamic.backend, small_settings(), nullptr);
      Trainer b(TrainState::of(small_model(shape)), *device.backend, small_settings(), nullptr);
      const auto expected = train(a, tokens, shape.seq, 4), got = train(b, tokens, shape.seq, 4);
      for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(got[i].loss, expected[i].loss) << profile << ' ' << i;
      EXPECT_EQ(b.gradients(), a.gradients()) << profile;
      EXPECT_EQ(b.state().weights, a.state().weights) << profile;
      EXPECT_EQ(dynamic.device->counters().compile_attempts, 10);
      EXPECT_EQ(device.device->counters().compile_attempts, 2 + 4 * 3 * 8);
      EXPECT_EQ(device.device->counters().loads, 2 + 4 * 3 * 8);
    }
  }
}

// Compiles are those of static weights; what 8 bits lose is small against what is learnt, and there.
TEST(Trainer, WeightsOfEightBitsCompileInEveryStepAndLearn) {
  const ModelShape shape = small_shape(16, 3);
  const TokenIds tokens = small_tokens(shape);
  constexpr std::size_t kSteps = 12;
  DeviceRun fp16(shape, "h16", {}, {});
  Trainer reference(TrainState::of(small_model(shape)), *fp16.backend, small_settings(), nullptr);
  const auto expected = train(reference, tokens, shape.seq, kSteps);
  for (const ane::Weights weights : {ane::Weights::int8, ane::Weights::w8a8}) {
    DeviceRun device(shape, "h16", {}, {.weights = weights});
    Trainer trainer(TrainState::of(small_model(shape)), *device.backend, small_settings(), nullptr);
    const auto got = train(trainer, tokens, shape.seq, kSteps);
    EXPECT_EQ(device.device->counters().compile_attempts, 2 + static_cast<std::int64_t>(kSteps) * 3 * 8);
    EXPECT_LT(got.back().loss, got.front().loss);
    for (std::size_t i = 0; i < kSteps; ++i) EXPECT_NEAR(got[i].loss, expected[i].loss, 0.02 * expected[i].loss) << i;
    EXPECT_NE(got.front().loss, expected.front().loss);
    // The same training again has the same bits: scales come from the step's own activations.
    DeviceRun again(shape, "h16", {}, {.weights = weights});
    Trainer second(TrainState::of(small_model(shape)), *again.backend, small_settings(), nullptr);
    EXPECT_EQ(train(second, tokens, shape.seq, kSteps).back().loss, got.back().loss);
  }
}

TEST(Trainer, AccumulationAveragesTheSequencesOfAStep) {
  const ModelShape shape = small_shape();
  const TokenIds tokens = small_tokens(shape);
  const auto backend = make_reference_backend(shape);
  TrainSettings settings = small_settings();
  settings.accum = 2;
  Trainer trainer(TrainState::of(small_model(shape)), *backend, settings, nullptr);
  const SequenceSampler data(tokens, shape.seq, 1);
  const TrainState before = TrainState::of(small_model(shape));
  PhaseTimes times;
  Parameters sum = zeros_like(before.weights);
  double loss = 0;
  backend->stage(before.weights.layers, 0, times);
  for (const std::int64_t micro : {0, 1}) {
    ModelPass pass(shape, *backend, nullptr);
    loss += 0.5 * pass.run(before.weights, data.sequence(0, micro), 128, sum, times);
  }
  const StepResult result = trainer.step(data, times);
  EXPECT_EQ(result.loss, loss);
  EXPECT_EQ(trainer.gradients(), sum);
  EXPECT_DOUBLE_EQ(result.gradient_norm, global_norm(sum) / 256);
}

TEST(Trainer, TheLossScaleLeavesTheUpdateAsItIs) {
  const ModelShape shape = small_shape();
  const TokenIds tokens = small_tokens(shape);
  const auto first = make_reference_backend(shape), second = make_reference_backend(shape);
  TrainSettings settings = small_settings();
  settings.loss_scale = 1;
  Trainer plain(TrainState::of(small_model(shape)), *first, settings, nullptr);
  settings.loss_scale = 1024;
  Trainer scaled(TrainState::of(small_model(shape)), *second, settings, nullptr);
  train(plain, tokens, shape.seq, 4);
  train(scaled, tokens, shape.seq, 4);
  EXPECT_EQ(plain.state().weights, scaled.state().weights) << "a power of two changes no bit in fp32";
}

TEST(Trainer, AnOverflowSkipsTheStepAndChangesNothing) {
  const ModelShape shape = small_shape();
  const TokenIds tokens = small_tokens(shape);
  DeviceRun device(shape);
  TrainSettings settings = small_settings();
  settings.loss_scale = 0x1p40;
  Trainer trainer(TrainState::of(small_model(shape)), *device.backend, settings, nullptr);
  const auto results = train(trainer, tokens, shape.seq, 2);
  for (const StepResult& result : results) {
    EXPECT_TRUE(result.overflow);
    EXPECT_TRUE(std::isfinite(result.loss));
  }
  const TrainState untouched = TrainState::of(small_model(shape));
  EXPECT_EQ(trainer.state().weights, untouched.weights);
  EXPECT_EQ(trainer.state().moments.first, untouched.moments.first);
  EXPECT_EQ(trainer.state().moments.updates, 0);
  EXPECT_EQ(trainer.state().step, 2);
}

TEST(Trainer, ThreadsChangeNoBit) {
  const ModelShape shape = small_shape(40);
  const TokenIds tokens = small_tokens(shape);
  ThreadPool pool(3);
  const auto first = make_reference_backend(shape);
  DeviceRun alone(shape, "h16"), shared(shape, "h16", {.pool = &pool});
  Trainer a(TrainState::of(small_model(shape)), *alone.backend, small_settings(), nullptr);
  Trainer b(TrainState::of(small_model(shape)), *shared.backend, small_settings(), &pool);
  train(a, tokens, shape.seq, 3);
  train(b, tokens, shape.seq, 3);
  EXPECT_EQ(a.state().weights, b.state().weights);
}

TEST(Trainer, TheStepIsTheSumOfItsPhases) {
  const ModelShape shape = small_shape(40);
  const auto tokens = small_tokens(shape);
  DeviceRun device(shape);
  Trainer trainer(TrainState::of(small_model(shape)), *device.backend, small_settings(), nullptr);
  const SequenceSampler data(tokens, shape.seq, 1);
  PhaseTimes times;
  trainer.step(data, times);
  std::int64_t parts = 0, whole = 0;
  for (const auto& [key, nanoseconds] : times.all()) (key.second == "train_step" ? whole : parts) += nanoseconds;
  EXPECT_LE(parts, whole);
  EXPECT_GT(times.all().at({"step", "optimizer"}), 0);
  EXPECT_GT(times.all().at({"step", "restage"}), 0);
  EXPECT_FALSE(times.all().contains({"step", "compile"}));

  ane::Variant compiled;
  compiled.weights = ane::Weights::compiled;
  DeviceRun with_weights(shape, "ieee", {}, compiled);
  times.clear();
  Trainer(TrainState::of(small_model(shape)), *with_weights.backend, small_settings(), nullptr).step(data, times);
  parts = whole = 0;
  for (const auto& [key, nanoseconds] : times.all()) (key.second == "train_step" ? whole : parts) += nanoseconds;
  EXPECT_LE(parts, whole);
  for (const char* phase : {"restage", "compile", "load"}) EXPECT_GT(times.all().at({"step", phase}), 0) << phase;
}

}  // namespace
}  // namespace aneval::train
