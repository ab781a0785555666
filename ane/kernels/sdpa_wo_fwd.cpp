// sdpaWoFwd: sdpaFwd and woFwd as one program, o = Wo·attn. Wo lies as it is, [D, Q], so that all slots have D
// channels. attn leaves as well, for the gradient of Wo.
#include "ane/kernels/attention.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  const std::vector<mil::Value> forward = attention_forward(p);
  const mil::Value &attn = forward[0], &q_rope = forward[1], &k_rope = forward[2], &v = forward[3];
  const ProductWeight wo = p.weight("wo", SummedAxis::width);
  const mil::Value o = p.product(p.rows(attn, "attn"), wo, "o_s");
  return p.finish({p.channels_first(o, "o"), attn, q_rope, k_rope, v});
}

}  // namespace

KernelSpec sdpa_wo_fwd() {
  return {
      "sdpaWoFwd", "q, k, v projections, RoPE, causal attention, output projection",
      [](const KernelConfig& c) {
        const Axes a = Axes::of(c.shape, c.variant);
        return PackedLayout::along_width(
            {activation_slot("xn", a.dim, a.seq), weight_slot("wq_t", a.dim, a.q, "wq", true, folded_query_scale(c)),
             weight_slot("wk_t", a.dim, a.kv, "wk", true), weight_slot("wv_t", a.dim, a.kv, "wv", true),
             weight_slot("wo", a.dim, a.q, "wo", false)},
            {output_block("o", a.dim, a.seq), output_block("attn", a.q, a.seq), output_block("q_rope", a.q, a.seq),
             output_block("k_rope", a.kv, a.seq), output_block("v", a.kv, a.seq)},
            c.variant);
      },
      program};
}

}  // namespace aneval::ane
