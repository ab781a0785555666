#include "train/checkpoint.h"

#include <gmock/gmock.h>

#include <sys/resource.h>

#include <csignal>

#include "common/files.h"
#include "common/safetensors.h"
#include "common/test_support.h"
#include "train/test_support.h"
#include "validate/weights/load_weights.h"

namespace aneval::train {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kVocab = 22'001;  // the last of ids() is 22000

class CheckpointTest : public testing::Test {
 protected:
  /// State after some steps: moments are not zero.
  static TrainState trained(LayerBackend& backend, std::int64_t steps, TrainState from) {
    Trainer trainer(std::move(from), backend, small_settings(), nullptr);
    const TokenIds tokens = small_tokens(small_shape());
    const SequenceSampler data(tokens, small_shape().seq, 1);
    PhaseTimes times;
    for (std::int64_t i = 0; i < steps; ++i) trainer.step(data, times);
    return trainer.state();
  }
  static TokenIds ids() {
    TokenIds all;
    for (std::int32_t i = 0; i < 23; ++i) all.push_back(1000 * i);
    return all;
  }

  std::filesystem::path write(const TrainState& state, const std::string& settings = "lr=1;clip=2") {
    write_checkpoint(folder_ / "c.safetensors", state, ids(), kVocab, settings);
    return folder_ / "c.safetensors";
  }

  TemporaryFolder folder_;
  std::unique_ptr<LayerBackend> backend_ = make_reference_backend(small_shape());
};

TEST_F(CheckpointTest, LosesNothingAndGoesOnBitForBit) {
  const TrainState initial = TrainState::of(small_model(small_shape(), false));
  const Checkpoint read = read_checkpoint(write(trained(*backend_, 3, initial)));
  EXPECT_EQ(read.state.step, 3);
  EXPECT_EQ(read.state.moments.updates, 3);
  EXPECT_EQ(read.state.shape, small_shape());
  EXPECT_EQ(read.ids, ids());
  EXPECT_EQ(read.settings, "lr=1;clip=2");
  const TrainState whole = trained(*backend_, 7, initial), resumed = trained(*backend_, 4, read.state);
  EXPECT_EQ(resumed.step, 7);
  EXPECT_EQ(resumed.weights, whole.weights);
  EXPECT_EQ(resumed.moments.first, whole.moments.first);
  EXPECT_EQ(resumed.moments.second, whole.moments.second);
}

TEST_F(CheckpointTest, ReadsOnAnotherBackend) {
  const Checkpoint read = read_checkpoint(write(trained(*backend_, 3, TrainState::of(small_model(small_shape())))));
  DeviceRun device(small_shape());
  const TrainState on_device = trained(*device.backend, 1, read.state);
  const TrainState on_reference = trained(*backend_, 1, read.state);
  // One step of Adam moves a weight by about the learning rate, 1e-2 at most; where gradients agree so do the steps.
  double worst = 0;
  const auto a = tensors_of(on_device.weights), b = tensors_of(on_reference.weights);
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[i].tensor->data.size(); ++j)
      worst = std::max(worst,
                       std::abs(static_cast<double>(a[i].tensor->data[j]) - static_cast<double>(b[i].tensor->data[j])));
  EXPECT_LT(worst, 1e-2);
  EXPECT_GT(worst, 0);
}

TEST_F(CheckpointTest, IsReadAsWeights) {
  const TrainState state = trained(*backend_, 1, TrainState::of(small_model(small_shape())));
  EXPECT_EQ(validate::load_weights(write(state), small_shape()).model.layers, state.weights.layers);
  // It tells its shape and its vocabulary itself.
  const validate::Weights weights = validate::load_weights(write(state));
  EXPECT_EQ(weights.model.shape, small_shape());
  EXPECT_EQ(weights.vocab, kVocab);
  EXPECT_EQ(validate::rows_of_tokens(weights, {2000, 0}), (TokenIds{2, 0}));
  EXPECT_THAT(error_of([&] { validate::rows_of_tokens(weights, {5}); }).what(),
              HasSubstr("has no row for token 5: its embedding holds 23 of 22001 entries"));
  ModelShape other = small_shape();
  other.vocab = 30000;
  EXPECT_THAT(error_of([&] { validate::load_weights(write(state), other); }).what(),
              HasSubstr("has 23 of 22001 entries of a vocabulary, and vocab of --model"));
}

