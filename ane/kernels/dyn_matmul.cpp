// dynMatmul: the generic dynamic matmul, y = Wᵀ·act for any ic and oc: what every projection is made of, on its own,
// for sweeps over shapes. Its weight has the orientation of the surface, [ic, oc].
#include "ane/kernels/parts.h"
#include "common/error.h"

namespace aneval::ane {

KernelSpec dyn_matmul() {
  return {"dynMatmul", "generic matmul with the weight in the input (--ic --oc)",
          [](const KernelConfig& c) {
            if (c.ic <= 0 || c.oc <= 0)
              throw input_error("kernel dynMatmul", "needs its channels", "give --ic N --oc N, both positive");
            const Axis ic = make_axis(c.ic, c.variant), oc = make_axis(c.oc, c.variant);
            const Axis seq = make_axis(c.shape.seq, c.variant);
            Slot weight = weight_slot("w", ic, oc, "w", false);
            weight.outputs = Slot::Outputs::columns;
            return PackedLayout::along_width({activation_slot("act", ic, seq), weight}, {output_block("y", oc, seq)},
                                             c.variant);
          },
          [](const KernelConfig& c, const PackedLayout& layout) { return projection_sum(c, layout, {{"act", "w"}}); }};
}

}  // namespace aneval::ane
