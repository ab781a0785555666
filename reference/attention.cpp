// Attention per head on blocks of rows: channel-first activations make a head a block of h rows, so q·kᵀ of the
// formulas is q_hᵀ·k_h here.
#include "reference/attention.h"

#include <cmath>

namespace aneval::reference {

namespace {

template <class T>
auto head_block(const Heads& heads, const Matrix<T>& x, Index head) {
  return x.middleRows(head * heads.dim, heads.dim);
}

Index source_of(const Heads& heads, Index j) { return heads.source[static_cast<std::size_t>(j)]; }

}  // namespace

double score_scale(const ModelShape& shape) { return 1.0 / std::sqrt(static_cast<double>(shape.head_dim)); }

template <class T>
void attention_probs(const Heads& heads, double scale, const Matrix<T>& q, const Matrix<T>& k, Matrix<T>& probs) {
  const Index seq = q.cols();
  probs.resize(heads.count() * seq, seq);
  for (Index j = 0; j < heads.count(); ++j) {
    auto p = probs.middleRows(j * seq, seq);
    p.noalias() = (T(scale) * head_block(heads, q, j).transpose()) * head_block(heads, k, source_of(heads, j));
    for (Index query = 0; query < seq; ++query) {
      auto seen = p.row(query).head(query + 1).array();
      seen = (seen - seen.maxCoeff()).exp();
      seen /= seen.sum();
      p.row(query).tail(seq - query - 1).setZero();
    }
  }
}

template <class T>
void attention_values(const Heads& heads, const Matrix<T>& probs, const Matrix<T>& v, Matrix<T>& attn) {
  const Index seq = v.cols();
  attn.resize(heads.count() * heads.dim, seq);
  for (Index j = 0; j < heads.count(); ++j)
    attn.middleRows(j * heads.dim, heads.dim).noalias() =
        head_block(heads, v, source_of(heads, j)) * probs.middleRows(j * seq, seq).transpose();
}

template <class T>
void attention_dv(const Heads& heads, const Matrix<T>& probs, const Matrix<T>& da, Matrix<T>& dv_full) {
  const Index seq = da.cols();
  dv_full.resize(heads.count() * heads.dim, seq);
  for (Index j = 0; j < heads.count(); ++j)
    dv_full.middleRows(j * heads.dim, heads.dim).noalias() = head_block(heads, da, j) * probs.middleRows(j * seq, seq);
}

template <class T>
void attention_dp(const Heads& heads, Index tile, const Matrix<T>& da, const Matrix<T>& v, Matrix<T>& dp) {
  const Index seq = da.cols();
  dp.resize(heads.count() * seq, seq);
  for (Index j = 0; j < heads.count(); ++j)
    dp.middleRows(j * seq, seq).noalias() =
        head_block(heads, da, j).transpose() * head_block(heads, v, source_of(heads, j));
  if (tile == 0) return;
  for (Index row = 0; row < dp.rows(); ++row) {
    const Index end = (row % seq / tile + 1) * tile;
    if (end < seq) dp.row(row).tail(seq - end).setZero();
  }
}

template <class T>
void attention_scores_backward(const Heads& heads, double scale, const Matrix<T>& probs, const Matrix<T>& dp,
                               const Matrix<T>& q, const Matrix<T>& k, Matrix<T>& dq, Matrix<T>& dk_full) {
  const Index seq = q.cols();
  dq.resize(q.rows(), seq);
  dk_full.resize(q.rows(), seq);
  Matrix<T> ds(seq, seq);
  for (Index j = 0; j < heads.count(); ++j) {
    for (Index query = 0; query < seq; ++query) {
      const auto p = probs.row(j * seq + query).array();
      const auto d = dp.row(j * seq + query).array();
      ds.row(query).array() = T(scale) * p * (d - (p * d).sum());
    }
    dq.middleRows(j * heads.dim, heads.dim).noalias() = head_block(heads, k, source_of(heads, j)) * ds.transpose();
    dk_full.middleRows(j * heads.dim, heads.dim).noalias() = head_block(heads, q, j) * ds;
  }
}

#define ANEVAL_INSTANTIATE(T)                                                                                         \
  template void attention_probs(const Heads&, double, const Matrix<T>&, const Matrix<T>&, Matrix<T>&);                \
  template void attention_values(const Heads&, const Matrix<T>&, const Matrix<T>&, Matrix<T>&);                       \
  template void attention_dv(const Heads&, const Matrix<T>&, const Matrix<T>&, Matrix<T>&);                           \
  template void attention_dp(const Heads&, Index, const Matrix<T>&, const Matrix<T>&, Matrix<T>&);                    \
  template void attention_scores_backward(const Heads&, double, const Matrix<T>&, const Matrix<T>&, const Matrix<T>&, \
                                          const Matrix<T>&, Matrix<T>&, Matrix<T>&);
ANEVAL_INSTANTIATE(float)
ANEVAL_INSTANTIATE(double)
#undef ANEVAL_INSTANTIATE

}  // namespace aneval::reference