TEST_F(CheckpointTest, NoFlippedBitGoesUnnoticed) {
  const auto file = write(TrainState::of(small_model(small_shape(16, 1))));
  const std::vector<std::byte> good = read_file(file);
  const Checkpoint whole = read_checkpoint(file);
  Random random(1);
  int found = 0, tried = 0;
  // All of the header, and a sample of the data.
  for (std::size_t i = 0; i < good.size(); i += i < 3500 ? 1 : 997, ++tried) {
    std::vector<std::byte> bad = good;
    bad[i] ^= static_cast<std::byte>(1 << random.below(8));
    write_file(file, bad);
    try {
      // What stands between header and data may change: nothing is read from it.
      const Checkpoint read = read_checkpoint(file);
      EXPECT_EQ(read.state.weights, whole.state.weights) << "byte " << i;
      EXPECT_EQ(read.state.step, whole.state.step);
      EXPECT_EQ(read.settings, whole.settings);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::bad_input);
      EXPECT_THAT(error.what(), HasSubstr("c.safetensors"));
      ++found;
    }
  }
  EXPECT_GE(found, tried - 7) << "at most seven spaces align the data";
}

TEST_F(CheckpointTest, ATruncatedFileIsAnError) {
  const auto file = write(TrainState::of(small_model(small_shape())));
  const std::vector<std::byte> good = read_file(file);
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{100}, good.size() / 2, good.size() - 1}) {
    write_file(file, std::span(good).first(size));
    EXPECT_EQ(error_of([&] { read_checkpoint(file); }).code(), ExitCode::bad_input) << size;
  }
}

TEST_F(CheckpointTest, ForeignFilesAndVersionsAreErrors) {
  write_safetensors(folder_ / "w", {{"a", Tensor({1})}});
  EXPECT_THAT(error_of([&] { read_checkpoint(folder_ / "w"); }).what(), HasSubstr("no checkpoint of a training run"));
  EXPECT_THAT(error_of([&] { read_checkpoint(folder_ / "none"); }).what(), HasSubstr("cannot open"));
  const Tensor a({1});
  write_safetensors(folder_ / "v", {{"a", &a}}, {{"aneval_checkpoint", "2"}});
  EXPECT_THAT(error_of([&] { read_checkpoint(folder_ / "v"); }).what(),
              HasSubstr("checkpoint version 2, this program reads 1"));
}

TEST_F(CheckpointTest, AModelThatTheFileDoesNotHoldGetsNoMemory) {
  TrainState state = TrainState::of(small_model(small_shape()));
  state.shape.layers = std::int64_t{1} << 40;
  const std::filesystem::path file = write(state);
  EXPECT_THAT(error_of([&] { read_checkpoint(file); }).what(), HasSubstr("numbers, and its model alone has"));
}

TEST_F(CheckpointTest, OnlyTheSameRunContinuesIt) {
  const auto file = write(TrainState::of(small_model(small_shape())));
  const Checkpoint read = read_checkpoint(file);
  EXPECT_NO_THROW(check_continues(read, small_shape(), ids(), "lr=1;clip=2", file));
  const auto message = [&](const ModelShape& shape, const TokenIds& with, const std::string& settings) -> std::string {
    return error_of([&] { check_continues(read, shape, with, settings, file); }).what();
  };
  EXPECT_THAT(message(small_shape(), ids(), "lr=1;clip=3"), HasSubstr("made with clip=2, not with clip=3"));
  EXPECT_THAT(message(small_shape(), ids(), "lr=1"), HasSubstr("made with clip=2, not with nothing"));
  EXPECT_THAT(message(small_shape(32), ids(), "lr=1;clip=2"), HasSubstr("\"seq\":16"));
  TokenIds other = ids();
  other.back() += 1;
  EXPECT_THAT(message(small_shape(), other, "lr=1;clip=2"), HasSubstr("vocabulary is that of other data"));
}

/// While it lives a file cannot grow beyond so many bytes: what a full disk does to a write, also for root.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_F(CheckpointTest, WhatCannotBeWrittenLeavesThePreviousOne) {
  const auto file = write(TrainState::of(small_model(small_shape())));
  const std::vector<std::byte> before = read_file(file);
  const TrainState next = trained(*backend_, 1, TrainState::of(small_model(small_shape())));
  {
    const FileSizeLimit limit(before.size() / 2);
    const Error error = error_of([&] { write_checkpoint(file, next, ids(), kVocab, ""); });
    EXPECT_EQ(error.code(), ExitCode::refused);
    EXPECT_THAT(error.what(), HasSubstr("cannot write"));
  }
  EXPECT_EQ(read_file(file), before);
  EXPECT_NO_THROW(read_checkpoint(file));
  const auto files = std::filesystem::directory_iterator(folder_.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "the temporary file is gone";
}

}  // namespace
}  // namespace aneval::train
