#include "validate/real_data.h"

#include <cmath>

#include "ane/gqa.h"
#include "ane/layer_plan.h"
#include "common/error.h"
#include "reference/convert.h"

namespace aneval::validate {
namespace {

/// The tensor of a trace that a layer plan calls `name`.
Tensor trace_tensor(const Case& c, const reference::LayerTrace& trace, const std::string& name) {
  const bool folded = c.variant.score_scale == ane::ScoreScale::folded;
  const double root = std::sqrt(static_cast<double>(c.shape.head_dim));
  const auto find = [&](const std::string& key) -> Tensor {
    for (const auto* matrices : {&trace.forward, &trace.backward, &trace.input})
      if (const auto found = matrices->find(key); found != matrices->end()) return reference::to_tensor(found->second);
    throw std::logic_error("the trace has no tensor '" + key + "'");
  };
  const auto scaled = [](Tensor tensor, double factor) {
    for (float& value : tensor.data) value = static_cast<float>(static_cast<double>(value) * factor);
    return tensor;
  };
  if (name == "q_rope") return folded ? scaled(find("q"), 1 / root) : find("q");
  if (name == "k_rope") return find("k");
  if (name == "dq" && folded) return scaled(find("dq"), root);  // gradient of the scaled query
  if (name == "k_tiled" || name == "v_tiled") {
    const Tensor kv = find(name == "k_tiled" ? "k" : "v");
    Tensor full({c.shape.q_dim(), kv.cols()});
    ane::tile_kv(c.shape, c.variant.head_map, kv.data, full.data);
    return full;
  }
  return find(name);
}

}  // namespace

CaseData real_case_data(const Case& c, const ane::PackedLayout& layout, const reference::LayerTrace& trace) {
  const ane::LayerPlan plan = ane::layer_plan(c.variant);
  const ane::PlanStep* step = nullptr;
  for (const auto* steps : {&plan.forward, &plan.backward})
    for (const ane::PlanStep& candidate : *steps)
      if (candidate.kernel == c.kernel) step = &candidate;
  if (step == nullptr)
    throw input_error(
        "kernel " + c.kernel,
        "is not part of a layer of variant " + ane::variant_text(c.variant) + ", so a model gives it no real data",
        "choose one of the layer's kernels, or the variant whose layer has this one (docs/variants.md)");
  CaseData data;
  for (const auto& [slot, tensor] : step->inputs) data.activations[slot] = trace_tensor(c, trace, tensor);
  scale_gradients(data, c.loss_scale);
  for (const ane::Slot& slot : layout.operands())
    if (slot.kind == ane::SlotKind::weight)
      data.weights[slot.weight] = reference::to_tensor(trace.input.at(slot.weight));
  return data;
}

NamedTensors real_layer_tensors(const Case& c, const reference::LayerTrace& trace) {
  NamedTensors tensors;
  for (const auto& [name, matrix] : trace.input) {
    tensors[name] = reference::to_tensor(matrix);
    if (name.starts_with("rms_")) tensors[name].shape = {matrix.rows()};
  }
  for (float& value : tensors.at("dy").data) value = static_cast<float>(static_cast<double>(value) * c.loss_scale);
  return tensors;
}

}  // namespace aneval::validate
