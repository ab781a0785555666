// Rmsnorm, RoPE, SiLU, head maps and input checks of the reference, as whole-matrix expressions.
#include "reference/blocks.h"

#include <cmath>

#include "common/error.h"
#include "common/tensor.h"

namespace aneval::reference {

namespace {

[[noreturn]] void wrong_shape(std::string_view name, std::string_view where, Index rows, Index cols,
                              const std::string& expected) {
  throw input_error(std::string(where), "tensor '" + std::string(name) + "' has shape " + shape_text({rows, cols}),
                    "give it shape " + expected);
}

template <class T>
using RowArray = Eigen::Array<T, 1, Eigen::Dynamic>;

/// 1 / rms of every column.
template <class T>
RowArray<T> inverse_rms(const Matrix<T>& x, double eps) {
  const RowArray<T> mean_square = x.array().square().colwise().sum() / T(x.rows());
  return T(1) / (mean_square + T(eps)).sqrt();
}

}  // namespace

template <class T>
void expect_shape(const Matrix<T>& m, std::string_view name, Index rows, Index cols, std::string_view where) {
  if (m.rows() != rows || m.cols() != cols) wrong_shape(name, where, m.rows(), m.cols(), shape_text({rows, cols}));
}

template <class T>
const Matrix<T>& require(const Matrices<T>& tensors, std::string_view name, std::string_view where) {
  const auto found = tensors.find(name);
  if (found != tensors.end()) return found->second;
  throw input_error(std::string(where), "tensor '" + std::string(name) + "' is missing", "provide it");
}

template <class T>
const Matrix<T>& require(const Matrices<T>& tensors, std::string_view name, Index rows, Index cols,
                         std::string_view where) {
  const Matrix<T>& m = require(tensors, name, where);
  expect_shape(m, name, rows, cols, where);
  return m;
}

template <class T>
const Matrix<T>& require_columns(const Matrices<T>& tensors, std::string_view name, Index rows,
                                 std::string_view where) {
  const Matrix<T>& m = require(tensors, name, where);
  if (m.rows() != rows || m.cols() == 0)
    wrong_shape(name, where, m.rows(), m.cols(), "[" + std::to_string(rows) + ", S], S at least 1");
  return m;
}

template <class T>
void rmsnorm(const Matrix<T>& x, const Matrix<T>& w, double eps, Matrix<T>& y) {
  const RowArray<T> r = inverse_rms(x, eps);
  y = ((x.array().rowwise() * r).colwise() * w.col(0).array()).matrix();
}

template <class T>
void rmsnorm_backward(const Matrix<T>& x, const Matrix<T>& w, const Matrix<T>& dy, double eps, Matrix<T>& dx,
                      Matrix<T>& dw) {
  const RowArray<T> r = inverse_rms(x, eps);
  dx = (dy.array().colwise() * w.col(0).array()).matrix();
  const RowArray<T> shared = (dx.array() * x.array()).colwise().sum() * r.cube() / T(x.rows());
  dx.array() = dx.array().rowwise() * r - x.array().rowwise() * shared;
  dw = ((dy.array() * x.array()).rowwise() * r).rowwise().sum().matrix();
}

template <class T>
Rotation<T>::Rotation(const ModelShape& shape, Index seq)
    : pairs_(shape.head_dim / 2), pairing_(shape.rope_pairing), cos_(pairs_, seq), sin_(pairs_, seq) {
  for (Index i = 0; i < pairs_; ++i) {
    const double frequency =
        std::pow(shape.rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(shape.head_dim));
    for (Index s = 0; s < seq; ++s) {
      // In double for either scalar: in float an angle of 1000 would already be off by 3e-5.
      const double angle = static_cast<double>(s) * frequency;
      cos_(i, s) = static_cast<T>(std::cos(angle));
      sin_(i, s) = static_cast<T>(std::sin(angle));
    }
  }
}

template <class T>
void Rotation<T>::turn(Matrix<T>& x, T direction) const {
  const bool interleaved = pairing_ == RopePairing::interleaved;
  Eigen::Array<T, 1, Eigen::Dynamic> first(x.cols());
  for (Index head = 0; head < x.rows(); head += 2 * pairs_) {
    for (Index i = 0; i < pairs_; ++i) {
      auto a = x.row(head + (interleaved ? 2 * i : i)).array();
      auto b = x.row(head + (interleaved ? 2 * i + 1 : i + pairs_)).array();
      const auto c = cos_.row(i).array();
      const auto s = sin_.row(i).array() * direction;
      first = a * c - b * s;
      b = a * s + b * c;
      a = first;
    }
  }
}

template <class T>
void gated_silu(const Matrix<T>& h1, const Matrix<T>& h3, Matrix<T>& g) {
  g = (h1.array() * h3.array() / (T(1) + (-h1.array()).exp())).matrix();
}

template <class T>
void gated_silu_backward(const Matrix<T>& h1, const Matrix<T>& h3, const Matrix<T>& dg, Matrix<T>& dh1,
                         Matrix<T>& dh3) {
  const auto x = h1.array();
  dh3 = (T(1) / (T(1) + (-x).exp())).matrix();  // σ until its last use
  const auto sigma = dh3.array();
  dh1 = (dg.array() * h3.array() * sigma * (T(1) + x * (T(1) - sigma))).matrix();
  dh3.array() *= dg.array() * x;
}

Heads Heads::of(const ModelShape& shape, const Options& options) {
  Heads heads{shape.head_dim, {}};
  for (Index j = 0; j < shape.heads; ++j)
    heads.source.push_back(options.cyclic_heads ? j % shape.kv_heads : j / shape.ratio());
  return heads;
}

Heads Heads::tiled(const ModelShape& shape) {
  Heads heads{shape.head_dim, {}};
  for (Index j = 0; j < shape.heads; ++j) heads.source.push_back(j);
  return heads;
}

template <class T>
void reduce_heads(const Heads& heads, Index kv_heads, const Matrix<T>& full, Matrix<T>& sum) {
  sum.setZero(kv_heads * heads.dim, full.cols());
  for (Index j = 0; j < heads.count(); ++j)
    sum.middleRows(heads.source[static_cast<std::size_t>(j)] * heads.dim, heads.dim) +=
        full.middleRows(j * heads.dim, heads.dim);
}

#define ANEVAL_INSTANTIATE(T)                                                                                      \
  template void expect_shape(const Matrix<T>&, std::string_view, Index, Index, std::string_view);                  \
  template const Matrix<T>& require(const Matrices<T>&, std::string_view, std::string_view);                       \
  template const Matrix<T>& require(const Matrices<T>&, std::string_view, Index, Index, std::string_view);         \
  template const Matrix<T>& require_columns(const Matrices<T>&, std::string_view, Index, std::string_view);        \
  template void rmsnorm(const Matrix<T>&, const Matrix<T>&, double, Matrix<T>&);                                   \
  template void rmsnorm_backward(const Matrix<T>&, const Matrix<T>&, const Matrix<T>&, double, Matrix<T>&,         \
                                 Matrix<T>&);                                                                      \
  template class Rotation<T>;                                                                                      \
  template void gated_silu(const Matrix<T>&, const Matrix<T>&, Matrix<T>&);                                        \
  template void gated_silu_backward(const Matrix<T>&, const Matrix<T>&, const Matrix<T>&, Matrix<T>&, Matrix<T>&); \
  template void reduce_heads(const Heads&, Index, const Matrix<T>&, Matrix<T>&);
ANEVAL_INSTANTIATE(float)
ANEVAL_INSTANTIATE(double)
#undef ANEVAL_INSTANTIATE

}  // namespace aneval::reference
