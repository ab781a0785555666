// sdpaFwd: queries, keys and values, RoPE, causal attention with grouped heads. Outputs what the backward pass and the
// weight gradients need as well.
#include "ane/kernels/parts.h"

namespace aneval::ane {

std::vector<mil::Value> attention_forward(Parts& p) {
  mil::Builder& b = p.builder();
  const mil::Value xn = p.slot("xn");
  const mil::Value tokens = p.tokens_first(p.multiplicand(xn, "xn"), "xn");
  // [1, C, 1, N] weight -> channel-first product [1, N, 1, S]
  const auto project = [&](std::string_view weight, std::string_view name) {
    return p.channels_first(b.matmul(tokens, p.matrix(weight), false, false, std::string(name) + "_s"), name);
  };
  const mil::Value v = project("wv_t", "v");
  const mil::Value q_rope = p.rope(p.split_heads(project("wq_t", "q"), "q"), "q");
  const mil::Value k_rope = p.rope(p.split_heads(project("wk_t", "k"), "k"), "k");

  const mil::Value probabilities = p.attention(q_rope, p.tile_heads(k_rope, "k"));
  const mil::Value values = p.tile_heads(p.split_heads(v, "v"), "v");
  const mil::Value attn = b.matmul(probabilities, values, false, false, "attn_h");
  return {p.merge_heads(attn, "attn"), p.merge_heads(q_rope, "q_rope"), p.merge_heads(k_rope, "k_rope"), v, xn};
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
