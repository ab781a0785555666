// ffnBwdW13t: the gradient of the feed-forward input, dx_ffn = W1ᵀ·dh1 + W3ᵀ·dh3.
#include "ane/kernels/parts.h"

namespace aneval::ane {

KernelSpec ffn_bwd_w13t() {
  return {"ffnBwdW13t", "gradient through W1 and W3",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_width(
                {activation_slot("dh1", a.hidden, a.seq), activation_slot("dh3", a.hidden, a.seq),
                 weight_slot("w1", a.hidden, a.dim, "w1", false), weight_slot("w3", a.hidden, a.dim, "w3", false)},
                {output_block("dx_ffn", a.dim, a.seq)}, c.variant);
          },
          [](const KernelConfig& c, const PackedLayout& layout) {
            return projection_sum(c, layout, {{"dh1", "w1"}, {"dh3", "w3"}});
          }};
}

}  // namespace aneval::ane
