// sdpaQkv: queries, keys and values, not rotated: RoPE follows on the CPU (rope=cpu), attention in sdpaCore.
#include "ane/kernels/attention.h"

namespace aneval::ane {

KernelSpec sdpa_qkv() {
  return {
      "sdpaQkv", "q, k, v projections",
      [](const KernelConfig& c) {
        const Axes a = Axes::of(c.shape, c.variant);
        return PackedLayout::along_width(
            {activation_slot("xn", a.dim, a.seq), weight_slot("wq_t", a.dim, a.q, "wq", true, folded_query_scale(c)),
             weight_slot("wk_t", a.dim, a.kv, "wk", true), weight_slot("wv_t", a.dim, a.kv, "wv", true)},
            {output_block("q", a.q, a.seq), output_block("k", a.kv, a.seq), output_block("v", a.kv, a.seq)}, c.variant);
      },
      [](const KernelConfig& c, const PackedLayout& layout) {
        Parts parts(c, layout);
        Projections projections(parts);
        const mil::Value q = projections.product("wq_t", "q"), k = projections.product("wk_t", "k");
        return parts.finish({q, k, projections.product("wv_t", "v")});
      }};
}

}  // namespace aneval::ane
