// wotBwd: the gradient of attention's output, da = Woᵀ·dy; the layer feeds a·dx2 into its slot dy.
#include "ane/kernels/parts.h"

namespace aneval::ane {

KernelSpec wot_bwd() {
  return {"wotBwd", "gradient through Wo",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_width(
                {activation_slot("dy", a.dim, a.seq), weight_slot("wo", a.dim, a.q, "wo", false)},
                {output_block("da", a.q, a.seq)}, c.variant);
          },
          [](const KernelConfig& c, const PackedLayout& layout) { return projection_sum(c, layout, {{"dy", "wo"}}); }};
}

}  // namespace aneval::ane
