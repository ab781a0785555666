// sdpaBwd1: first half of attention's backward: probabilities recomputed from the saved q and k, dv = Pᵀ·da, dp =
// da·vᵀ. Keys and values come tiled to all query heads; slots lie along the channels.
#include "ane/kernels/parts.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  const auto heads = [&](std::string_view slot) { return p.split_heads(p.slot(slot), slot); };
  const mil::Value probabilities = p.attention(heads("q"), heads("k_tiled"));
  const mil::Value da = heads("da");
  const mil::Value dv = p.mixed_tokens(probabilities, true, da, "dv_h");
  const mil::Value dp = p.lane_products(da, heads("v_tiled"), "dp_h");
  return p.finish({p.merge_heads(dv, "dv_full"), p.merge_rows(probabilities, "probs"), p.merge_rows(dp, "dp")});
}

}  // namespace

KernelSpec sdpa_bwd1() {
  return {"sdpaBwd1", "attention backward: probabilities, dV, dP",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_channels(
                {activation_slot("q", a.q, a.seq), activation_slot("k_tiled", a.q, a.seq),
                 activation_slot("v_tiled", a.q, a.seq), activation_slot("da", a.q, a.seq)},
                {output_block("dv_full", a.q, a.seq), output_block("probs", a.head_queries, a.seq),
                 output_block("dp", a.head_queries, a.seq)});
          },
          program};
}

}  // namespace aneval::ane
