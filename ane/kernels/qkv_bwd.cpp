// qkvBwd: the gradient of xn through queries, keys and values, dxn = Wqᵀ·dq + Wkᵀ·dk + Wvᵀ·dv, in the place of qBwd,
// kvBwd and the sum of their results. The three gradients lie one below the other, and so do the three weights: one
// product over Q + 2K channels, with no row of the surface left empty whatever the ratio of Q to K.
#include "ane/kernels/parts.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  mil::Builder& b = p.builder();
  const mil::Value gradients = p.tokens_first(p.stack({"dq", "dk", "dv"}, "d"), "d");
  const mil::Value weights = p.stack({"wq", "wk", "wv"}, "w");
  const mil::Value rows = b.reshape(weights, {1, 1, weights.type.shape[1], weights.type.shape[3]}, "w_m");
  return p.finish({p.channels_first(b.matmul(gradients, rows, false, false, "w_product"), "dxn")});
}

}  // namespace

KernelSpec qkv_bwd() {
  return {"qkvBwd", "gradient through Wq, Wk and Wv",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::in_columns(
                {{activation_slot("dq", a.q, a.seq), activation_slot("dk", a.kv, a.seq),
                  activation_slot("dv", a.kv, a.seq)},
                 {weight_slot("wq", a.q, a.dim, "wq", false, folded_query_scale(c)),
                  weight_slot("wk", a.kv, a.dim, "wk", false), weight_slot("wv", a.kv, a.dim, "wv", false)}},
                {output_block("dxn", a.dim, a.seq)}, c.variant);
          },
          program};
}

}  // namespace aneval::ane
