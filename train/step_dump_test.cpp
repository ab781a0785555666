// What a dump says of a step is true: from the file alone its loss and gradients come out again.
#include "train/step_dump.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "common/test_support.h"
#include "reference/convert.h"
#include "train/comparison.h"
#include "train/run.h"
#include "train/test_support.h"
#include "validate/weights/hf_layout.h"
#include "validate/weights/load_weights.h"

namespace aneval::train {
namespace {

constexpr std::int64_t kVocab = 100;  // tokens; those that occur have the ids 4n + 3

struct Wish {
  double loss_scale = 256;
  bool tied = false, hf_names = false;
  std::int64_t layers = 2;
};

Experiment experiment_of(const Wish& wish) {
  Experiment experiment;
  experiment.model = small_model(small_shape(16, wish.layers), wish.tied);
  experiment.tokens = small_tokens(experiment.model.shape);
  for (std::int32_t i = 0; i < 23; ++i) experiment.ids.push_back(4 * i + 3);
  experiment.vocab = kVocab;
  experiment.settings = small_settings(4);
  experiment.settings.accum = 3;
  experiment.settings.loss_scale = wish.loss_scale;
  return experiment;
}

/// A dump, as a foreign program would read it.
struct Dump {
  FileMetadata metadata;
  StoredTensors tensors;

  explicit Dump(const std::filesystem::path& file) : tensors(read_safetensors(file, &metadata)) {}

  std::vector<std::int64_t> integers(const std::string& name) const {
    return validate::integers_of(name, tensors.at(name), "dump");
  }
  double loss() const {
    double value;
    std::memcpy(&value, tensors.at("loss").bytes.data(), sizeof value);
    return value;
  }
  Tensor gradient(const std::string& name) const {
    return validate::widen("grad." + name, tensors.at("grad." + name), "dump");
  }
  /// S inputs and the target after the last.
  TokenIds sequence(std::int64_t micro, const std::string& kind) const {
    const auto inputs = integers(kind + ".inputs"), targets = integers(kind + ".targets");
    TokenIds tokens;
    for (std::int64_t i = 16 * micro; i < 16 * (micro + 1); ++i)
      tokens.push_back(static_cast<std::int32_t>(inputs[static_cast<std::size_t>(i)]));
    tokens.push_back(static_cast<std::int32_t>(targets[static_cast<std::size_t>(16 * micro + 15)]));
    return tokens;
  }
};

class StepDump : public testing::Test {
 protected:
  /// Steps 0 and 2 of a run; the second one's file.
  std::filesystem::path dump(const Wish& wish, LayerBackend& backend) {
    const Experiment experiment = experiment_of(wish);
    TrainingRun run(experiment, backend, folder_ / "c.safetensors", std::nullopt);
    run.dump_steps({{0, 2}, folder_.path(), wish.hf_names, {{"backend", "reference"}}});
    std::vector<std::int64_t> dumped;
    run.go([&](const StepReport& report) {
      losses_.push_back(report.result.loss);
      if (report.dump) dumped.push_back(report.result.step);
      return true;
    });
    EXPECT_THAT(dumped, testing::ElementsAre(0, 2));
    return folder_ / "step-2.safetensors";
  }
  std::filesystem::path dump(const Wish& wish) {
    const auto backend = make_reference_backend(small_shape(16, wish.layers));
    return dump(wish, *backend);
  }

