// kvBwd: the gradient of xn through keys and values, dx_kv = Wkᵀ·dk + Wvᵀ·dv.
#include "ane/kernels/parts.h"

namespace aneval::ane {

KernelSpec kv_bwd() {
  return {"kvBwd", "gradient through Wk and Wv",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_width(
                {activation_slot("dk", a.kv, a.seq), activation_slot("dv", a.kv, a.seq),
                 weight_slot("wk", a.kv, a.dim, "wk", false), weight_slot("wv", a.kv, a.dim, "wv", false)},
                {output_block("dx_kv", a.dim, a.seq)}, c.variant);
          },
          [](const KernelConfig& c, const PackedLayout& layout) {
            return projection_sum(c, layout, {{"dk", "wk"}, {"dv", "wv"}});
          }};
}

}  // namespace aneval::ane
