// ffnBwdSiluW13t: the gradient of the gate and that of the feed-forward input, in the place of the CPU's SiLU backward
// and ffnBwdW13t: dh3 = dg∘h1∘σ, dh1 = dg∘h3∘σ∘(1 + h1∘(1−σ)), dx_ffn = W1ᵀ·dh1 + W3ᵀ·dh3. dh1 and dh3 leave as well,
// for the gradients of W1 and W3.
#include "ane/kernels/parts.h"

namespace aneval::ane {

namespace {

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  Parts p(config, layout);
  mil::Builder& b = p.builder();
  const mil::Value h1 = p.slot("h1"), one = b.scalar(1, "one");
  const mil::Value sigma = b.sigmoid(h1, "sigma");
  const mil::Value scaled = b.mul(p.slot("dsilu"), sigma, "dg_sigma");
  const mil::Value slope = b.add(b.mul(h1, b.sub(one, sigma, "rest"), "h1_rest"), one, "slope");
  const mil::Value dh1 = b.mul(b.mul(scaled, p.slot("h3"), "dg_sigma_h3"), slope, "dh1");
  const mil::Value dh3 = b.mul(scaled, h1, "dh3");
  const auto product = [&](const mil::Value& gradient, std::string_view name, std::string_view weight) {
    const ProductWeight w = p.weight(weight);
    return p.product(p.rows(gradient, name), w, std::string(weight) + "_product");
  };
  const mil::Value sum = b.add(product(dh1, "dh1", "w1"), product(dh3, "dh3", "w3"), "sum");
  return p.finish({p.channels_first(sum, "dx_ffn"), dh1, dh3});
}

}  // namespace

KernelSpec ffn_bwd_silu_w13t() {
  return {"ffnBwdSiluW13t", "gradient through the gate, W1 and W3",
          [](const KernelConfig& c) {
            const Axes a = Axes::of(c.shape, c.variant);
            return PackedLayout::along_width(
                {activation_slot("dsilu", a.hidden, a.seq), activation_slot("h1", a.hidden, a.seq),
                 activation_slot("h3", a.hidden, a.seq), weight_slot("w1", a.hidden, a.dim, "w1", false),
                 weight_slot("w3", a.hidden, a.dim, "w3", false)},
                {output_block("dx_ffn", a.dim, a.seq), output_block("dh1", a.hidden, a.seq),
                 output_block("dh3", a.hidden, a.seq)},
                c.variant);
          },
          program};
}

}  // namespace aneval::ane
