// ffnUp: the projections of the feed-forward block alone, h1 = W1·xm and h3 = W3·xm; SiLU and gate are the CPU's, and
// ffnDown follows.
#include "ane/kernels/parts.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  const mil::Value xm = p.rows(p.multiplicand(p.slot("xm"), "xm"), "xm");
  const auto project = [&](std::string_view weight, std::string_view name) {
    return p.channels_first(p.product(xm, p.weight(weight), std::string(name) + "_s"), name);
  };
  return p.finish({project("w1_t", "h1"), project("w3_t", "h3")});
}

}  // namespace

KernelSpec ffn_up() {
  return {"ffnUp", "projections of the feed-forward block",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_width(
                {activation_slot("xm", a.dim, a.seq), weight_slot("w1_t", a.dim, a.hidden, "w1", true),
                 weight_slot("w3_t", a.dim, a.hidden, "w3", true)},
                {output_block("h1", a.hidden, a.seq), output_block("h3", a.hidden, a.seq)}, c.variant);
          },
          program};
}

}  // namespace aneval::ane
