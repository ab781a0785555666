// A whole model on every backend: loss and gradients against reference::trace_model, which has another formulation of
// embedding, head and loop.
#include "train/model_pass.h"

#include <gmock/gmock.h>

#include <cmath>

#include "reference/convert.h"
#include "train/comparison.h"
#include "train/test_support.h"

namespace aneval::train {
namespace {

struct Gradients {
  double loss = 0;
  Parameters gradients;
};

Gradients gradients_on(LayerBackend& backend, const reference::Model& model, std::span<const std::int32_t> sequence,
                       double scale = 1, std::int64_t step = 0) {
  const TrainState state = TrainState::of(model);
  Gradients result;
  result.gradients = zeros_like(state.weights);
  PhaseTimes times;
  backend.stage(state.weights.layers, step, times);
  result.loss = ModelPass(model.shape, backend, nullptr).run(state.weights, sequence, scale, result.gradients, times);
  return result;
}

/// The trace of S + 1 tokens predicts what S inputs predict; its last position has no loss and no influence.
reference::ModelTraceOf<double> trace_of(reference::Model model, std::span<const std::int32_t> sequence,
                                         const reference::Options& options = {}) {
  model.shape.seq += 1;
  return reference::trace_model_in<double>(model, {sequence.begin(), sequence.end()}, options);
}

/// Largest ‖Δ‖/‖g‖ over the gradients of all layers.
double worst_relative(const Parameters& got, const reference::ModelTraceOf<double>& trace) {
  double worst = 0;
  for (std::size_t layer = 0; layer < got.layers.size(); ++layer)
    for (const auto& [name, gradient] : got.layers[layer]) {
      const auto& expected = trace.layers[layer].backward.at("d" + name);
      const auto matrix = reference::to_matrix<double>(gradient);
      EXPECT_EQ(matrix.size(), expected.size()) << name;
      worst = std::max(worst, (matrix - expected).norm() / expected.norm());
    }
  return worst;
}

TEST(ModelPass, TheReferenceBackendAgreesWithTheTrace) {
  for (const bool tied : {true, false}) {
    const auto model = small_model(small_shape(), tied);
    const TokenIds tokens = small_tokens(model.shape, 17);
    const auto backend = make_reference_backend(model.shape);
    const Gradients got = gradients_on(*backend, model, tokens);
    const auto trace = trace_of(model, tokens);
    // As in reference/model_test.cpp: 30 products of at most 48 terms, each within sqrt(n)·u of itself.
    const double bound = 30 * std::sqrt(48.0) * 0x1p-24;
    EXPECT_NEAR(got.loss, trace.loss, bound * trace.loss);
    EXPECT_LE(worst_relative(got.gradients, trace), bound);
  }
}

// fp16 rounds every stored tensor by 2^-11 of itself, and a gradient of two layers has passed about twenty of them:
// 20·2^-11 = 1 %, if all errors were the largest and all added up.
TEST(ModelPass, TheDeviceAgreesWithTheTraceWithinItsFp16) {
  for (const bool tied : {true, false}) {
    const auto model = small_model(small_shape(), tied);
    const TokenIds tokens = small_tokens(model.shape, 17);
    DeviceRun device(model.shape);
    const Gradients got = gradients_on(*device.backend, model, tokens);
    const auto trace = trace_of(model, tokens);
    EXPECT_NEAR(got.loss, trace.loss, 20 * 0x1p-11 * trace.loss);
    EXPECT_LE(worst_relative(got.gradients, trace), 20 * 0x1p-11);
    EXPECT_GT(worst_relative(got.gradients, trace), 0x1p-14) << "is this fp16 at all?";
  }
}

TEST(ModelPass, TheHeadAndTheEmbeddingGetTheReferencesGradients) {
  const auto model = small_model(small_shape(), false);
  const TokenIds tokens = small_tokens(model.shape, 17);
  const auto reference = make_reference_backend(model.shape);
  DeviceRun device(model.shape);
  const Gradients expected = gradients_on(*reference, model, tokens),
                  got = gradients_on(*device.backend, model, tokens);
  int globals = 0;
  for (const GradientError& error : compare_gradients(got.gradients, expected.gradients)) {
    EXPECT_LE(error.relative, 20 * 0x1p-11) << error.name;
    globals += error.name.starts_with("layers.") ? 0 : 1;
  }
  EXPECT_EQ(globals, 3);
}

TEST(ModelPass, AWrongHeadMapShowsInTheGradients) {
  const auto model = small_model(small_shape());
  const TokenIds tokens = small_tokens(model.shape, 17);
  ane::Variant variant;
  variant.head_map = ane::HeadMap::cyclic_fwd;
  DeviceRun device(model.shape, "ieee", {}, variant);
  EXPECT_GT(worst_relative(gradients_on(*device.backend, model, tokens).gradients, trace_of(model, tokens)), 0.2);
  const auto cyclic = make_reference_backend(model.shape, true);
  EXPECT_LE(
      worst_relative(gradients_on(*cyclic, model, tokens).gradients, trace_of(model, tokens, {.cyclic_heads = true})),
      30 * std::sqrt(48.0) * 0x1p-24);
}

TEST(ModelPass, TheScaleIsInTheGradientsAndNotInTheLoss) {
  const auto model = small_model(small_shape());
  const TokenIds tokens = small_tokens(model.shape, 17);
  const auto backend = make_reference_backend(model.shape);
  const Gradients one = gradients_on(*backend, model, tokens), scaled = gradients_on(*backend, model, tokens, 256);
  EXPECT_EQ(one.loss, scaled.loss);
  const auto all = tensors_of(one.gradients), all_scaled = tensors_of(scaled.gradients);
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < all[i].tensor->data.size(); ++j)
      // A power of two changes no bit while nothing is subnormal; sums of squares in rmsnorm do not contain it.
      ASSERT_EQ(all_scaled[i].tensor->data[j], 256 * all[i].tensor->data[j]) << all[i].name;
}

TEST(ModelPass, WeightGradientsOfAnotherThreadHaveTheSameBits) {
  const auto model = small_model(small_shape(40, 3));
  const TokenIds tokens = small_tokens(model.shape, 41);
  DeviceRun plain(model.shape, "h16"), overlapped(model.shape, "h16", {.overlap_weight_gradients = true});
  const Gradients a = gradients_on(*plain.backend, model, tokens), b = gradients_on(*overlapped.backend, model, tokens);
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.gradients, b.gradients);
}

