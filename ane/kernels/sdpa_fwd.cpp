// sdpaFwd: queries, keys and values, RoPE, causal attention with grouped heads. Outputs what the backward pass and the
// weight gradients need as well.
#include "ane/kernels/attention.h"

namespace aneval::ane {

mil::Value attend(Parts& p, const mil::Value& q, const mil::Value& k, const mil::Value& v) {
  CausalTiles causal(p);
  const CausalTiles::Tiles probabilities = causal.probabilities(q, p.tile_heads(k, "k"));
  const mil::Value values = p.tile_heads(p.split_heads(v, "v"), "v");
  return p.merge_heads(causal.over_keys(probabilities, values, "attn_h"), "attn");
}

std::vector<mil::Value> attention_forward(Parts& p) {
  Projections projections(p);
  const mil::Value v = projections.product("wv_t", "v");
  Rotation rotation(p);
  const Rotated q = rotation.rotate(projections.product("wq_t", "q"), "q");
  const Rotated k = rotation.rotate(projections.product("wk_t", "k"), "k");

  const mil::Value attn = attend(p, q.heads, k.heads, v);
  return {attn, rotation.block(q, "q_rope"), rotation.block(k, "k_rope"), v, projections.xn()};
}

KernelSpec sdpa_fwd() {
  return {
      "sdpaFwd", "q, k, v projections, RoPE, causal attention",
      [](const KernelConfig& c) {
        const Axes a = Axes::of(c.shape, c.variant);
        return PackedLayout::along_width(
            {activation_slot("xn", a.dim, a.seq), weight_slot("wq_t", a.dim, a.q, "wq", true, folded_query_scale(c)),
             weight_slot("wk_t", a.dim, a.kv, "wk", true), weight_slot("wv_t", a.dim, a.kv, "wv", true)},
            {output_block("attn", a.q, a.seq), output_block("q_rope", a.q, a.seq), output_block("k_rope", a.kv, a.seq),
             output_block("v", a.kv, a.seq), output_block("xn", a.dim, a.seq)},
            c.variant);
      },
      [](const KernelConfig& c, const PackedLayout& layout) {
        Parts parts(c, layout);
        return parts.finish(attention_forward(parts));
      }};
}

}  // namespace aneval::ane
