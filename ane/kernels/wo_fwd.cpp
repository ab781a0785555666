// woFwd: the output projection of attention, o = Wo·attn.
#include "ane/kernels/parts.h"

namespace aneval::ane {

KernelSpec wo_fwd() {
  return {
      "woFwd", "output projection of attention",
      [](const KernelConfig& c) {
        const Axes a = Axes::of(c.shape, c.variant);
        return PackedLayout::along_width(
            {activation_slot("attn", a.q, a.seq), weight_slot("wo_t", a.q, a.dim, "wo", true)},
            {output_block("o", a.dim, a.seq)}, c.variant);
      },
      [](const KernelConfig& c, const PackedLayout& layout) { return projection_sum(c, layout, {{"attn", "wo_t"}}); }};
}

}  // namespace aneval::ane
