#include "train/memory.h"

#include "ane/kernels/kernel.h"
#include "ane/layer_plan.h"
#include "ane/weight_constants.h"
#include "validate/weights/weights.h"

namespace aneval::train {
namespace {

constexpr std::int64_t kFloat = 4;

/// Surfaces of one layer, with the weight files of its programs, and of all layers together.
struct SurfaceBytes {
  std::int64_t layer = 0, shared = 0;
};

SurfaceBytes surface_bytes(const ModelShape& shape, const ane::Variant& variant) {
  SurfaceBytes bytes;
  const auto registry = ane::KernelRegistry::builtin();
  const ane::LayerPlan plan = ane::layer_plan(variant);
  for (const std::string& name : plan.kernels()) {
    const ane::PackedLayout layout = registry.find(name).layout({shape, variant});
    bool weights = false;
    for (const ane::Slot& slot : layout.slots()) weights = weights || slot.kind == ane::SlotKind::weight;
    if (plan.step(name).input_surface_of.empty()) (weights ? bytes.layer : bytes.shared) += layout.input_bytes();
    for (const ane::Slot& slot : layout.compiled()) bytes.layer += ane::constant_bytes(slot);
    bytes.shared += layout.output_bytes();
  }
  return bytes;
}

/// Channels of the tensors that go from kernel to kernel without becoming fp32.
std::int64_t surface_channels(const ModelShape& shape, const ane::Variant& variant) {
  const auto registry = ane::KernelRegistry::builtin();
  const ane::LayerPlan plan = ane::layer_plan(variant);
  std::int64_t channels = 0;
  for (const auto* steps : {&plan.forward, &plan.backward})
    for (const ane::PlanStep& step : *steps)
      for (const auto& [block, tensor] : step.outputs)
        if (step.on_surface.contains(tensor))
          channels += registry.find(step.kernel).layout({shape, variant}).block(block).channels.size();
  return channels;
}

/// Channels of all tensors that a layer's plan reads and makes in fp32, weights and their gradients excepted.
std::int64_t kept_channels(const ModelShape& s, const ane::Variant& variant) {
  const std::int64_t folded = variant.score_scale == ane::ScoreScale::folded ? 1 : 0;              // dq_unscaled
  const std::int64_t split_qkv = variant.qkv_backward == ane::QkvBackward::split ? 2 : 0;          // dx_q dx_kv
  const std::int64_t plain = variant.rope == ane::Rope::cpu ? 1 : 0;                               // q_plain k_plain
  const std::int64_t probs = variant.attention_backward == ane::AttentionBackward::split ? 2 : 0;  // probs dp
  const std::int64_t handed_on = surface_channels(s, variant);
  return (15 + split_qkv) * s.dim            // x xn o x2 xm y; dy dffn dx_ffn dx2_norm dx2 dxo dxn dx_norm dx
         + 6 * s.hidden                      // h1 h3 g dsilu dh1 dh3
         + (9 + folded + plain) * s.q_dim()  // attn q_rope k_tiled v_tiled da dv_full dk_full dq_rope dq
         + (5 + plain) * s.kv_dim()          // k_rope v dv dk_rope dk
         + probs * s.heads * s.seq - handed_on;
}

}  // namespace

std::int64_t training_bytes(const ModelShape& shape, const ane::Variant& variant) {
  std::int64_t layer_parameters = 0;
  for (const auto& [name, dims] : validate::layer_weight_shapes(shape)) layer_parameters += Tensor::element_count(dims);
  const std::int64_t parameters = shape.layers * layer_parameters + shape.vocab * shape.dim + shape.dim;
  const SurfaceBytes surfaces = surface_bytes(shape, variant);
  const std::int64_t kept = shape.layers * kept_channels(shape, variant) + shape.vocab + 4 * shape.dim;
  return 4 * parameters * kFloat + shape.layers * surfaces.layer + surfaces.shared + kept * shape.seq * kFloat;
}

std::int64_t layers_that_fit(ModelShape shape, const ane::Variant& variant, double bytes) {
  while (shape.layers > 0 && static_cast<double>(training_bytes(shape, variant)) > bytes) --shape.layers;
  return shape.layers;
}

}  // namespace aneval::train
