// The layer as its formulas say it, one line per tensor. The weights enter by whole-matrix products.
#include "reference/layer.h"

#include "reference/attention.h"

namespace aneval::reference {

namespace {

/// The layer's input tensors, checked.
template <class T>
struct LayerInput {
  const Matrix<T>&x, &wq, &wk, &wv, &wo, &w1, &w2, &w3, &rms_att, &rms_ffn;

  static LayerInput of(const ModelShape& s, const Matrices<T>& input, std::string_view where) {
    const auto weight = [&](std::string_view name, Index out, Index in) -> const Matrix<T>& {
      return require(input, name, out, in, where);
    };
    return {require_columns(input, "x", s.dim, where),
            weight("wq", s.q_dim(), s.dim),
            weight("wk", s.kv_dim(), s.dim),
            weight("wv", s.kv_dim(), s.dim),
            weight("wo", s.dim, s.q_dim()),
            weight("w1", s.hidden, s.dim),
            weight("w2", s.dim, s.hidden),
            weight("w3", s.hidden, s.dim),
            weight("rms_att", s.dim, 1),
            weight("rms_ffn", s.dim, 1)};
  }
};

}  // namespace

template <class T>
void layer_forward(const ModelShape& shape, const Options& options, const Matrices<T>& input, Matrices<T>& tape) {
  const auto in = LayerInput<T>::of(shape, input, "layer_forward");
  const Heads heads = Heads::of(shape, options);
  const Rotation<T> rope(shape, in.x.cols());
  const T a = T(shape.residual_scale);
  Matrix<T>&xn = tape["xn"], &q = tape["q"], &k = tape["k"], &v = tape["v"], &probs = tape["probs"];
  Matrix<T>&attn = tape["attn"], &o = tape["o"], &x2 = tape["x2"], &xm = tape["xm"];
  Matrix<T>&h1 = tape["h1"], &h3 = tape["h3"], &g = tape["g"], &y = tape["y"];

  rmsnorm(in.x, in.rms_att, shape.rms_eps, xn);
  q.noalias() = in.wq * xn;
  k.noalias() = in.wk * xn;
  v.noalias() = in.wv * xn;
  rope.apply(q);
  rope.apply(k);
  attention_probs(heads, score_scale(shape), q, k, probs);
  attention_values(heads, probs, v, attn);
  o.noalias() = in.wo * attn;
  x2 = in.x + a * o;
  rmsnorm(x2, in.rms_ffn, shape.rms_eps, xm);
  h1.noalias() = in.w1 * xm;
  h3.noalias() = in.w3 * xm;
  gated_silu(h1, h3, g);
  y = x2;
  y.noalias() += (a * in.w2) * g;
}

template <class T>
void layer_backward(const ModelShape& shape, const Options& options, const Matrices<T>& input, const Matrices<T>& tape,
                    const Matrix<T>& dy, Matrices<T>& out) {
  constexpr std::string_view where = "layer_backward";
  const auto in = LayerInput<T>::of(shape, input, where);
  const Index seq = in.x.cols();
  const auto taped = [&](std::string_view name, Index channels) -> const Matrix<T>& {
    return require(tape, name, channels, seq, where);
  };
  const Matrix<T>&xn = taped("xn", shape.dim), &q = taped("q", shape.q_dim()), &k = taped("k", shape.kv_dim());
  const Matrix<T>&v = taped("v", shape.kv_dim()), &probs = taped("probs", shape.heads * seq);
  const Matrix<T>&attn = taped("attn", shape.q_dim()), &x2 = taped("x2", shape.dim), &xm = taped("xm", shape.dim);
  const Matrix<T>&h1 = taped("h1", shape.hidden), &h3 = taped("h3", shape.hidden), &g = taped("g", shape.hidden);
  expect_shape(dy, "dy", shape.dim, seq, where);
  const Heads heads = Heads::of(shape, options);
  const Rotation<T> rope(shape, seq);
  const T a = T(shape.residual_scale);

  Matrix<T>&dffn = out["dffn"], &dsilu = out["dsilu"], &dh1 = out["dh1"], &dh3 = out["dh3"];
  Matrix<T>&dx_ffn = out["dx_ffn"], &dx2 = out["dx2"];
  dffn = a * dy;
  dsilu.noalias() = in.w2.transpose() * dffn;
  gated_silu_backward(h1, h3, dsilu, dh1, dh3);
  dx_ffn.noalias() = in.w1.transpose() * dh1;
  dx_ffn.noalias() += in.w3.transpose() * dh3;
  rmsnorm_backward(x2, in.rms_ffn, dx_ffn, shape.rms_eps, dx2, out["drms_ffn"]);
  dx2 += dy;
  out["dw2"].noalias() = dffn * g.transpose();
  out["dw1"].noalias() = dh1 * xm.transpose();
  out["dw3"].noalias() = dh3 * xm.transpose();

  Matrix<T>&dxo = out["dxo"], &da = out["da"], &dv_full = out["dv_full"], &dp = out["dp"];
  Matrix<T>&dq_rope = out["dq_rope"], &dk_full = out["dk_full"], &dk_rope = out["dk_rope"];
  Matrix<T>&dq = out["dq"], &dk = out["dk"], &dv = out["dv"];
  dxo = a * dx2;
  da.noalias() = in.wo.transpose() * dxo;
  out["dwo"].noalias() = dxo * attn.transpose();
  attention_dv(heads, probs, da, dv_full);
  attention_dp(heads, options.causal_tile, da, v, dp);
  attention_scores_backward(heads, score_scale(shape), probs, dp, q, k, dq_rope, dk_full);
  reduce_heads(heads, shape.kv_heads, dk_full, dk_rope);
  reduce_heads(heads, shape.kv_heads, dv_full, dv);
  rope.undo(dq = dq_rope);
  rope.undo(dk = dk_rope);

  Matrix<T>&dx_q = out["dx_q"], &dx_kv = out["dx_kv"], &dx = out["dx"];
  out["dwq"].noalias() = dq * xn.transpose();
  out["dwk"].noalias() = dk * xn.transpose();
  out["dwv"].noalias() = dv * xn.transpose();
  dx_q.noalias() = in.wq.transpose() * dq;
  dx_kv.noalias() = in.wk.transpose() * dk;
  dx_kv.noalias() += in.wv.transpose() * dv;
  rmsnorm_backward<T>(in.x, in.rms_att, dx_q + dx_kv, shape.rms_eps, dx, out["drms_att"]);
  dx += dx2;
}

template <class T>
Matrices<T> layer_forward(const ModelShape& shape, const Options& options, const Matrices<T>& input) {
  Matrices<T> tape;
  layer_forward(shape, options, input, tape);
  return tape;
}

template <class T>
Matrices<T> layer_backward(const ModelShape& shape, const Options& options, const Matrices<T>& input,
                           const Matrices<T>& tape, const Matrix<T>& dy) {
  Matrices<T> out;
  layer_backward(shape, options, input, tape, dy, out);
  return out;
}

#define ANEVAL_INSTANTIATE(T)                                                                                    \
  template void layer_forward(const ModelShape&, const Options&, const Matrices<T>&, Matrices<T>&);              \
  template void layer_backward(const ModelShape&, const Options&, const Matrices<T>&, const Matrices<T>&,        \
                               const Matrix<T>&, Matrices<T>&);                                                  \
  template Matrices<T> layer_forward(const ModelShape&, const Options&, const Matrices<T>&);                     \
  template Matrices<T> layer_backward(const ModelShape&, const Options&, const Matrices<T>&, const Matrices<T>&, \
                                      const Matrix<T>&);
ANEVAL_INSTANTIATE(float)
ANEVAL_INSTANTIATE(double)
#undef ANEVAL_INSTANTIATE

}  // namespace aneval::reference