// The last three gradients of this layer take a thread several times as long as all that is done after them: a pass
// that did not wait would return without them.
TEST(ModelPass, WaitsForTheLastWeightGradients) {
  ModelShape shape = small_shape(128, 1);
  shape.dim = 512, shape.heads = 8, shape.kv_heads = 8, shape.head_dim = 64;
  const auto model = small_model(shape);
  const TokenIds tokens = small_tokens(shape, 129);
  DeviceRun plain(shape), overlapped(shape, "ieee", {.overlap_weight_gradients = true});
  EXPECT_EQ(gradients_on(*plain.backend, model, tokens).gradients,
            gradients_on(*overlapped.backend, model, tokens).gradients);
}

TEST(ModelPass, PhasesCoverWhatAStepDoes) {
  const auto model = small_model(small_shape());
  const TokenIds tokens = small_tokens(model.shape, 17);
  DeviceRun device(model.shape, "ieee", {.overlap_weight_gradients = true});
  const TrainState state = TrainState::of(model);
  PhaseTimes times;
  device.backend->stage(state.weights.layers, 0, times);
  Parameters gradients = zeros_like(state.weights);
  ModelPass(model.shape, *device.backend, nullptr).run(state.weights, tokens, 1, gradients, times);
  std::set<std::string> phases;
  for (const auto& [key, nanoseconds] : times.all()) phases.insert(key.first + " " + key.second);
  for (const char* phase :
       {"forward eval", "forward write_acts", "forward read", "forward rmsnorm", "forward classifier", "backward eval",
        "backward write_acts", "backward read", "backward rmsnorm", "backward classifier", "backward silu",
        "backward tile", "backward reduce", "backward weight_grad", "worker weight_grad"})
    EXPECT_TRUE(phases.contains(phase)) << phase;
  EXPECT_THROW(ModelPass(model.shape, *device.backend, nullptr)
                   .run(state.weights, std::span(tokens).first(16), 1, gradients, times),
               std::logic_error);
}

TEST(Dither, IsUnbiasedAndGivesNeighboursOnly) {
  Random random(3);
  for (const float value : {1.0003F, -0.3001F, 3e-5F, -2.2e-7F, 1e-9F, 60001.0F}) {
    const double ulp = std::abs(value) < 0x1p-14F ? 0x1p-24 : std::exp2(std::floor(std::log2(std::abs(value))) - 10);
    double sum = 0;
    constexpr int kDraws = 20000;
    for (int i = 0; i < kDraws; ++i) {
      const auto rounded = static_cast<double>(dithered_half(value, static_cast<std::uint32_t>(random.bits())));
      ASSERT_LT(std::abs(rounded - static_cast<double>(value)), ulp);
      ASSERT_EQ(std::remainder(rounded, ulp), 0) << value;
      sum += rounded;
    }
    // A draw's standard deviation is at most half a spacing; five of the mean's.
    EXPECT_NEAR(sum / kDraws, static_cast<double>(value), 5 * 0.5 * ulp / std::sqrt(kDraws)) << value;
  }
  EXPECT_EQ(dithered_half(0.5F, 0x1FFF), 0.5F) << "what fp16 holds stays";
  EXPECT_EQ(dithered_half(0x1p-24F, 0xFFFFFF), 0x1p-24F);
  EXPECT_EQ(dithered_half(65520.0F, 0x1FFF), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(dithered_half(std::numeric_limits<float>::quiet_NaN(), 1)));
}

TEST(Dither, DependsOnSeedAndStepAndStaysNearTheReference) {
  const auto model = small_model(small_shape());
  const TokenIds tokens = small_tokens(model.shape, 17);
  const auto reference = make_reference_backend(model.shape);
  const auto one = make_dithered_backend(model.shape, 1), same = make_dithered_backend(model.shape, 1);
  const auto other = make_dithered_backend(model.shape, 2);
  const Gradients a = gradients_on(*one, model, tokens), b = gradients_on(*same, model, tokens);
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.gradients, b.gradients);
  EXPECT_NE(gradients_on(*other, model, tokens).loss, a.loss);
  const Gradients later = gradients_on(*one, model, tokens, 1, 7);
  EXPECT_NE(later.loss, a.loss);
  EXPECT_EQ(later.gradients, gradients_on(*make_dithered_backend(model.shape, 1), model, tokens, 1, 7).gradients)
      << "whatever came before";
  for (const GradientError& error : compare_gradients(a.gradients, gradients_on(*reference, model, tokens).gradients)) {
    EXPECT_GT(error.relative, 0x1p-16) << error.name;
    EXPECT_LT(error.relative, 20 * 0x1p-11) << error.name;
  }
}

}  // namespace
}  // namespace aneval::train
