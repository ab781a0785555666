// Structured data have the structure that they are named after, in every kernel that meets it.
#include "validate/case_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "ane/gqa.h"
#include "reference/convert.h"
#include "validate/case_data_structured.h"
#include "validate/kernel_check.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

using Matrix = reference::Matrix<double>;

Case structured_case(const std::string& kernel, DataKind data, double amplitude = 1) {
  Case c;
  c.kernel = kernel;
  c.data = data;
  c.amplitude = amplitude;
  c.shape = load_model_shape("Stories110M");
  c.shape.dim = c.shape.hidden = 96;
  c.shape.heads = 4;
  c.shape.kv_heads = 2;
  c.shape.head_dim = 32;
  c.shape.seq = 128;
  c.ic = c.oc = kernel == "dynMatmul" ? 64 : 0;
  return c;
}

ane::PackedLayout layout_of(const Case& c) {
  return ane::KernelRegistry::builtin().find(c.kernel).layout(kernel_config(c));
}

CaseData data_of(const Case& c) { return make_case_data(c, layout_of(c)); }

/// What the double reference makes of the case's data.
reference::Matrices<double> results_of(const Case& c) {
  const ane::PackedLayout layout = layout_of(c);
  const CaseData data = make_case_data(c, layout);
  reference::Matrices<double> in;
  for (const ane::Slot& slot : layout.slots()) {
    const Tensor& t =
        slot.kind == ane::SlotKind::weight ? data.weights.at(slot.weight) : data.activations.at(slot.name);
    Matrix matrix = Eigen::Map<const reference::Matrix<float>>(t.data.data(), t.rows(), t.cols()).cast<double>();
    if (slot.transposed) matrix = (matrix.transpose() * slot.scale).eval();
    in[slot.name] = std::move(matrix);
  }
  return reference::KernelTable::builtin().find(c.kernel).in_double(c.shape, reference_options(c.variant), in);
}

/// [H·S, S]: what queries and tiled keys as they lie on a surface attend to.
Matrix attention_of(const Case& c, const Matrix& q, const Matrix& k_tiled) {
  const reference::Matrices<double> in = {{"q", q}, {"k_tiled", k_tiled}, {"v_tiled", q}, {"da", q}};
  return reference::KernelTable::builtin()
      .find("sdpaBwd1")
      .in_double(c.shape, reference_options(c.variant), in)
      .at("probs");
}

/// The same of a case of sdpaFwd, which does not output it.
Matrix forward_attention(const Case& c) {
  const auto out = results_of(c);
  const std::int64_t h = c.shape.head_dim;
  Matrix k(c.shape.q_dim(), c.shape.seq);
  for (std::int64_t head = 0; head < c.shape.heads; ++head)
    k.middleRows(head * h, h) = out.at("k_rope").middleRows(ane::kv_head_of(c.shape, c.variant.head_map, head) * h, h);
  return attention_of(c, out.at("q_rope"), k);
}

double at(const Tensor& tensor, std::int64_t row, std::int64_t column) {
  return static_cast<double>(tensor.data[static_cast<std::size_t>(row * tensor.cols() + column)]);
}

double column_rms(const Tensor& tensor, std::int64_t column) {
  double sum = 0;
  for (std::int64_t row = 0; row < tensor.rows(); ++row) sum += at(tensor, row, column) * at(tensor, row, column);
  return std::sqrt(sum / static_cast<double>(tensor.rows()));
}

/// The share of queries that give the sinks more than half of their probability.
double attending_queries(const Case& c, const Matrix& probs) {
  Matrix share = Matrix::Zero(probs.rows(), 1);
  for (const std::int64_t sink : sink_tokens(c)) share += probs.col(sink);
  return static_cast<double>((share.array() > 0.5).count()) / static_cast<double>(probs.rows());
}

TEST(Sinks, AreToken0AndTwoOthersThatMostQueriesSee) {
  std::set<std::int64_t> second;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Case c = structured_case("sdpaFwd", DataKind::sinks);
    c.seed = seed;
    const auto sinks = sink_tokens(c);
    ASSERT_EQ(sinks.size(), 3u);
    EXPECT_EQ(sinks[0], 0);
    EXPECT_LT(sinks[0], sinks[1]);
    EXPECT_LT(sinks[1], sinks[2]);
    EXPECT_LT(sinks[2], c.shape.seq / 4);
    second.insert(sinks[1]);
  }
  EXPECT_GT(second.size(), 5u);  // the seed chooses
  Case c = structured_case("sdpaFwd", DataKind::sinks);
  for (const std::int64_t seq : {1, 2, 15}) {
    c.shape.seq = seq;
    EXPECT_EQ(sink_tokens(c), std::vector<std::int64_t>{0});
  }
  c.shape.seq = 16;
  EXPECT_EQ(sink_tokens(c).size(), 3u);
}

