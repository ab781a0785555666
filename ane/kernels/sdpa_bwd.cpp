// sdpaBwd: attention's backward in one program, in the place of sdpaBwd1 and sdpaBwd2: probabilities recomputed from
// the saved q and k, dv = Pᵀ·da, dp = da·vᵀ, ds = P∘(dp − rowsum(P∘dp))/sqrt(h), dq = ds·k, dk = dsᵀ·q. Probabilities
// and dp stay inside. dq and dk are still rotated by RoPE.
#include "ane/kernels/attention.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  CausalTiles causal(p);
  const auto heads = [&](std::string_view slot) { return p.split_heads(p.slot(slot), slot); };
  const mil::Value q = heads("q"), k = heads("k_tiled"), da = heads("da");
  const CausalTiles::Tiles probs = causal.probabilities(q, k);
  const mil::Value dv = causal.over_queries(causal.whole(probs, "probs"), da, "dv_h");
  CausalTiles::Tiles ds = causal.products(da, heads("v_tiled"), "dp_h");
  for (std::size_t i = 0; i < ds.size(); ++i) ds[i] = p.scores_backward(probs[i], ds[i]);
  const mil::Value dq = causal.over_keys(ds, k, "dq_h");
  const mil::Value dk = causal.over_queries(causal.whole(ds, "ds"), q, "dk_h");
  return p.finish({p.merge_heads(dq, "dq"), p.merge_heads(dk, "dk_full"), p.merge_heads(dv, "dv_full")});
}

}  // namespace

KernelSpec sdpa_bwd() {
  return {
      "sdpaBwd", "attention backward: dQ, dK, dV",
      [](const KernelConfig& c) {
        const Axes a = Axes::of(c.shape, c.variant);
        return PackedLayout::along_channels(
            {activation_slot("q", a.q, a.seq), activation_slot("k_tiled", a.q, a.seq),
             activation_slot("v_tiled", a.q, a.seq), activation_slot("da", a.q, a.seq)},
            {output_block("dq", a.q, a.seq), output_block("dk_full", a.q, a.seq), output_block("dv_full", a.q, a.seq)});
      },
      program};
}

}  // namespace aneval::ane
