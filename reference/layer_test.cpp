// The layer's forward pass against loops that follow the formulas element by element, its errors, and float against
// double. The backward pass has its own tests (layer_gradient_test.cpp).
#include "reference/layer.h"

#include <gmock/gmock.h>

#include <limits>

#include "common/error.h"
#include "reference/test_support.h"

namespace aneval::reference {
namespace {

ModelShape small_shape() {
  ModelShape s;
  s.name = "small";
  s.dim = 12, s.hidden = 10, s.heads = 4, s.kv_heads = 2, s.head_dim = 6, s.seq = 7, s.layers = 3, s.vocab = 5;
  s.residual_scale = 0.6;
  return s;
}

Matrix<double> rmsnorm_by_loops(const Matrix<double>& x, const Matrix<double>& w, double eps) {
  Matrix<double> y(x.rows(), x.cols());
  for (Eigen::Index s = 0; s < x.cols(); ++s) {
    double squares = 0;
    for (Eigen::Index d = 0; d < x.rows(); ++d) squares += x(d, s) * x(d, s);
    const double rms = std::sqrt(squares / static_cast<double>(x.rows()) + eps);
    for (Eigen::Index d = 0; d < x.rows(); ++d) y(d, s) = w(d, 0) * x(d, s) / rms;
  }
  return y;
}

Matrix<double> product_by_loops(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> c = Matrix<double>::Zero(a.rows(), b.cols());
  for (Eigen::Index i = 0; i < a.rows(); ++i)
    for (Eigen::Index j = 0; j < b.cols(); ++j)
      for (Eigen::Index k = 0; k < a.cols(); ++k) c(i, j) += a(i, k) * b(k, j);
  return c;
}

/// Every pair of lanes as a complex number, turned by e^(i·angle).
void rope_by_loops(const ModelShape& m, Matrix<double>& x) {
  for (std::int64_t head = 0; head < x.rows() / m.head_dim; ++head)
    for (std::int64_t i = 0; i < m.head_dim / 2; ++i)
      for (Eigen::Index s = 0; s < x.cols(); ++s) {
        const bool half = m.rope_pairing == RopePairing::half;
        double& re = x(head * m.head_dim + (half ? i : 2 * i), s);
        double& im = x(head * m.head_dim + (half ? i + m.head_dim / 2 : 2 * i + 1), s);
        const double angle = static_cast<double>(s) /
                             std::pow(m.rope_base, 2 * static_cast<double>(i) / static_cast<double>(m.head_dim));
        const double turned = re * std::cos(angle) - im * std::sin(angle);
        im = re * std::sin(angle) + im * std::cos(angle);
        re = turned;
      }
}

Matrices<double> layer_by_loops(const ModelShape& m, bool cyclic, const Matrices<double>& in) {
  Matrices<double> t;
  t["xn"] = rmsnorm_by_loops(in.at("x"), in.at("rms_att"), m.rms_eps);
  t["q"] = product_by_loops(in.at("wq"), t["xn"]);
  t["k"] = product_by_loops(in.at("wk"), t["xn"]);
  t["v"] = product_by_loops(in.at("wv"), t["xn"]);
  rope_by_loops(m, t["q"]);
  rope_by_loops(m, t["k"]);
  const Eigen::Index seq = in.at("x").cols();
  t["probs"] = Matrix<double>::Zero(m.heads * seq, seq);
  t["attn"] = Matrix<double>::Zero(m.q_dim(), seq);
  for (std::int64_t j = 0; j < m.heads; ++j) {
    const std::int64_t source = cyclic ? j % m.kv_heads : j / (m.heads / m.kv_heads);
    for (Eigen::Index query = 0; query < seq; ++query) {
      double sum = 0;
      for (Eigen::Index key = 0; key <= query; ++key) {
        double score = 0;
        for (std::int64_t c = 0; c < m.head_dim; ++c)
          score += t["q"](j * m.head_dim + c, query) * t["k"](source * m.head_dim + c, key);
        sum += t["probs"](j * seq + query, key) = std::exp(score / std::sqrt(static_cast<double>(m.head_dim)));
      }
      for (Eigen::Index key = 0; key <= query; ++key) {
        const double p = t["probs"](j * seq + query, key) /= sum;
        for (std::int64_t c = 0; c < m.head_dim; ++c)
          t["attn"](j * m.head_dim + c, query) += p * t["v"](source * m.head_dim + c, key);
      }
    }
  }
  t["o"] = product_by_loops(in.at("wo"), t["attn"]);
  t["x2"] = in.at("x") + m.residual_scale * t["o"];
  t["xm"] = rmsnorm_by_loops(t["x2"], in.at("rms_ffn"), m.rms_eps);
  t["h1"] = product_by_loops(in.at("w1"), t["xm"]);
  t["h3"] = product_by_loops(in.at("w3"), t["xm"]);
  t["g"] = t["h1"];
  for (Eigen::Index i = 0; i < t["g"].size(); ++i) t["g"](i) = t["h1"](i) * t["h3"](i) / (1 + std::exp(-t["h1"](i)));
  t["y"] = t["x2"] + m.residual_scale * product_by_loops(in.at("w2"), t["g"]);
  return t;
}

TEST(LayerForward, EveryIntermediateFollowsTheFormulas) {
  for (const std::int64_t kv_heads : {4, 2, 1})
    for (const RopePairing pairing : {RopePairing::interleaved, RopePairing::half})
      for (const bool cyclic : {false, true})
        for (const Eigen::Index seq : {1, 7}) {
          ModelShape m = small_shape();
          m.kv_heads = kv_heads;
          m.rope_pairing = pairing;
          m.rope_base = 500;
          const Matrices<double> input = random_layer(m, seq, 1);
          const Matrices<double> expected = layer_by_loops(m, cyclic, input);
          const Matrices<double> actual = layer_forward(m, {.cyclic_heads = cyclic}, input);
          EXPECT_EQ(actual.size(), expected.size());
          for (const auto& [name, tensor] : expected)
            // Six products in a row, none longer than Q = 24 terms, each within n·u: 144 u, and as much for the rest.
            EXPECT_LE(relative_difference(actual.at(name), tensor), 288 * kUnitDouble)
                << name << " G=" << kv_heads << " cyclic=" << cyclic << " S=" << seq;
        }
}

TEST(LayerForward, HeadMapsDifferOnlyWhereTheyShould) {
  ModelShape m = small_shape();
  const auto difference = [&m] {
    const Matrices<double> input = random_layer(m, 7, 2);
    return relative_difference(layer_forward(m, {.cyclic_heads = true}, input).at("y"),
                               layer_forward(m, {}, input).at("y"));
  };
  EXPECT_GT(difference(), 0.01);
  m.kv_heads = 1;
  EXPECT_EQ(difference(), 0);
  m.kv_heads = m.heads;
  EXPECT_EQ(difference(), 0);
}

TEST(LayerForward, FoldingTheScaleChangesNothing) {
  const ModelShape m = small_shape();
  const Matrices<double> input = random_layer(m, 7, 3);
  EXPECT_EQ(layer_forward(m, {.folded_scale = true}, input).at("y"), layer_forward(m, {}, input).at("y"));
}

TEST(LayerForward, LargeScoresStayFinite) {
  ModelShape m = small_shape();
  Matrices<double> input = random_layer(m, 7, 4);
  input.at("wq") *= 1e4;
  const Matrices<float> in_float = to_float(input);
  EXPECT_TRUE(layer_forward(m, {}, input).at("y").allFinite());
  EXPECT_TRUE(layer_forward(m, {}, in_float).at("y").allFinite());
}

// Vectorised maxima and exponentials clamp their arguments: they must not turn a NaN into a number. (Earlier tokens may
// be NaN as well: the masked probability 0 times a NaN is one, here as in the kernels.)
TEST(LayerForward, NanOfATokenReachesItsOutputAndLaterOnes) {
  const ModelShape m = small_shape();
  Matrices<float> input = to_float(random_layer(m, 7, 5));
  input.at("x")(3, 4) = std::numeric_limits<float>::quiet_NaN();
  const Matrix<float> y = layer_forward(m, {}, input).at("y");
  EXPECT_TRUE(y.rightCols(3).array().isNaN().all());
}

TEST(Layer, ReusedMemoryGivesTheSameBits) {
  const ModelShape m = small_shape();
  Matrices<float> tape, gradients;
  for (const Eigen::Index seq : {7, 3, 3}) {
    const Matrices<float> input = to_float(random_layer(m, seq, 6));
    const Matrix<float> dy = input.at("x");
    layer_forward(m, {}, input, tape);
    layer_backward(m, {}, input, tape, dy, gradients);
    EXPECT_EQ(tape, layer_forward(m, {}, input));
    EXPECT_EQ(gradients, layer_backward(m, {}, input, tape, dy));
  }
}

TEST(Layer, FloatAgreesWithDouble) {
  ModelShape m = small_shape();
  m.dim = 96, m.hidden = 160, m.heads = 8, m.kv_heads = 4, m.head_dim = 16;
  constexpr Eigen::Index seq = 64;
  const Matrices<float> input = to_float(random_layer(m, seq, 7));
  Matrices<double> widened;
  for (const auto& [name, tensor] : input) widened[name] = tensor.cast<double>();
  const auto tape = layer_forward(m, {}, input);
  const auto tape_double = layer_forward(m, {}, widened);
  const Matrix<float> dy = input.at("x");
  const auto gradients = layer_backward(m, {}, input, tape, dy);
  const auto gradients_double = layer_backward<double>(m, {}, widened, tape_double, dy.cast<double>());
  // A product of n random terms errs by about 0.4·sqrt(n)·u of itself (the partial sums of a random walk, each rounded
  // once); the longest chain from x to a gradient has 14 products of at most F = 160 terms. Rounded up to 1·sqrt(n)·u
  // and added without cancellation.
  const double bound = 14 * std::sqrt(160.0) * kUnitFloat;
  for (const auto& [name, tensor] : tape) EXPECT_LE(relative_difference(tensor, tape_double.at(name)), bound) << name;
  for (const auto& [name, tensor] : gradients)
    EXPECT_LE(relative_difference(tensor, gradients_double.at(name)), bound) << name;
  EXPECT_GT(relative_difference(tape.at("y"), tape_double.at("y")), 0) << "float and double must be two computations";
}

std::string message_of(const std::function<void()>& call) {
  const Error error = error_of(call);
  EXPECT_EQ(error.code(), ExitCode::bad_input);
  return error.what();
}

TEST(LayerErrors, NameTheTensorItsShapeAndTheExpectedOne) {
  const ModelShape m = small_shape();
  const Matrices<double> good = random_layer(m, 7, 8);
  for (const auto& entry : good) {
    const std::string name = entry.first;
    Matrices<double> bad = good;
    bad.erase(name);
    EXPECT_THAT(message_of([&] { layer_forward(m, {}, bad); }), testing::HasSubstr("tensor '" + name + "' is missing"));
    bad[name] = Matrix<double>::Zero(5, 3);
    EXPECT_THAT(message_of([&] { layer_forward(m, {}, bad); }),
                testing::HasSubstr("tensor '" + name + "' has shape [5, 3]: give it shape ["));
  }
  Matrices<double> empty = good;
  empty.at("x").resize(m.dim, 0);
  EXPECT_THAT(message_of([&] { layer_forward(m, {}, empty); }), testing::HasSubstr("[12, S], S at least 1"));

  Matrices<double> tape = layer_forward(m, {}, good);
  EXPECT_THAT(message_of([&] { layer_backward<double>(m, {}, good, tape, good.at("x").leftCols(3)); }),
              testing::HasSubstr("layer_backward: tensor 'dy' has shape [12, 3]: give it shape [12, 7]"));
  tape.erase("probs");
  EXPECT_THAT(message_of([&] { layer_backward(m, {}, good, tape, good.at("x")); }),
              testing::HasSubstr("tensor 'probs' is missing"));
}

}  // namespace
}  // namespace aneval::reference
