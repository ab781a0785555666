// What the layer and the single kernels share and what is no product by a weight: input checks, rmsnorm, RoPE, SiLU and
// the map between query heads and key/value heads. Internal to reference/. Attention has its own header.
#pragma once

#include <string_view>
#include <vector>

#include "reference/matrix.h"

namespace aneval::reference {

using Index = Eigen::Index;

/// Errors name `where` and the tensor, when it has another shape than [rows, cols].
template <class T>
void expect_shape(const Matrix<T>& m, std::string_view name, Index rows, Index cols, std::string_view where);
/// tensors[name] of any shape. Errors name `where` and the missing tensor.
template <class T>
const Matrix<T>& require(const Matrices<T>& tensors, std::string_view name, std::string_view where);
/// tensors[name] of shape [rows, cols].
template <class T>
const Matrix<T>& require(const Matrices<T>& tensors, std::string_view name, Index rows, Index cols,
                         std::string_view where);
/// The tensor that fixes S: tensors[name] of shape [rows, S], S at least 1.
template <class T>
const Matrix<T>& require_columns(const Matrices<T>& tensors, std::string_view name, Index rows, std::string_view where);

// Results are written to the last arguments, which keep their memory when they have the right shape already: at the
// widths of real models, fresh pages cost a seventh of a backward pass.

/// y[d, s] = x[d, s] · w[d] · r[s], r = (mean_d x² + eps)^-1/2 (Zhang and Sennrich 2019). w is [D, 1].
template <class T>
void rmsnorm(const Matrix<T>& x, const Matrix<T>& w, double eps, Matrix<T>& y);

/// dx = r·(w∘dy) − x·r³/D·Σ_d(w∘dy∘x) [D, S], dw = Σ_s dy∘x·r [D, 1].
template <class T>
void rmsnorm_backward(const Matrix<T>& x, const Matrix<T>& w, const Matrix<T>& dy, double eps, Matrix<T>& dx,
                      Matrix<T>& dw);

/// Rotary position embedding (Su et al. 2021): in every head, pair i of lanes turns by position · base^(−2i/h).
template <class T>
class Rotation {
 public:
  Rotation(const ModelShape& shape, Index seq);
  /// Rotates x [heads·h, S] in place. The inverse is also the adjoint.
  void apply(Matrix<T>& x) const { turn(x, T(1)); }
  void undo(Matrix<T>& x) const { turn(x, T(-1)); }

 private:
  void turn(Matrix<T>& x, T direction) const;

  Index pairs_;
  RopePairing pairing_;
  Matrix<T> cos_, sin_;  // [h/2, S]
};

/// g = silu(h1)∘h3
template <class T>
void gated_silu(const Matrix<T>& h1, const Matrix<T>& h3, Matrix<T>& g);

/// dh3 = dg∘h1∘σ, dh1 = dg∘h3∘σ∘(1 + h1∘(1−σ)), σ = 1/(1+e^−h1).
template <class T>
void gated_silu_backward(const Matrix<T>& h1, const Matrix<T>& h3, const Matrix<T>& dg, Matrix<T>& dh1, Matrix<T>& dh3);

/// Which key/value head every query head reads.
struct Heads {
  Index dim = 0;              // h
  std::vector<Index> source;  // per query head, its key/value head

  /// j / R, or j mod G when cyclic.
  static Heads of(const ModelShape& shape, const Options& options);
  /// Keys and values that were copied out to the query heads before: head j reads head j.
  static Heads tiled(const ModelShape& shape);
  Index count() const { return static_cast<Index>(source.size()); }
};

/// [Q, S] → [K, S]: the sum over the query heads that read each key/value head.
template <class T>
void reduce_heads(const Heads& heads, Index kv_heads, const Matrix<T>& full, Matrix<T>& sum);

}  // namespace aneval::reference
