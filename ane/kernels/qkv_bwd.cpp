// qkvBwd: the gradient of xn through queries, keys and values, dxn = Wqᵀ·dq + Wkᵀ·dk + Wvᵀ·dv, in the place of qBwd,
// kvBwd and the sum of their results. The three gradients lie one below the other, and so do the three weights: one
// product over Q + 2K channels, with no row of the surface left empty whatever the ratio of Q to K.
#include "ane/kernels/parts.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  const mil::Value gradients = p.rows(p.stack({"dq", "dk", "dv"}, "d"), "d");
  const ProductWeight weights = p.stacked_weight({"wq", "wk", "wv"}, "w");
  return p.finish({p.channels_first(p.product(gradients, weights, "w_product"), "dxn")});
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