  TemporaryFolder folder_;
  std::vector<double> losses_;
};

TEST_F(StepDump, TheReferencesStepComesOutAgainBitForBit) {
  for (const bool tied : {true, false})
    for (const bool hf : {true, false}) {
      const auto file = dump({.loss_scale = 256, .tied = tied, .hf_names = hf});
      const Dump read(file);
      const validate::Weights weights = validate::load_weights(file);
      EXPECT_EQ(weights.vocab, kVocab);
      EXPECT_EQ(weights.ids.size(), 23U);
      const Parameters parameters = TrainState::of(weights.model).weights;
      const auto backend = make_reference_backend(weights.model.shape);
      PhaseTimes nobodys;
      backend->stage(parameters.layers, 2, nobodys);
      Parameters gradients = zeros_like(parameters);
      double loss = 0;
      for (std::int64_t micro = 0; micro < 3; ++micro)
        loss += 1.0 / 3 *
                ModelPass(weights.model.shape, *backend, nullptr)
                    .run(parameters, validate::rows_of_tokens(weights, read.sequence(micro, "tokens")), 256 * (1.0 / 3),
                         gradients, nobodys);
      EXPECT_EQ(read.loss(), loss);
      EXPECT_EQ(loss, losses_.at(2));
      losses_.clear();
      for (const NamedTensor& gradient : tensors_of(gradients)) {
        for (float& value : gradient.tensor->data) value /= 256;
        Tensor got = read.gradient(hf ? validate::hf_name(gradient.name) : gradient.name);
        if (hf && validate::is_rotated(gradient.name))
          validate::convert_pairing(got, 8, RopePairing::half, RopePairing::interleaved);
        EXPECT_EQ(got, *gradient.tensor) << gradient.name;
      }
    }
}

/// The layers' gradients of a dump in own names, averaged over its sequences by reference::trace_model in double.
std::map<std::string, reference::Matrix<double>> traced(const Dump& read, reference::Model model, double& loss) {
  std::map<std::string, reference::Matrix<double>> sums;
  model.shape.seq += 1;  // a trace of S + 1 tokens predicts what S inputs predict
  loss = 0;
  for (std::int64_t micro = 0; micro < 3; ++micro) {
    const auto trace = reference::trace_model_in<double>(model, read.sequence(micro, "rows"), {});
    loss += trace.loss / 3;
    for (std::size_t layer = 0; layer < trace.layers.size(); ++layer)
      for (const auto& [name, weight] : model.layers[layer]) {
        auto& sum = sums["layers." + std::to_string(layer) + "." + name];
        const auto& part = trace.layers[layer].backward.at("d" + name);
        sum = sum.size() == 0 ? (part / 3).eval() : (sum + part / 3).eval();
      }
  }
  return sums;
}

TEST_F(StepDump, AgreesWithTheTrace) {
  const auto file = dump({});
  const Dump read(file);
  double loss = 0;
  // As in model_pass_test.cpp: 30 products of at most 48 terms, each within sqrt(n)·u of itself.
  const double bound = 30 * std::sqrt(48.0) * 0x1p-24;
  for (const auto& [name, expected] : traced(read, validate::load_weights(file).model, loss))
    EXPECT_LE((reference::to_matrix<double>(read.gradient(name)) - expected).norm() / expected.norm(), bound) << name;
  EXPECT_NEAR(read.loss(), loss, bound * loss);
}

TEST_F(StepDump, TheDevicesStepAgreesWithinItsFp16) {
  DeviceRun device(small_shape());
  const auto file = dump({}, *device.backend);
  const Dump read(file);
  double loss = 0, worst = 0;
  for (const auto& [name, expected] : traced(read, validate::load_weights(file).model, loss)) {
    const auto got = reference::to_matrix<double>(read.gradient(name));
    // Twenty tensors rounded to fp16 on the way, as in model_pass_test.cpp; an error of e leaves a cosine of 1 − e²/2.
    const double error = (got - expected).norm() / expected.norm();
    EXPECT_LE(error, 20 * 0x1p-11) << name;
    EXPECT_GE(got.cwiseProduct(expected).sum() / (got.norm() * expected.norm()), 1 - std::pow(20 * 0x1p-11, 2) / 2);
    worst = std::max(worst, error);
  }
  EXPECT_GT(worst, 0x1p-14) << "is this fp16 at all?";
  EXPECT_NEAR(read.loss(), loss, 20 * 0x1p-11 * loss);
}

TEST_F(StepDump, GradientsAreWithoutTheLossScale) {
  const Dump plain(dump({.loss_scale = 1})), scaled(dump({.loss_scale = 1024}));
  for (const auto& [name, tensor] : plain.tensors)
    EXPECT_EQ(scaled.tensors.at(name).bytes, tensor.bytes) << name << ": a power of two changes no bit in fp32";
  EXPECT_EQ(scaled.metadata.at("loss_scale"), "1024");
}

TEST_F(StepDump, TokensAreTrueIdsBesideTheirRows) {
  const auto file = dump({});
  const Dump read(file);
  const Experiment experiment = experiment_of({});
  const SequenceSampler data(experiment.tokens, 16, experiment.settings.seed);
  EXPECT_EQ(read.tensors.at("tokens.inputs").shape, (std::vector<std::int64_t>{3, 16}));
  for (std::int64_t micro = 0; micro < 3; ++micro) {
    const auto expected = data.sequence(2, micro);
    const TokenIds rows = read.sequence(micro, "rows"), ids = read.sequence(micro, "tokens");
    EXPECT_TRUE(std::ranges::equal(rows, expected));
    for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(ids[i], 4 * rows[i] + 3);
  }
  const auto inputs = read.integers("tokens.inputs"), targets = read.integers("tokens.targets");
  for (std::size_t i = 0; i + 1 < inputs.size(); ++i) {
    if (i % 16 != 15) {
      EXPECT_EQ(inputs[i + 1], targets[i]);
    }
  }
  EXPECT_EQ(read.integers("vocabulary_ids").at(5), 23);
  EXPECT_EQ(read.metadata.at("vocabulary_size"), "100");
  EXPECT_EQ(read.metadata.at("step"), "2");
  EXPECT_EQ(read.metadata.at("names"), "own");
  EXPECT_EQ(read.metadata.at("rope_pairing"), "interleaved");
  EXPECT_EQ(parse_model_shape(read.metadata.at("model"), "dump"), experiment.model.shape);
}

TEST_F(StepDump, DumpingChangesNoBitOfTheRun) {
  dump({});
  const Checkpoint with = read_checkpoint(folder_ / "c.safetensors");
  const Experiment experiment = experiment_of({});
  const auto backend = make_reference_backend(small_shape());
  TrainingRun(experiment, *backend, folder_ / "d.safetensors", std::nullopt).go([](const StepReport& report) {
    EXPECT_FALSE(report.dump);
    return true;
  });
  const Checkpoint without = read_checkpoint(folder_ / "d.safetensors");
  EXPECT_EQ(with.state.weights, without.state.weights);
  EXPECT_EQ(with.state.moments.second, without.state.moments.second);
}

TEST_F(StepDump, IsWeightsOnlyForTokensThatItHas) {
  const validate::Weights weights = validate::load_weights(dump({.hf_names = true}));
  EXPECT_EQ(validate::rows_of_tokens(weights, {3, 91}), (TokenIds{0, 22}));
  EXPECT_THAT(error_of([&] { validate::rows_of_tokens(weights, {3, 4}); }).what(),
              testing::HasSubstr("has no row for token 4: its embedding holds 23 of 100 entries"));
  ModelShape asked = small_shape();
  asked.vocab = 99;
  EXPECT_THAT(error_of([&] { validate::load_weights(folder_ / "step-2.safetensors", asked); }).what(),
              testing::HasSubstr("has 23 of 100 entries of a vocabulary, and vocab of --model small is 99"));
  asked.vocab = 100, asked.rms_eps = 1;
  EXPECT_THAT(error_of([&] { validate::load_weights(folder_ / "step-2.safetensors", asked); }).what(),
              testing::HasSubstr("safetensors: rms_eps: is 1e-05, and rms_eps of --model small is 1"));
}

}  // namespace
}  // namespace aneval::train
