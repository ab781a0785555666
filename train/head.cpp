// Products by the classifier are cut into pieces of fixed size, which are what the pool's threads share: a row of
// logits, of the classifier's gradient and of the final activations' gradient is always the same Eigen product.
#include "train/head.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

#include "ane/cpu_ops.h"

namespace aneval::train {
namespace {

using Index = Eigen::Index;
using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::int64_t kVocabularyRows = 256;  // classifier rows of a piece: half a megabyte at D = 512
constexpr std::int64_t kChannels = 64;         // channels of a piece of the final activations' gradient
constexpr std::int64_t kColumns = 16;          // tokens of a piece of the softmax: one cache line of every row

using Strip = Eigen::Array<float, 1, kColumns>;

Eigen::Map<const Rows> matrix(const Tensor& tensor) { return {tensor.data.data(), tensor.rows(), tensor.cols()}; }
Eigen::Map<Rows> matrix(Tensor& tensor) { return {tensor.data.data(), tensor.rows(), tensor.cols()}; }

/// Memory of an earlier call is used again.
void reshape(Tensor& tensor, std::int64_t rows, std::int64_t cols) {
  if (tensor.shape != std::vector<std::int64_t>{rows, cols}) tensor = Tensor({rows, cols});
}

}  // namespace

void embed(const Tensor& embedding, std::span<const std::int32_t> tokens, Tensor& x) {
  reshape(x, embedding.cols(), static_cast<std::int64_t>(tokens.size()));
  const auto rows = matrix(embedding);
  auto columns = matrix(x);
  for (std::size_t s = 0; s < tokens.size(); ++s) columns.col(static_cast<Index>(s)) = rows.row(tokens[s]).transpose();
}

void embed_backward(const Tensor& dx, std::span<const std::int32_t> tokens, Tensor& dembedding) {
  const auto columns = matrix(dx);
  auto rows = matrix(dembedding);
  for (std::size_t s = 0; s < tokens.size(); ++s) rows.row(tokens[s]) += columns.col(static_cast<Index>(s)).transpose();
}

/// Turns logits into gradient_scale · dloss/dlogits in place and returns the loss.
double Head::cross_entropy(std::span<const std::int32_t> targets, double gradient_scale) {
  const std::int64_t seq = logits_.cols();
  std::vector<double> losses(targets.size());
  parallel_for(pool_, seq, kColumns, [&](std::int64_t begin, std::int64_t end) {
    auto strip = matrix(logits_).middleCols(begin, end - begin);
    // A row of its own, always of the same width and alignment: what Eigen's vectors and its scalar code for the rest
    // make of an exponential differs in the last bit, and a tensor's address must not decide which of them an element
    // gets. Columns beyond the last are zeros.
    Strip largest = Strip::Zero(), row = Strip::Zero(), factors = Strip::Zero();
    double sums[kColumns] = {};
    const std::int64_t columns = end - begin;
    for (Index s = 0; s < columns; ++s) largest(s) = strip.col(s).maxCoeff();
    for (Index s = 0; s < columns; ++s) {
      const auto at = static_cast<std::size_t>(begin + s);
      losses[at] = static_cast<double>(largest(s)) - static_cast<double>(strip(targets[at], s));
    }
    // Shifted by the maximum, so that no exponential overflows; the sums are kept in double.
    for (Index v = 0; v < strip.rows(); ++v) {
      for (Index s = 0; s < columns; ++s) row(s) = strip(v, s);
      row = (row - largest).exp();
      for (Index s = 0; s < columns; ++s) {
        sums[s] += static_cast<double>(row(s));
        strip(v, s) = row(s);
      }
    }
    const double share = gradient_scale / static_cast<double>(seq);
    for (Index s = 0; s < columns; ++s) factors(s) = static_cast<float>(share / sums[s]);
    for (Index v = 0; v < strip.rows(); ++v)
      for (Index s = 0; s < columns; ++s) strip(v, s) *= factors(s);
    for (Index s = 0; s < columns; ++s) {
      const auto at = static_cast<std::size_t>(begin + s);
      losses[at] += std::log(sums[s]);
      strip(targets[at], s) -= static_cast<float>(share);
    }
  });
  double loss = 0;
  for (const double each : losses) loss += each;
  return loss / static_cast<double>(seq);
}

double Head::run(const Parameters& weights, const Tensor& y, std::span<const std::int32_t> targets,
                 double gradient_scale, Tensor& dy, Parameters& gradients, PhaseTimes& times) {
  const std::string name = weights.tied() ? "embedding" : "classifier";
  const Tensor& classifier = weights.globals.at(name);
  const Tensor& norm = weights.globals.at("rms_final");
  const std::int64_t dim = y.rows(), seq = y.cols(), vocab = classifier.rows();
  reshape(normed_, dim, seq);
  reshape(dnormed_, dim, seq);
  reshape(logits_, vocab, seq);
  reshape(dy, dim, seq);
  {
    const PhaseScope scope(times, "forward", "rmsnorm");
    ane::rmsnorm(y.data, norm.data, dim, seq, shape_.rms_eps, normed_.data);
  }
  double loss = 0;
  {
    const PhaseScope scope(times, "forward", "classifier");
    parallel_for(pool_, vocab, kVocabularyRows, [&](std::int64_t begin, std::int64_t end) {
      matrix(logits_).middleRows(begin, end - begin).noalias() =
          matrix(classifier).middleRows(begin, end - begin) * matrix(normed_);
    });
    loss = cross_entropy(targets, gradient_scale);
  }
  {
    const PhaseScope scope(times, "backward", "classifier");
    Tensor& dclassifier = gradients.globals.at(name);
    parallel_for(pool_, vocab, kVocabularyRows, [&](std::int64_t begin, std::int64_t end) {
      matrix(dclassifier).middleRows(begin, end - begin).noalias() +=
          matrix(logits_).middleRows(begin, end - begin) * matrix(normed_).transpose();
    });
    parallel_for(pool_, dim, kChannels, [&](std::int64_t begin, std::int64_t end) {
      matrix(dnormed_).middleRows(begin, end - begin).noalias() =
          matrix(classifier).middleCols(begin, end - begin).transpose() * matrix(logits_);
    });
  }
  const PhaseScope scope(times, "backward", "rmsnorm");
  ane::rmsnorm_backward(y.data, norm.data, dnormed_.data, dim, seq, shape_.rms_eps, dy.data,
                        gradients.globals.at("rms_final").data);
  return loss;
}

}  // namespace aneval::train