TEST(Sinks, GetMostOfTheProbabilityOfAlmostEveryQueryAtEveryAmplitude) {
  for (const double amplitude : {0.3, 1.0, 2.5}) {
    const Case first = structured_case("sdpaBwd1", DataKind::sinks, amplitude);
    EXPECT_GT(attending_queries(first, results_of(first).at("probs")), 0.8) << amplitude;
    EXPECT_LT(attending_queries(first, results_of(first).at("probs")), 1.0) << amplitude;  // one query in 16

    const Case second = structured_case("sdpaBwd2", DataKind::sinks, amplitude);
    const Matrix probs = reference::to_matrix<double>(data_of(second).activations.at("probs"));
    EXPECT_GT(attending_queries(second, probs), 0.8) << amplitude;

    for (const RopePairing pairing : {RopePairing::interleaved, RopePairing::half}) {
      Case forward = structured_case("sdpaFwd", DataKind::sinks, amplitude);
      forward.shape.rope_pairing = pairing;
      EXPECT_GT(attending_queries(forward, forward_attention(forward)), 0.8) << amplitude;
    }
    const Case random = structured_case("sdpaFwd", DataKind::random, amplitude);
    EXPECT_LT(attending_queries(random, forward_attention(random)), 0.3) << amplitude;
  }
}

TEST(Sinks, AttendUnderAFoldedScoreScaleAndACyclicHeadMapToo) {
  Case c = structured_case("sdpaBwd1", DataKind::sinks);
  c.variant = ane::parse_variant("score_scale=folded");
  EXPECT_GT(attending_queries(c, results_of(c).at("probs")), 0.8);
  c.kernel = "sdpaFwd";
  EXPECT_GT(attending_queries(c, forward_attention(c)), 0.8);
  c.variant = ane::parse_variant("head_map=cyclic");
  EXPECT_GT(attending_queries(c, forward_attention(c)), 0.8);
}

TEST(Sinks, HaveSmallValuesWhereSomethingAttends) {
  const Case c = structured_case("sdpaBwd1", DataKind::sinks);
  const CaseData first = data_of(c), second = data_of(structured_case("sdpaBwd2", DataKind::sinks));
  const auto v = results_of(structured_case("sdpaFwd", DataKind::sinks)).at("v");
  for (const std::int64_t sink : sink_tokens(c)) {
    EXPECT_LT(column_rms(first.activations.at("v_tiled"), sink), 0.1);
    EXPECT_LT(column_rms(second.activations.at("dp"), sink), 0.1);
    EXPECT_LT(std::sqrt(v.col(sink).squaredNorm() / static_cast<double>(v.rows())), 0.15);
  }
  EXPECT_GT(column_rms(first.activations.at("v_tiled"), c.shape.seq - 1), 0.8);
  EXPECT_GT(column_rms(second.activations.at("dp"), c.shape.seq - 1), 0.8);
}

TEST(Sinks, AreTokensOfMassiveActivationsWhereNothingAttends) {
  for (const auto& [kernel, slot] : std::vector<std::pair<std::string, std::string>>{
           {"woFwd", "attn"}, {"ffnFused", "xm"}, {"ffnFused", "x2"}, {"dynMatmul", "act"}, {"qBwd", "dq"}}) {
    const Case c = structured_case(kernel, DataKind::sinks);
    const CaseData data = data_of(c);
    const auto sinks = sink_tokens(c);
    for (std::int64_t t = 0; t < c.shape.seq; ++t) {
      const double size = std::binary_search(sinks.begin(), sinks.end(), t) ? 10 : 1;
      EXPECT_NEAR(column_rms(data.activations.at(slot), t) / size, 1, 0.4) << kernel << ' ' << slot << ' ' << t;
    }
  }
}

TEST(Means, EveryChannelHasOneOfTheSizeOfItsDeviation) {
  const auto registry = ane::KernelRegistry::builtin();
  for (const ane::KernelSpec& spec : registry.all()) {
    Case c = structured_case(spec.name, DataKind::means, 2);
    c.gradient = 0.5;
    const CaseData data = data_of(c);
    for (const auto& [slot, tensor] : data.activations) {
      if (slot == "probs") continue;
      const double size = is_gradient(slot) ? 1 : 2;
      double means = 0, deviations = 0;
      for (std::int64_t row = 0; row < tensor.rows(); ++row) {
        double sum = 0, squares = 0;
        for (std::int64_t t = 0; t < tensor.cols(); ++t) {
          sum += at(tensor, row, t);
          squares += at(tensor, row, t) * at(tensor, row, t);
        }
        const auto n = static_cast<double>(tensor.cols());
        means += sum / n * sum / n;
        deviations += squares / n - sum / n * sum / n;
      }
      const auto rows = static_cast<double>(tensor.rows());
      // Random data have channel means of size/sqrt(128), a squared mean of 0.008.
      EXPECT_NEAR(means / rows / (size * size), 1, 0.5) << spec.name << ' ' << slot;
      EXPECT_NEAR(deviations / rows / (size * size), 1, 0.1) << spec.name << ' ' << slot;
    }
  }
}

