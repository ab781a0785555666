// qBwd: the gradient of xn through the queries, dx_q = Wqᵀ·dq.
#include "ane/kernels/parts.h"

namespace aneval::ane {

KernelSpec q_bwd() {
  return {"qBwd", "gradient through Wq",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_width(
                {activation_slot("dq", a.q, a.seq), weight_slot("wq", a.q, a.dim, "wq", false, folded_query_scale(c))},
                {output_block("dx_q", a.dim, a.seq)}, c.variant);
          },
          [](const KernelConfig& c, const PackedLayout& layout) { return projection_sum(c, layout, {{"dq", "wq"}}); }};
}

}  // namespace aneval::ane
