// layer_backward against finite differences of layer_forward, every entry of dx and of the nine weight gradients.
//
// The loss is Σ c∘y with random c, so dy = c. The derivative along one entry is Richardson's combination of central
// differences, R(ε) = (4·D(ε) − D(2ε))/3, with an error of O(ε⁴). Its two errors are bounded per entry:
//   truncation  |R(ε) − R(2ε)|: the error of R(2ε) is 16 times that of R(ε), so the difference is 15 of it
//   roundoff    the loss is a sum of terms of size Σ|c∘y|, each through about 12 products of at most n terms, so it
//   errs
//               by 12·n·u·Σ|c∘y|; D(ε) divides two of those by 2ε, and R(ε) weighs them by 4/3 + 1/6
// The sum may not exceed 1e-6 of the tensor's largest gradient, so that the check stays sharp.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "reference/test_support.h"

namespace aneval::reference {
namespace {

struct GradientCase {
  std::int64_t heads, kv_heads;
  RopePairing pairing;
  bool cyclic;
  bool deep;  // residual scale 1/sqrt(2L) of three layers, else 1
  std::int64_t seq;
};

std::string name_of(const testing::TestParamInfo<GradientCase>& info) {
  const GradientCase& c = info.param;
  return fmt::format("H{}G{}{}{}{}S{}", c.heads, c.kv_heads, c.pairing == RopePairing::half ? "half" : "interleaved",
                     c.cyclic ? "Cyclic" : "Grouped", c.deep ? "Deep" : "Plain", c.seq);
}

class LayerGradient : public testing::TestWithParam<GradientCase> {};

TEST_P(LayerGradient, MatchesFiniteDifferences) {
  const GradientCase c = GetParam();
  ModelShape m;
  m.dim = 6, m.hidden = 5, m.heads = c.heads, m.kv_heads = c.kv_heads, m.head_dim = 4, m.seq = c.seq, m.layers = 3;
  m.vocab = 1;
  ASSERT_NE(m.head_dim * m.heads, m.dim);
  m.rope_pairing = c.pairing;
  m.rope_base = 50;
  m.residual_scale = c.deep ? 1 / std::sqrt(6.0) : 1;
  const Options options{.cyclic_heads = c.cyclic};
  Matrices<double> input = random_layer(m, c.seq, 11);
  Random random(12);
  const Matrix<double> dy = random_matrix<double>(m.dim, c.seq, 1, random);
  const Matrices<double> tape = layer_forward(m, options, input);
  const Matrices<double> gradients = layer_backward(m, options, input, tape, dy);

  constexpr double step = 0x1p-10;
  const double longest = static_cast<double>(std::max({m.dim, m.hidden, m.q_dim(), c.seq}));
  const double loss_size = tape.at("y").cwiseProduct(dy).cwiseAbs().sum();
  const double roundoff = (4.0 / 3 + 1.0 / 6) * 12 * longest * kUnitDouble * loss_size / step;
  Matrices<double> scratch;
  for (const auto& name : {"x", "wq", "wk", "wv", "wo", "w1", "w2", "w3", "rms_att", "rms_ffn"}) {
    Matrix<double>& tensor = input.at(name);
    const Matrix<double>& gradient = gradients.at(fmt::format("d{}", name));
    ASSERT_EQ(gradient.rows(), tensor.rows()) << name;
    ASSERT_EQ(gradient.cols(), tensor.cols()) << name;
    const double largest = gradient.cwiseAbs().maxCoeff();
    // One token attends to itself with probability 1 whatever q and k are.
    const bool no_gradient = c.seq == 1 && (name == std::string("wq") || name == std::string("wk"));
    if (!no_gradient) {
      ASSERT_GT(largest, 1e-3) << name;
    }
    for (Eigen::Index i = 0; i < tensor.size(); ++i) {
      double& entry = tensor.data()[i];
      const double value = entry;
      const auto loss_at = [&](double offset) {
        entry = value + offset;
        layer_forward(m, options, input, scratch);
        entry = value;
        return scratch.at("y").cwiseProduct(dy).sum();
      };
      const auto central = [&](double h) { return (loss_at(h) - loss_at(-h)) / (2 * h); };
      const double d1 = central(step), d2 = central(2 * step), d4 = central(4 * step);
      const double fine = (4 * d1 - d2) / 3, coarse = (4 * d2 - d4) / 3;
      const double tolerance = std::abs(fine - coarse) + roundoff;
      if (!no_gradient) {
        ASSERT_LE(tolerance, 1e-6 * largest) << name << " " << i << ": the check is blunt";
      }
      ASSERT_LE(std::abs(gradient.data()[i] - fine), tolerance) << name << " " << i;
    }
  }
}

constexpr auto kInterleaved = RopePairing::interleaved, kHalf = RopePairing::half;
INSTANTIATE_TEST_SUITE_P(
    Shapes, LayerGradient,
    testing::Values(GradientCase{4, 4, kInterleaved, false, true, 7}, GradientCase{4, 4, kHalf, false, false, 7},
                    GradientCase{4, 2, kInterleaved, false, false, 7}, GradientCase{4, 2, kInterleaved, true, true, 7},
                    GradientCase{4, 2, kHalf, true, false, 7}, GradientCase{8, 2, kInterleaved, false, true, 7},
                    GradientCase{8, 2, kHalf, true, true, 7}, GradientCase{8, 2, kHalf, false, false, 7},
                    GradientCase{4, 1, kInterleaved, false, true, 7}, GradientCase{4, 2, kHalf, false, true, 1},
                    GradientCase{8, 2, kInterleaved, true, false, 1}),
    name_of);

}  // namespace
}  // namespace aneval::reference
