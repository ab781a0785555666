// One function per kernel, from its slots to its blocks, and the table of them. S is the number of columns of the
// kernel's first activation.
//
// To add a kernel: its function here and its row in KernelTable::builtin().
#include "reference/kernels.h"

#include <algorithm>

#include "common/error.h"
#include "common/names.h"
#include "reference/attention.h"

namespace aneval::reference {

namespace {

/// A kernel's inputs: activations share their number of columns, which the first one asked for fixes.
template <class T>
class Slots {
 public:
  Slots(std::string_view kernel, const Matrices<T>& tensors)
      : where_("kernel " + std::string(kernel)), tensors_(tensors) {}

  const Matrix<T>& first(std::string_view name, Index channels) {
    const Matrix<T>& m = require_columns(tensors_, name, channels, where_);
    seq_ = m.cols();
    return m;
  }
  const Matrix<T>& activation(std::string_view name, Index channels) const { return matrix(name, channels, seq_); }
  const Matrix<T>& matrix(std::string_view name, Index rows, Index cols) const {
    return require(tensors_, name, rows, cols, where_);
  }
  Index seq() const { return seq_; }
  std::string_view where() const { return where_; }

 private:
  std::string where_;
  const Matrices<T>& tensors_;
  Index seq_ = 0;
};

double scale_of(const ModelShape& shape, const Options& options) {
  return options.folded_scale ? 1.0 : score_scale(shape);
}

/// q, k and v of xn, not rotated.
template <class T>
Matrices<T> projections(const ModelShape& m, Slots<T>& slots) {
  const Matrix<T>& xn = slots.first("xn", m.dim);
  const Matrix<T>& wq_t = slots.matrix("wq_t", m.dim, m.q_dim());
  const Matrix<T>& wk_t = slots.matrix("wk_t", m.dim, m.kv_dim());
  const Matrix<T>& wv_t = slots.matrix("wv_t", m.dim, m.kv_dim());
  Matrices<T> out;
  out["q"].noalias() = wq_t.transpose() * xn;
  out["k"].noalias() = wk_t.transpose() * xn;
  out["v"].noalias() = wv_t.transpose() * xn;
  return out;
}

/// P·v of rotated queries and keys.
template <class T>
Matrix<T> attend(const ModelShape& m, const Options& options, const Matrix<T>& q, const Matrix<T>& k,
                 const Matrix<T>& v) {
  const Heads heads = Heads::of(m, options);
  Matrix<T> probs, attn;
  attention_probs(heads, scale_of(m, options), q, k, probs);
  attention_values(heads, probs, v, attn);
  return attn;
}

/// attn, q_rope, k_rope and v of xn, and the slots' weights.
template <class T>
Matrices<T> attention_forward(const ModelShape& m, const Options& options, Slots<T>& slots) {
  Matrices<T> made = projections(m, slots), out;
  const Rotation<T> rope(m, slots.seq());
  rope.apply(out["q_rope"] = std::move(made.at("q")));
  rope.apply(out["k_rope"] = std::move(made.at("k")));
  out["v"] = std::move(made.at("v"));
  out["attn"] = attend(m, options, out.at("q_rope"), out.at("k_rope"), out.at("v"));
  return out;
}

template <class T>
Matrices<T> sdpa_qkv(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("sdpaQkv", in);
  return projections(m, slots);
}

template <class T>
Matrices<T> sdpa_core(const ModelShape& m, const Options& options, const Matrices<T>& in) {
  Slots<T> slots("sdpaCore", in);
  const Matrix<T>& q = slots.first("q_rope", m.q_dim());
  Matrices<T> out;
  out["attn"] = attend(m, options, q, slots.activation("k_rope", m.kv_dim()), slots.activation("v", m.kv_dim()));
  return out;
}

template <class T>
Matrices<T> sdpa_fwd(const ModelShape& m, const Options& options, const Matrices<T>& in) {
  Slots<T> slots("sdpaFwd", in);
  Matrices<T> out = attention_forward(m, options, slots);
  out["xn"] = slots.activation("xn", m.dim);
  return out;
}

template <class T>
Matrices<T> sdpa_wo_fwd(const ModelShape& m, const Options& options, const Matrices<T>& in) {
  Slots<T> slots("sdpaWoFwd", in);
  Matrices<T> out = attention_forward(m, options, slots);
  out["o"] = slots.matrix("wo", m.dim, m.q_dim()) * out.at("attn");
  return out;
}

template <class T>
Matrices<T> wo_fwd(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("woFwd", in);
  const Matrix<T>& attn = slots.first("attn", m.q_dim());
  Matrices<T> out;
  out.emplace("o", slots.matrix("wo_t", m.q_dim(), m.dim).transpose() * attn);
  return out;
}

template <class T>
Matrices<T> ffn_fused(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("ffnFused", in);
  const Matrix<T>& xm = slots.first("xm", m.dim);
  const Matrix<T>& x2 = slots.activation("x2", m.dim);
  const Matrix<T>& w1_t = slots.matrix("w1_t", m.dim, m.hidden);
  const Matrix<T>& w3_t = slots.matrix("w3_t", m.dim, m.hidden);
  const Matrix<T>& w2 = slots.matrix("w2", m.dim, m.hidden);
  Matrices<T> out;
  Matrix<T>&h1 = out["h1"], &h3 = out["h3"], &g = out["g"], &y = out["y"];
  h1.noalias() = w1_t.transpose() * xm;
  h3.noalias() = w3_t.transpose() * xm;
  gated_silu(h1, h3, g);
  y = x2;
  y.noalias() += (T(m.residual_scale) * w2) * g;
  return out;
}

/// h1 and h3 of xm.
template <class T>
Matrices<T> up_projections(const ModelShape& m, Slots<T>& slots) {
  const Matrix<T>& xm = slots.first("xm", m.dim);
  Matrices<T> out;
  out["h1"].noalias() = slots.matrix("w1_t", m.dim, m.hidden).transpose() * xm;
  out["h3"].noalias() = slots.matrix("w3_t", m.dim, m.hidden).transpose() * xm;
  return out;
}

template <class T>
Matrices<T> ffn_up_gate(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("ffnUpGate", in);
  Matrices<T> out = up_projections(m, slots);
  gated_silu(out.at("h1"), out.at("h3"), out["g"]);
  return out;
}

template <class T>
Matrices<T> ffn_up(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("ffnUp", in);
  return up_projections(m, slots);
}

template <class T>
Matrices<T> ffn_down(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("ffnDown", in);
  const Matrix<T>& g = slots.first("g", m.hidden);
  Matrix<T> y = slots.activation("x2", m.dim);
  y.noalias() += (T(m.residual_scale) * slots.matrix("w2_t", m.hidden, m.dim).transpose()) * g;
  Matrices<T> out;
  out.emplace("y", std::move(y));
  return out;
}

template <class T>
Matrices<T> ffn_bwd_w2t(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("ffnBwdW2t", in);
  const Matrix<T>& dffn = slots.first("dffn", m.dim);
  Matrices<T> out;
  out.emplace("dsilu", slots.matrix("w2", m.dim, m.hidden).transpose() * dffn);
  return out;
}

template <class T>
Matrices<T> ffn_bwd_w13t(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("ffnBwdW13t", in);
  const Matrix<T>& dh1 = slots.first("dh1", m.hidden);
  const Matrix<T>& dh3 = slots.activation("dh3", m.hidden);
  Matrix<T> dx = slots.matrix("w1", m.hidden, m.dim).transpose() * dh1;
  dx.noalias() += slots.matrix("w3", m.hidden, m.dim).transpose() * dh3;
  Matrices<T> out;
  out.emplace("dx_ffn", std::move(dx));
  return out;
}

template <class T>
Matrices<T> ffn_bwd_silu_w13t(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("ffnBwdSiluW13t", in);
  const Matrix<T>& dg = slots.first("dsilu", m.hidden);
  const Matrix<T>& h1 = slots.activation("h1", m.hidden);
  const Matrix<T>& h3 = slots.activation("h3", m.hidden);
  Matrices<T> out;
  Matrix<T>&dh1 = out["dh1"], &dh3 = out["dh3"], &dx = out["dx_ffn"];
  gated_silu_backward(h1, h3, dg, dh1, dh3);
  dx.noalias() = slots.matrix("w1", m.hidden, m.dim).transpose() * dh1;
  dx.noalias() += slots.matrix("w3", m.hidden, m.dim).transpose() * dh3;
  return out;
}

template <class T>
Matrices<T> wot_bwd(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("wotBwd", in);
  const Matrix<T>& dy = slots.first("dy", m.dim);
  Matrices<T> out;
  out.emplace("da", slots.matrix("wo", m.dim, m.q_dim()).transpose() * dy);
  return out;
}

template <class T>
Matrices<T> sdpa_bwd1(const ModelShape& m, const Options& options, const Matrices<T>& in) {
  Slots<T> slots("sdpaBwd1", in);
  const Matrix<T>& q = slots.first("q", m.q_dim());
  const Matrix<T>& k = slots.activation("k_tiled", m.q_dim());
  const Matrix<T>& v = slots.activation("v_tiled", m.q_dim());
  const Matrix<T>& da = slots.activation("da", m.q_dim());
  const Heads heads = Heads::tiled(m);
  Matrices<T> out;
  Matrix<T>& probs = out["probs"];
  attention_probs(heads, scale_of(m, options), q, k, probs);
  attention_dv(heads, probs, da, out["dv_full"]);
  attention_dp(heads, options.causal_tile, da, v, out["dp"]);
  out["q"] = q;
  out["k_tiled"] = k;
  return out;
}

template <class T>
Matrices<T> sdpa_bwd2(const ModelShape& m, const Options& options, const Matrices<T>& in) {
  Slots<T> slots("sdpaBwd2", in);
  const Matrix<T>& q = slots.first("q", m.q_dim());
  const Matrix<T>& k = slots.activation("k_tiled", m.q_dim());
  const Matrix<T>& probs = slots.activation("probs", m.heads * slots.seq());
  const Matrix<T>& dp = slots.activation("dp", m.heads * slots.seq());
  Matrices<T> out;
  attention_scores_backward(Heads::tiled(m), scale_of(m, options), probs, dp, q, k, out["dq"], out["dk_full"]);
  return out;
}

template <class T>
Matrices<T> sdpa_bwd(const ModelShape& m, const Options& options, const Matrices<T>& in) {
  Slots<T> slots("sdpaBwd", in);
  const Matrix<T>& q = slots.first("q", m.q_dim());
  const Matrix<T>& k = slots.activation("k_tiled", m.q_dim());
  const Matrix<T>& v = slots.activation("v_tiled", m.q_dim());
  const Matrix<T>& da = slots.activation("da", m.q_dim());
  const Heads heads = Heads::tiled(m);
  Matrices<T> out;
  Matrix<T> probs, dp;
  attention_probs(heads, scale_of(m, options), q, k, probs);
  attention_dv(heads, probs, da, out["dv_full"]);
  attention_dp(heads, options.causal_tile, da, v, dp);
  attention_scores_backward(heads, scale_of(m, options), probs, dp, q, k, out["dq"], out["dk_full"]);
  return out;
}

template <class T>
Matrices<T> q_bwd(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("qBwd", in);
  const Matrix<T>& dq = slots.first("dq", m.q_dim());
  Matrices<T> out;
  out.emplace("dx_q", slots.matrix("wq", m.q_dim(), m.dim).transpose() * dq);
  return out;
}

template <class T>
Matrices<T> kv_bwd(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("kvBwd", in);
  const Matrix<T>& dk = slots.first("dk", m.kv_dim());
  const Matrix<T>& dv = slots.activation("dv", m.kv_dim());
  Matrix<T> dx = slots.matrix("wk", m.kv_dim(), m.dim).transpose() * dk;
  dx.noalias() += slots.matrix("wv", m.kv_dim(), m.dim).transpose() * dv;
  Matrices<T> out;
  out.emplace("dx_kv", std::move(dx));
  return out;
}

template <class T>
Matrices<T> qkv_bwd(const ModelShape& m, const Options&, const Matrices<T>& in) {
  Slots<T> slots("qkvBwd", in);
  const Matrix<T>& dq = slots.first("dq", m.q_dim());
  const Matrix<T>& dk = slots.activation("dk", m.kv_dim());
  const Matrix<T>& dv = slots.activation("dv", m.kv_dim());
  Matrices<T> out;
  Matrix<T>& dxn = out["dxn"];
  dxn.noalias() = slots.matrix("wq", m.q_dim(), m.dim).transpose() * dq;
  dxn.noalias() += slots.matrix("wk", m.kv_dim(), m.dim).transpose() * dk;
  dxn.noalias() += slots.matrix("wv", m.kv_dim(), m.dim).transpose() * dv;
  return out;
}

/// Any act [ic, S] and w [ic, oc]: the model's shape does not matter.
template <class T>
Matrices<T> dyn_matmul(const ModelShape&, const Options&, const Matrices<T>& in) {
  Slots<T> slots("dynMatmul", in);
  const Index ic = require(in, "act", slots.where()).rows();
  const Matrix<T>& act = slots.first("act", std::max<Index>(ic, 1));
  const Index oc = require(in, "w", slots.where()).cols();
  Matrices<T> out;
  out.emplace("y", slots.matrix("w", ic, oc).transpose() * act);
  return out;
}

}  // namespace

KernelTable KernelTable::builtin() {
  KernelTable table;
  table.references_ = {
      {"sdpaFwd", sdpa_fwd<double>, sdpa_fwd<float>},
      {"woFwd", wo_fwd<double>, wo_fwd<float>},
      {"ffnFused", ffn_fused<double>, ffn_fused<float>},
      {"ffnBwdW2t", ffn_bwd_w2t<double>, ffn_bwd_w2t<float>},
      {"ffnBwdW13t", ffn_bwd_w13t<double>, ffn_bwd_w13t<float>},
      {"wotBwd", wot_bwd<double>, wot_bwd<float>},
      {"sdpaBwd1", sdpa_bwd1<double>, sdpa_bwd1<float>},
      {"sdpaBwd2", sdpa_bwd2<double>, sdpa_bwd2<float>},
      {"qBwd", q_bwd<double>, q_bwd<float>},
      {"kvBwd", kv_bwd<double>, kv_bwd<float>},
      {"qkvBwd", qkv_bwd<double>, qkv_bwd<float>},
      {"ffnBwdSiluW13t", ffn_bwd_silu_w13t<double>, ffn_bwd_silu_w13t<float>},
      {"ffnUpGate", ffn_up_gate<double>, ffn_up_gate<float>},
      {"ffnUp", ffn_up<double>, ffn_up<float>},
      {"ffnDown", ffn_down<double>, ffn_down<float>},
      {"sdpaBwd", sdpa_bwd<double>, sdpa_bwd<float>},
      {"sdpaWoFwd", sdpa_wo_fwd<double>, sdpa_wo_fwd<float>},
      {"sdpaQkv", sdpa_qkv<double>, sdpa_qkv<float>},
      {"sdpaCore", sdpa_core<double>, sdpa_core<float>},
      {"dynMatmul", dyn_matmul<double>, dyn_matmul<float>},
  };
  return table;
}

void KernelTable::add(KernelReference reference) {
  for (const KernelReference& known : references_)
    if (known.name == reference.name)
      throw input_error("kernel reference '" + reference.name + "'", "exists already", "give the kernel another name");
  references_.push_back(std::move(reference));
}

const KernelReference& KernelTable::find(std::string_view kernel) const {
  std::vector<std::string> names;
  for (const KernelReference& reference : references_) {
    if (reference.name == kernel) return reference;
    names.push_back(reference.name);
  }
  unknown_name("kernel reference", kernel, names);
}

}  // namespace aneval::reference
