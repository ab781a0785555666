// gatedProjection: a projection whose output another activation switches, o = gate ∘ (W·x): one product with a weight
// on the surface, and one elementwise product. No kernel of aneval's own layers.
#include "ane/kernels/parts.h"

namespace toy {

using namespace aneval;
using ane::KernelConfig, ane::PackedLayout;

namespace {

/// Where the tensors lie: x, gate and Wᵀ side by side. Slices, staging and the reference's inputs follow from it.
PackedLayout layout(const KernelConfig& config) {
  const ane::Axes axes = ane::Axes::of(config.shape, config.variant);
  return PackedLayout::along_width(
      {ane::activation_slot("x", axes.dim, axes.seq), ane::activation_slot("gate", axes.dim, axes.seq),
       ane::weight_slot("w_t", axes.dim, axes.dim, "w", /*transposed=*/true)},
      {ane::output_block("o", axes.dim, axes.seq)}, config.variant);
}

mil::BuiltProgram program(const KernelConfig& config, const PackedLayout& layout) {
  ane::Parts p(config, layout);
  const mil::Value projected = p.channels_first(p.project("x", "w_t", "wx_s"), "wx");
  return p.finish({p.builder().mul(projected, p.slot("gate"), "o")});
}

}  // namespace

ane::KernelSpec gated_projection() { return {"gatedProjection", "a projection, gated", layout, program}; }

}  // namespace toy
