// ffnFused: the gated feed-forward block with its residual. h1, h3 and g leave as taps for the backward pass.
#include "ane/kernels/parts.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  mil::Builder& b = p.builder();
  const auto [h1, h3, g] = gate(p);

  const mil::Value ffn = p.channels_first(p.product(g, p.weight("w2", SummedAxis::width), "ffn_s"), "ffn");
  const mil::Value residual_scale = b.scalar(config.shape.residual_scale, "residual_scale");
  const mil::Value y = b.add(p.slot("x2"), b.mul(ffn, residual_scale, "ffn_scaled"), "y");
  return p.finish({y, p.channels_first(h1, "h1"), p.channels_first(h3, "h3"), p.channels_first(g, "g")});
}

}  // namespace

KernelSpec ffn_fused() {
  return {"ffnFused", "SwiGLU feed-forward with residual",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_width(
                {activation_slot("xm", a.dim, a.seq), activation_slot("x2", a.dim, a.seq),
                 weight_slot("w1_t", a.dim, a.hidden, "w1", true), weight_slot("w3_t", a.dim, a.hidden, "w3", true),
                 weight_slot("w2", a.dim, a.hidden, "w2", false)},
                {output_block("y", a.dim, a.seq), output_block("h1", a.hidden, a.seq),
                 output_block("h3", a.hidden, a.seq), output_block("g", a.hidden, a.seq)},
                c.variant);
          },
          program};
}

}  // namespace aneval::ane
