// sdpaBwd1: first half of attention's backward: probabilities recomputed from the saved q and k, dv = Pᵀ·da, dp =
// da·vᵀ. Keys and values come tiled to all query heads; slots lie along the channels. What dp is for keys after the
// query is nobody's business, since probs are 0 there: all products with causal=mask, zeros beyond the tile with
// causal=tiles. With handover=share its output is the surface that sdpaBwd2 reads, so q and k_tiled pass through, and
// what sdpaBwd2 does not need lies below.
#include "ane/kernels/attention.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  CausalTiles causal(p);
  const auto heads = [&](std::string_view slot) { return p.split_heads(p.slot(slot), slot); };
  const CausalTiles::Tiles tiles = causal.probabilities(heads("q"), heads("k_tiled"));
  const mil::Value probabilities = causal.whole(tiles, "probs");
  const mil::Value da = heads("da");
  const mil::Value dv = p.merge_heads(causal.over_queries(probabilities, da, "dv_h"), "dv_full");
  const mil::Value dp = p.merge_rows(causal.whole(causal.products(da, heads("v_tiled"), "dp_h"), "dp"), "dp");
  const mil::Value probs = p.merge_rows(probabilities, "probs");
  if (config.variant.handover != Handover::share) return p.finish({dv, probs, dp});
  return p.finish({probs, dp, p.slot("q"), p.slot("k_tiled"), dv});
}

}  // namespace

KernelSpec sdpa_bwd1() {
  return {"sdpaBwd1", "attention backward: probabilities, dV, dP",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            const Block dv = output_block("dv_full", a.q, a.seq);
            const Block probs = output_block("probs", a.head_queries, a.seq);
            const Block dp = output_block("dp", a.head_queries, a.seq);
            std::vector<Block> blocks = {dv, probs, dp};
            if (c.variant.handover == Handover::share)
              blocks = {probs, dp, output_block("q", a.q, a.seq), output_block("k_tiled", a.q, a.seq), dv};
            return PackedLayout::along_channels(
                {activation_slot("q", a.q, a.seq), activation_slot("k_tiled", a.q, a.seq),
                 activation_slot("v_tiled", a.q, a.seq), activation_slot("da", a.q, a.seq)},
                std::move(blocks));
          },
          program};
}

}  // namespace aneval::ane
