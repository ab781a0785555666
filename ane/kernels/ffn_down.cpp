// ffnDown: the second half of the feed-forward block, y = x2 + a·W2·g. g has F channels and x2 has D, so they are
// columns of different heights; below the shorter one lies nothing.
#include "ane/kernels/parts.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  mil::Builder& b = p.builder();
  const mil::Value ffn = p.channels_first(p.project("g", "w2_t", "ffn_s"), "ffn");
  const mil::Value residual_scale = b.scalar(config.shape.residual_scale, "residual_scale");
  return p.finish({b.add(p.slot("x2"), b.mul(ffn, residual_scale, "ffn_scaled"), "y")});
}

}  // namespace

KernelSpec ffn_down() {
  return {"ffnDown", "down projection of the feed-forward block with residual",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::in_columns({{activation_slot("g", a.hidden, a.seq)},
                                             {activation_slot("x2", a.dim, a.seq)},
                                             {weight_slot("w2_t", a.hidden, a.dim, "w2", true)}},
                                            {output_block("y", a.dim, a.seq)}, c.variant);
          },
          program};
}

}  // namespace aneval::ane
