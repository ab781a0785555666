// sdpaBwd2: second half of attention's backward: ds = P∘(dp − rowsum(P∘dp))/sqrt(h), dq = ds·k, dk = dsᵀ·q, all still
// rotated by RoPE. The row sum is reduce_sum (fp16 on the engine) or a matmul with ones (its wide accumulator).
// probs are 0 for keys after the query: causal=tiles relies on it.
#include "ane/kernels/attention.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  CausalTiles causal(p);
  const mil::Value probs = p.split_rows(p.slot("probs"), "probs");
  const mil::Value dp = p.split_rows(p.slot("dp"), "dp");
  CausalTiles::Tiles ds = causal.split(probs, "probs");
  const CausalTiles::Tiles dp_tiles = causal.split(dp, "dp");
  for (std::size_t i = 0; i < ds.size(); ++i) ds[i] = p.scores_backward(ds[i], dp_tiles[i]);
  const mil::Value dq = causal.over_keys(ds, p.split_heads(p.slot("k_tiled"), "k"), "dq_h");
  const mil::Value dk = causal.over_queries(causal.whole(ds, "ds"), p.split_heads(p.slot("q"), "q"), "dk_h");
  return p.finish({p.merge_heads(dq, "dq"), p.merge_heads(dk, "dk_full")});
}

}  // namespace

KernelSpec sdpa_bwd2() {
  return {"sdpaBwd2", "attention backward: dQ, dK",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_channels(
                {activation_slot("probs", a.head_queries, a.seq), activation_slot("dp", a.head_queries, a.seq),
                 activation_slot("q", a.q, a.seq), activation_slot("k_tiled", a.q, a.seq)},
                {output_block("dq", a.q, a.seq), output_block("dk_full", a.q, a.seq)},
                c.variant.handover == Handover::share ? a.q.padded_size() : 0);  // sdpaBwd1's dv_full
          },
          program};
}

}  // namespace aneval::ane
