// The two ends of a model against their formulas in double and against finite differences.
#include "train/head.h"

#include <gmock/gmock.h>

#include <cmath>

#include "common/random.h"

namespace aneval::train {
namespace {

constexpr double kUnit = 0x1p-24;

ModelShape shape_of(std::int64_t dim, std::int64_t vocab) {
  ModelShape shape;
  shape.dim = dim;
  shape.vocab = vocab;
  return shape;
}

struct Problem {
  ModelShape shape;
  Parameters weights;
  Tensor y;
  std::vector<std::int32_t> targets;

  Problem(std::int64_t dim, std::int64_t vocab, std::int64_t seq, bool tied) : shape(shape_of(dim, vocab)) {
    weights.globals["embedding"] = Tensor({vocab, dim});
    weights.globals["rms_final"] = Tensor({dim});
    if (!tied) weights.globals["classifier"] = Tensor({vocab, dim});
    for (const NamedTensor& named : tensors_of(weights))
      Random(2, named.name).fill_normal(named.tensor->data, 0.5, 0.2);
    y = Tensor({dim, seq});
    Random(3, "y").fill_normal(y.data, 1.0);
    Random random(4);
    for (std::int64_t s = 0; s < seq; ++s) targets.push_back(static_cast<std::int32_t>(random.below(vocab)));
  }

  /// The loss in double throughout.
  double loss() const {
    const Tensor& classifier = weights.globals.at(weights.tied() ? "embedding" : "classifier");
    const Tensor& norm = weights.globals.at("rms_final");
    const auto dim = static_cast<std::size_t>(y.rows()), seq = static_cast<std::size_t>(y.cols());
    double total = 0;
    for (std::size_t s = 0; s < seq; ++s) {
      double square = 0;
      for (std::size_t d = 0; d < dim; ++d) square += std::pow(static_cast<double>(y.data[d * seq + s]), 2);
      const double r = 1 / std::sqrt(square / static_cast<double>(dim) + shape.rms_eps);
      double sum = 0, target = 0;
      for (std::size_t v = 0; v < static_cast<std::size_t>(classifier.rows()); ++v) {
        double logit = 0;
        for (std::size_t d = 0; d < dim; ++d)
          logit += static_cast<double>(classifier.data[v * dim + d]) * static_cast<double>(norm.data[d]) *
                   static_cast<double>(y.data[d * seq + s]) * r;
        sum += std::exp(logit);
        if (v == static_cast<std::size_t>(targets[s])) target = logit;
      }
      total += std::log(sum) - target;
    }
    return total / static_cast<double>(seq);
  }
};

TEST(Head, LossAndGradientsFollowTheirFormulas) {
  for (const bool tied : {true, false}) {
    Problem p(12, 37, 19, tied);
    Head head(p.shape);
    Parameters gradients = zeros_like(p.weights);
    PhaseTimes times;
    Tensor dy;
    constexpr double scale = 256;
    const double loss = head.run(p.weights, p.y, p.targets, scale, dy, gradients, times);
    // Logits of 12 terms whose magnitudes add up to less than 10: the error of a logit is that of its loss.
    EXPECT_NEAR(loss, p.loss(), 12 * kUnit * 10);
    // Steps of 2^-9 leave an error of h²/6·f'''; the third derivative of a loss whose logits have slopes of about 1 is
    // of that order. The gradients themselves are sums of 37 or 19 terms in fp32.
    constexpr float h = 0x1p-9F;
    const auto expect_gradient = [&](float& element, float gradient, const std::string& name) {
      const float value = element;
      element = value + h;
      const double up = p.loss(), up_at = static_cast<double>(element);
      element = value - h;
      const double down = p.loss(), down_at = static_cast<double>(element);
      element = value;
      EXPECT_NEAR(static_cast<double>(gradient) / scale, (up - down) / (up_at - down_at), 1e-5) << name;
    };
    for (std::size_t i = 0; i < p.y.data.size(); i += 3) expect_gradient(p.y.data[i], dy.data[i], "y");
    const auto weights = tensors_of(p.weights);
    const auto all = tensors_of(std::as_const(gradients));
    for (std::size_t t = 0; t < weights.size(); ++t)
      for (std::size_t i = 0; i < weights[t].tensor->data.size(); i += 5)
        expect_gradient(weights[t].tensor->data[i], all[t].tensor->data[i], weights[t].name);
    EXPECT_GT(times.all().at({"forward", "classifier"}), 0);
    EXPECT_GT(times.all().at({"backward", "rmsnorm"}), 0);
  }
}

TEST(Head, GradientsAccumulate) {
  const Problem p(12, 37, 19, false);
  Head head(p.shape);
  Parameters once = zeros_like(p.weights), twice = once;
  PhaseTimes times;
  Tensor dy;
  head.run(p.weights, p.y, p.targets, 1, dy, once, times);
  for (int i = 0; i < 2; ++i) head.run(p.weights, p.y, p.targets, 1, dy, twice, times);
  for (std::size_t i = 0; i < 37 * 12; ++i)
    ASSERT_NEAR(static_cast<double>(twice.globals["classifier"].data[i]),
                2 * static_cast<double>(once.globals["classifier"].data[i]), 1e-6);
}

TEST(Head, TheBitsDependOnNoThread) {
  const Problem p(100, 700, 70, true);
  ThreadPool pool(3);
  Head alone(p.shape), shared(p.shape, &pool);
  Parameters a = zeros_like(p.weights), b = a;
  PhaseTimes times;
  Tensor da, db;
  EXPECT_EQ(alone.run(p.weights, p.y, p.targets, 1, da, a, times),
            shared.run(p.weights, p.y, p.targets, 1, db, b, times));
  EXPECT_EQ(da, db);
  EXPECT_EQ(a, b);
}

TEST(Head, HugeLogitsGiveAFiniteLoss) {
  Problem p(12, 37, 19, false);
  for (float& value : p.weights.globals["classifier"].data) value *= 1e6F;
  Parameters gradients = zeros_like(p.weights);
  PhaseTimes times;
  Tensor dy;
  const double loss = Head(p.shape).run(p.weights, p.y, p.targets, 1, dy, gradients, times);
  EXPECT_GT(loss, 1e5);
  EXPECT_TRUE(std::isfinite(loss));
  for (const float value : dy.data) EXPECT_TRUE(std::isfinite(value));
}

TEST(Embedding, LooksRowsUpAndAddsThemBack) {
  Tensor embedding({4, 2});
  embedding.data = {0, 1, 10, 11, 20, 21, 30, 31};
  const std::vector<std::int32_t> tokens = {3, 1, 3};
  Tensor x;
  embed(embedding, tokens, x);
  EXPECT_EQ(x.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_THAT(x.data, testing::ElementsAre(30, 10, 30, 31, 11, 31));
  Tensor gradient({4, 2});
  gradient.data[0] = 5;
  embed_backward(x, tokens, gradient);
  EXPECT_THAT(gradient.data, testing::ElementsAre(5, 0, 10, 11, 0, 0, 60, 62));
}

}  // namespace
}  // namespace aneval::train
