// ffnBwdW2t: the gradient of the feed-forward gate, dg = W2ᵀ·dffn (its output keeps the name dsilu).
#include "ane/kernels/parts.h"

namespace aneval::ane {

KernelSpec ffn_bwd_w2t() {
  return {
      "ffnBwdW2t", "gradient through W2",
      [](const KernelConfig& c) {
        const Axes a = Axes::of(c.shape, c.variant);
        return PackedLayout::along_width(
            {activation_slot("dffn", a.dim, a.seq), weight_slot("w2", a.dim, a.hidden, "w2", false)},
            {output_block("dsilu", a.hidden, a.seq)}, c.variant);
      },
      [](const KernelConfig& c, const PackedLayout& layout) { return projection_sum(c, layout, {{"dffn", "w2"}}); }};
}

}  // namespace aneval::ane
