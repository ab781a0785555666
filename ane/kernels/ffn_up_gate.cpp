// ffnUpGate: the first half of ffnFused, h1 = W1·xm, h3 = W3·xm and the gate g = silu(h1)∘h3; ffnDown follows.
#include "ane/kernels/parts.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  const auto [h1, h3, g] = gate(p);
  return p.finish({p.channels_first(h1, "h1"), p.channels_first(h3, "h3"), p.channels_first(g, "g")});
}

}  // namespace

KernelSpec ffn_up_gate() {
  return {"ffnUpGate", "SwiGLU feed-forward up to its gate",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_width(
                {activation_slot("xm", a.dim, a.seq), weight_slot("w1_t", a.dim, a.hidden, "w1", true),
                 weight_slot("w3_t", a.dim, a.hidden, "w3", true)},
                {output_block("h1", a.hidden, a.seq), output_block("h3", a.hidden, a.seq),
                 output_block("g", a.hidden, a.seq)},
                c.variant);
          },
          program};
}

}  // namespace aneval::ane