TEST(Repeats, FourTokensMakeTheSequence) {
  const auto registry = ane::KernelRegistry::builtin();
  for (const ane::KernelSpec& spec : registry.all()) {
    const Case c = structured_case(spec.name, DataKind::repeats);
    const CaseData data = data_of(c);
    for (const auto& [slot, tensor] : data.activations) {
      if (slot == "probs") continue;
      std::set<std::vector<float>> columns;
      for (std::int64_t t = 0; t < tensor.cols(); ++t) {
        std::vector<float> column;
        for (std::int64_t row = 0; row < tensor.rows(); ++row)
          column.push_back(tensor.data[static_cast<std::size_t>(row * tensor.cols() + t)]);
        columns.insert(column);
      }
      EXPECT_EQ(columns.size(), 4u) << spec.name << ' ' << slot;
    }
  }
}

TEST(Repeats, TheSamePatternInEverySlotAndInTheRowsOfDp) {
  const Case c = structured_case("sdpaBwd2", DataKind::repeats);
  const CaseData data = data_of(c);
  const auto first = repeated_tokens(c);
  const Tensor &q = data.activations.at("q"), &k = data.activations.at("k_tiled"), &dp = data.activations.at("dp");
  for (std::int64_t t = 0; t < c.shape.seq; ++t) {
    const std::int64_t source = first[static_cast<std::size_t>(t)];
    EXPECT_EQ(at(q, 5, t), at(q, 5, source));
    EXPECT_EQ(at(k, 5, t), at(k, 5, source));
    EXPECT_EQ(at(dp, 3 * c.shape.seq + t, 7), at(dp, 3 * c.shape.seq + source, 7));
  }
  EXPECT_EQ(std::set<std::int64_t>(first.begin(), first.end()), (std::set<std::int64_t>{0, 1, 2, 3}));
}

TEST(Structured, ProbabilitiesAreTheCausalSoftmaxOfTheQueriesAndKeysBesideThem) {
  for (const DataKind kind : kStructuredKinds) {
    for (const char* variant : {"default", "score_scale=folded"}) {
      Case c = structured_case("sdpaBwd2", kind);
      c.variant = ane::parse_variant(variant);
      const CaseData data = data_of(c);
      const Tensor& probs = data.activations.at("probs");
      const Matrix expected = attention_of(c, reference::to_matrix<double>(data.activations.at("q")),
                                           reference::to_matrix<double>(data.activations.at("k_tiled")));
      for (std::int64_t row = 0; row < probs.rows(); ++row) {
        double sum = 0;
        for (std::int64_t key = 0; key < probs.cols(); ++key) {
          sum += at(probs, row, key);
          EXPECT_NEAR(at(probs, row, key), expected(row, key), 1e-6) << data_kind_name(kind);
          EXPECT_TRUE(key <= row % probs.cols() || at(probs, row, key) == 0);
        }
        EXPECT_NEAR(sum, 1, 1e-5);
      }
    }
  }
}

TEST(Structured, SeedAmplitudeGradientAndLossScaleMeanWhatTheyMeanForRandomData) {
  for (const DataKind kind : kStructuredKinds) {
    Case c = structured_case("ffnBwdW13t", kind);
    const Tensor base = data_of(c).activations.at("dh1");
    c.seed = 2;
    EXPECT_NE(data_of(c).activations.at("dh1").data, base.data) << data_kind_name(kind);
    c.seed = 1;
    EXPECT_EQ(data_of(c).activations.at("dh1").data, base.data) << data_kind_name(kind);
    for (const auto& [amplitude, gradient, loss_scale] :
         {std::tuple{2.0, 1.0, 1.0}, std::tuple{1.0, 0.125, 1.0}, std::tuple{1.0, 1.0, 16.0}}) {
      Case other = c;
      other.amplitude = amplitude;
      other.gradient = gradient;
      other.loss_scale = loss_scale;
      const Tensor scaled = data_of(other).activations.at("dh1");
      for (std::size_t i = 0; i < base.data.size(); ++i)
        ASSERT_NEAR(static_cast<double>(scaled.data[i]),
                    amplitude * gradient * loss_scale * static_cast<double>(base.data[i]),
                    1e-5 * amplitude * gradient * loss_scale * (1 + std::abs(static_cast<double>(base.data[i]))));
    }
    // Gradients of sdpaBwd2 keep their size although dp is shaped.
    Case small = structured_case("sdpaBwd2", kind);
    small.gradient = 1e-3;
    const Tensor dp = data_of(small).activations.at("dp");
    EXPECT_NEAR(column_rms(dp, small.shape.seq - 1), kind == DataKind::means ? std::sqrt(2) * 1e-3 : 1e-3, 4e-4);
  }
}

TEST(Structured, OneTokenIsEnough) {
  const auto registry = ane::KernelRegistry::builtin();
  for (const DataKind kind : kStructuredKinds) {
    for (const ane::KernelSpec& spec : registry.all()) {
      Case c = structured_case(spec.name, kind);
      c.shape.seq = 1;
      const CaseData data = data_of(c);
      for (const auto& [slot, tensor] : data.activations)
        for (const float value : tensor.data) ASSERT_TRUE(std::isfinite(value)) << spec.name << ' ' << slot;
    }
  }
}

}  // namespace
}  // namespace aneval::validate
