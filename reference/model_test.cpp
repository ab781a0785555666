// The model around the layers: its loss against known values, its gradients against finite differences in double, and
// its errors.
#include "reference/model.h"

#include <gmock/gmock.h>

#include "common/error.h"
#include "reference/convert.h"
#include "reference/test_support.h"

namespace aneval::reference {
namespace {

ModelShape tiny_shape() {
  ModelShape s;
  s.name = "tiny";
  s.dim = 8, s.hidden = 6, s.heads = 4, s.kv_heads = 2, s.head_dim = 4, s.seq = 16, s.layers = 2, s.vocab = 11;
  s.residual_scale = 0.5;
  return s;
}

constexpr double kGrid = 0x1p12;

/// Random weights on a grid of 2^-12, so that steps of 2^-10 about them are exact in float.
Model random_model(const ModelShape& shape, bool tied) {
  const auto tensor = [](const Matrix<double>& m) {
    return to_tensor(Matrix<double>((m.array() * kGrid).round() / kGrid));
  };
  Random random(31);
  Model model{shape, {}, {}};
  model.globals["embedding"] = tensor(random_matrix<double>(shape.vocab, shape.dim, 1, random));
  model.globals["rms_final"] = tensor(random_matrix<double>(shape.dim, 1, 0.3, random, 1.2));
  if (!tied) model.globals["classifier"] = tensor(random_matrix<double>(shape.vocab, shape.dim, 1, random));
  for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
    Matrices<double> weights = random_layer(shape, 1, static_cast<std::uint64_t>(40 + layer));
    weights.erase("x");
    NamedTensors& named = model.layers.emplace_back();
    for (const auto& [name, m] : weights) named[name] = tensor(m);
  }
  return model;
}

const std::vector<std::int32_t> kTokens = {1, 4, 10, 0, 4, 7, 2};

TEST(Model, GradientsOfEveryLayerMatchFiniteDifferences) {
  for (const bool tied : {true, false}) {
    Model model = random_model(tiny_shape(), tied);
    const auto trace = trace_model_in<double>(model, kTokens, {});
    ASSERT_EQ(trace.layers.size(), 2u);
    EXPECT_EQ(trace.predictions, 6);
    EXPECT_EQ(trace.loss, model_loss_in<double>(model, kTokens, {}));
    for (std::size_t layer = 0; layer < 2; ++layer)
      for (auto& [name, tensor] : model.layers[layer]) {
        const Matrix<double>& gradient = trace.layers[layer].backward.at("d" + name);
        const double largest = gradient.cwiseAbs().maxCoeff();
        ASSERT_GT(largest, 1e-4) << name;
        // Every fifth entry; each tensor's own errors are checked one by one with the layer.
        for (std::size_t i = 0; i < tensor.data.size(); i += 5) {
          const float value = tensor.data[i];
          const auto loss_at = [&](double offset) {
            tensor.data[i] = static_cast<float>(value + offset);
            EXPECT_EQ(static_cast<double>(tensor.data[i]) - static_cast<double>(value), offset);
            const double loss = model_loss_in<double>(model, kTokens, {});
            tensor.data[i] = value;
            return loss;
          };
          // As in layer_gradient_test.cpp: Richardson's combination, the truncation taken from two step sizes; the
          // loss is of order 1 and passes about 30 products of at most 16 terms.
          const auto central = [&](double h) { return (loss_at(h) - loss_at(-h)) / (2 * h); };
          constexpr double step = 0x1p-10;
          const double d1 = central(step), d2 = central(2 * step), d4 = central(4 * step);
          const double fine = (4 * d1 - d2) / 3, coarse = (4 * d2 - d4) / 3;
          const double tolerance =
              std::abs(fine - coarse) + 1.5 * 30 * 16 * kUnitDouble * std::max(1.0, trace.loss) / step;
          ASSERT_LE(tolerance, 1e-5 * largest) << "the check is blunt";
          ASSERT_LE(std::abs(gradient.data()[i] - fine), tolerance) << name << " " << i << " layer " << layer;
        }
      }
  }
}

TEST(Model, TheLossIsTheMeanSurpriseAtTheNextToken) {
  const Model model = random_model(tiny_shape(), false);
  const auto trace = trace_model_in<double>(model, kTokens, {});
  const Matrix<double>& y = trace.layers.back().forward.at("y");
  const auto norm = to_matrix<double>(model.globals.at("rms_final"));
  const auto classifier = to_matrix<double>(model.globals.at("classifier"));
  double surprise = 0;
  for (Eigen::Index s = 0; s < 6; ++s) {
    const double rms = std::sqrt(y.col(s).squaredNorm() / 8 + 1e-5);
    double sum = 0, target = 0;
    for (Eigen::Index v = 0; v < 11; ++v) {
      double logit = 0;
      for (Eigen::Index d = 0; d < 8; ++d) logit += classifier(v, d) * norm(d, 0) * y(d, s) / rms;
      sum += std::exp(logit);
      if (v == kTokens[static_cast<std::size_t>(s) + 1]) target = std::exp(logit);
    }
    surprise -= std::log(target / sum);
  }
  EXPECT_NEAR(trace.loss, surprise / 6, 1e-13 * trace.loss);
}

TEST(Model, UniformLogitsCostTheLogarithmOfTheVocabulary) {
  Model model = random_model(tiny_shape(), false);
  std::fill(model.globals["classifier"].data.begin(), model.globals["classifier"].data.end(), 0.0f);
  EXPECT_NEAR(model_loss(model, kTokens), std::log(11.0), 8 * kUnitDouble);
}

TEST(Model, HugeLogitsGiveAFiniteLoss) {
  Model model = random_model(tiny_shape(), false);
  for (float& value : model.globals["classifier"].data) value *= 1e6f;
  const ModelTrace trace = trace_model(model, kTokens);
  EXPECT_TRUE(std::isfinite(trace.loss));
  EXPECT_GT(trace.loss, 1e5);
  EXPECT_TRUE(trace.layers[0].backward.at("dx").allFinite());
}

TEST(Model, TiedMeansTheEmbeddingClassifies) {
  const Model tied = random_model(tiny_shape(), true);
  Model untied = tied;
  untied.globals["classifier"] = untied.globals["embedding"];
  EXPECT_EQ(model_loss(tied, kTokens), model_loss(untied, kTokens));
}

TEST(Model, ALaterTokenChangesNoEarlierActivation) {
  const Model model = random_model(tiny_shape(), true);
  std::vector<std::int32_t> changed = kTokens;
  changed.back() = 9;
  const ModelTrace a = trace_model(model, kTokens), b = trace_model(model, changed);
  const Matrix<float>&ya = a.layers[1].forward.at("y"), &yb = b.layers[1].forward.at("y");
  EXPECT_EQ(ya.leftCols(6), yb.leftCols(6));
  EXPECT_NE(ya.col(6), yb.col(6));
  EXPECT_NE(a.loss, b.loss) << "the last token is predicted";
}

TEST(Model, TracesChainFromLayerToLayer) {
  const ModelTrace trace = trace_model(random_model(tiny_shape(), true), kTokens);
  EXPECT_EQ(trace.layers[1].input.at("x"), trace.layers[0].forward.at("y"));
  EXPECT_EQ(trace.layers[0].backward.at("dffn"), Matrix<float>(0.5f * trace.layers[1].backward.at("dx")));
}

TEST(Model, FloatAgreesWithDouble) {
  const Model model = random_model(tiny_shape(), true);
  const auto trace = trace_model(model, kTokens);
  const auto trace_double = trace_model_in<double>(model, kTokens, {});
  // Through both layers and back about 30 products of at most 16 terms, each within sqrt(n)·u of itself.
  const double bound = 30 * 4 * kUnitFloat;
  EXPECT_NEAR(trace.loss, trace_double.loss, bound * trace_double.loss);
  for (std::size_t layer = 0; layer < 2; ++layer)
    for (const auto& [name, gradient] : trace.layers[layer].backward)
      EXPECT_LE(relative_difference(gradient, trace_double.layers[layer].backward.at(name)), bound) << name;
}

TEST(ModelErrors, TokensAndWeights) {
  const Model model = random_model(tiny_shape(), true);
  const auto message = [](const Model& m, const std::vector<std::int32_t>& tokens) -> std::string {
    const Error error = error_of([&] { model_loss(m, tokens); });
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  };
  EXPECT_THAT(message(model, {1}), testing::HasSubstr("at least two"));
  EXPECT_THAT(message(model, std::vector<std::int32_t>(17, 1)), testing::HasSubstr("there are 17, the model takes 16"));
  EXPECT_THAT(message(model, {1, 11}), testing::HasSubstr("token 11 at position 1"));
  EXPECT_THAT(message(model, {-1, 3}), testing::HasSubstr("token -1 at position 0"));
  Model broken = model;
  broken.layers.pop_back();
  EXPECT_THAT(message(broken, {1, 2}), testing::HasSubstr("1 of 2 layers"));
  broken = model;
  broken.layers[1].erase("w3");
  EXPECT_THAT(message(broken, {1, 2}), testing::HasSubstr("'w3' is missing"));
  broken = model;
  broken.globals.erase("rms_final");
  EXPECT_THAT(message(broken, {1, 2}), testing::HasSubstr("'rms_final' is missing"));
  broken = model;
  broken.globals["embedding"] = Tensor({11, 7});
  EXPECT_THAT(message(broken, {1, 2}), testing::HasSubstr("'embedding' has shape [11, 7]: give it shape [11, 8]"));
}

}  // namespace
}  // namespace aneval::reference
