// sdpaBwd: attention's backward in one program, in the place of sdpaBwd1 and sdpaBwd2: probabilities recomputed from
// the saved q and k, dv = Pᵀ·da, dp = da·vᵀ, ds = P∘(dp − rowsum(P∘dp))/sqrt(h), dq = ds·k, dk = dsᵀ·q. Probabilities
// and dp stay inside. dq and dk are still rotated by RoPE.
#include "ane/kernels/parts.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  mil::Builder& b = p.builder();
  const auto heads = [&](std::string_view slot) { return p.split_heads(p.slot(slot), slot); };
  const mil::Value q = heads("q"), k = heads("k_tiled"), da = heads("da");
  const mil::Value probabilities = p.attention(q, k);
  const mil::Value dv = b.matmul(probabilities, da, true, false, "dv_h");
  const mil::Value dp = b.matmul(da, heads("v_tiled"), false, true, "dp_h");
  const mil::Value ds = p.scores_backward(probabilities, dp);
  const mil::Value dq = b.matmul(ds, k, false, false, "dq_h");
  const mil::Value dk = b.matmul(ds, q, true, false, "dk_h");
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
