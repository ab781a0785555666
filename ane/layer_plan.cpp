#include "ane/layer_plan.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>

#include "ane/variant_rules.h"

namespace aneval::ane {
namespace {

using Bindings = std::vector<std::pair<std::string, std::string>>;

PlanStep kernel(std::string name, Bindings inputs, Bindings outputs) {
  PlanStep step;
  step.kernel = std::move(name);
  step.inputs = std::move(inputs);
  step.outputs = std::move(outputs);
  return step;
}

PlanStep cpu(CpuOp op, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
  PlanStep step;
  step.cpu = op;
  for (const std::string& tensor : inputs) step.inputs.emplace_back("", tensor);
  for (const std::string& tensor : outputs) step.outputs.emplace_back("", tensor);
  return step;
}

constexpr std::array<std::string_view, 9> kWeights = {"wq", "wk", "wv", "wo", "w1", "w2", "w3", "rms_att", "rms_ffn"};

using Steps = std::vector<PlanStep>;

void append(Steps& steps, Steps more) {
  steps.insert(steps.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

Steps::iterator find_step(Steps& steps, std::string_view kernel) {
  return std::ranges::find(steps, kernel, &PlanStep::kernel);
}

/// xn to o.
Steps attention_forward(const Variant& variant) {
  if (variant.rope == Rope::cpu)
    return {
        kernel("sdpaQkv", {{"xn", "xn"}}, {{"q", "q_plain"}, {"k", "k_plain"}, {"v", "v"}}),
        cpu(CpuOp::rope, {"q_plain"}, {"q_rope"}),
        cpu(CpuOp::rope, {"k_plain"}, {"k_rope"}),
        kernel("sdpaCore", {{"q_rope", "q_rope"}, {"k_rope", "k_rope"}, {"v", "v"}}, {{"attn", "attn"}}),
        kernel("woFwd", {{"attn", "attn"}}, {{"o", "o"}}),
    };
  if (variant.wo == OutputProjection::fused)
    return {kernel("sdpaWoFwd", {{"xn", "xn"}},
                   {{"o", "o"}, {"attn", "attn"}, {"q_rope", "q_rope"}, {"k_rope", "k_rope"}, {"v", "v"}})};
  return {
      kernel("sdpaFwd", {{"xn", "xn"}}, {{"attn", "attn"}, {"q_rope", "q_rope"}, {"k_rope", "k_rope"}, {"v", "v"}}),
      kernel("woFwd", {{"attn", "attn"}}, {{"o", "o"}}),
  };
}

/// xm and x2 to y.
Steps feed_forward(const Variant& variant) {
  if (variant.ffn == FeedForward::fused)
    return {kernel("ffnFused", {{"xm", "xm"}, {"x2", "x2"}}, {{"y", "y"}, {"h1", "h1"}, {"h3", "h3"}, {"g", "g"}})};
  Steps steps;
  if (variant.ffn == FeedForward::split) {
    steps.push_back(kernel("ffnUpGate", {{"xm", "xm"}}, {{"h1", "h1"}, {"h3", "h3"}, {"g", "g"}}));
  } else {
    steps.push_back(kernel("ffnUp", {{"xm", "xm"}}, {{"h1", "h1"}, {"h3", "h3"}}));
    steps.push_back(cpu(CpuOp::silu_gate, {"h1", "h3"}, {"g"}));
  }
  steps.push_back(kernel("ffnDown", {{"g", "g"}, {"x2", "x2"}}, {{"y", "y"}}));
  return steps;
}

Steps forward_steps(const Variant& variant) {
  Steps steps = {cpu(CpuOp::rmsnorm, {"x", "rms_att"}, {"xn"})};
  append(steps, attention_forward(variant));
  steps.push_back(cpu(CpuOp::residual, {"x", "o"}, {"x2"}));
  steps.push_back(cpu(CpuOp::rmsnorm, {"x2", "rms_ffn"}, {"xm"}));
  append(steps, feed_forward(variant));
  return steps;
}

/// dy to dx2.
Steps feed_forward_backward(const Variant& variant) {
  Steps steps = {
      cpu(CpuOp::residual_scale, {"dy"}, {"dffn"}),
      kernel("ffnBwdW2t", {{"dffn", "dffn"}}, {{"dsilu", "dsilu"}}),
      cpu(CpuOp::weight_gradient, {"dffn", "g"}, {"dw2"}),
  };
  if (variant.silu_backward == SiluBackward::cpu) {
    steps.push_back(cpu(CpuOp::silu_backward, {"dsilu", "h1", "h3"}, {"dh1", "dh3"}));
    steps.push_back(kernel("ffnBwdW13t", {{"dh1", "dh1"}, {"dh3", "dh3"}}, {{"dx_ffn", "dx_ffn"}}));
  } else {
    steps.push_back(kernel("ffnBwdSiluW13t", {{"dsilu", "dsilu"}, {"h1", "h1"}, {"h3", "h3"}},
                           {{"dx_ffn", "dx_ffn"}, {"dh1", "dh1"}, {"dh3", "dh3"}}));
  }
  append(steps, {
                    cpu(CpuOp::weight_gradient, {"dh1", "xm"}, {"dw1"}),
                    cpu(CpuOp::weight_gradient, {"dh3", "xm"}, {"dw3"}),
                    cpu(CpuOp::rmsnorm_backward, {"x2", "rms_ffn", "dx_ffn"}, {"dx2_norm", "drms_ffn"}),
                    cpu(CpuOp::add, {"dy", "dx2_norm"}, {"dx2"}),
                });
  return steps;
}

/// sdpaBwd2 on the surface that sdpaBwd1 leaves, which holds q and k_tiled as well.
void share_surface(PlanStep& bwd2) {
  bwd2.input_surface_of = "sdpaBwd1";
  for (const auto& [slot, tensor] : bwd2.inputs) bwd2.sources.push_back({slot, bwd2.input_surface_of, slot});
}

/// da, q, k and v to dq and to dk, dv of all query heads, the former still rotated.
Steps scores_backward(const Variant& variant) {
  const Bindings slots = {{"q", "q_rope"}, {"k_tiled", "k_tiled"}, {"v_tiled", "v_tiled"}, {"da", "da"}};
  if (variant.attention_backward == AttentionBackward::fused)
    return {kernel("sdpaBwd", slots, {{"dq", "dq_rope"}, {"dk_full", "dk_full"}, {"dv_full", "dv_full"}})};
  return {
      kernel("sdpaBwd1", slots, {{"dv_full", "dv_full"}, {"probs", "probs"}, {"dp", "dp"}}),
      kernel("sdpaBwd2", {{"probs", "probs"}, {"dp", "dp"}, {"q", "q_rope"}, {"k_tiled", "k_tiled"}},
             {{"dq", "dq_rope"}, {"dk_full", "dk_full"}}),
  };
}

/// dx2 to dx.
Steps attention_backward(const Variant& variant) {
  Steps steps = {
      cpu(CpuOp::residual_scale, {"dx2"}, {"dxo"}),
      kernel("wotBwd", {{"dy", "dxo"}}, {{"da", "da"}}),
      cpu(CpuOp::weight_gradient, {"dxo", "attn"}, {"dwo"}),
      cpu(CpuOp::tile_kv, {"k_rope"}, {"k_tiled"}),
      cpu(CpuOp::tile_kv, {"v"}, {"v_tiled"}),
  };
  append(steps, scores_backward(variant));
  append(steps, {
                    cpu(CpuOp::reduce_kv, {"dv_full"}, {"dv"}),
                    cpu(CpuOp::reduce_kv, {"dk_full"}, {"dk_rope"}),
                    cpu(CpuOp::rope_inverse, {"dq_rope"}, {"dq"}),
                    cpu(CpuOp::rope_inverse, {"dk_rope"}, {"dk"}),
                });
  if (variant.handover == Handover::share) share_surface(*find_step(steps, "sdpaBwd2"));
  const bool merged = variant.qkv_backward == QkvBackward::merged;
  if (merged) {
    steps.push_back(kernel("qkvBwd", {{"dq", "dq"}, {"dk", "dk"}, {"dv", "dv"}}, {{"dxn", "dxn"}}));
  } else {
    steps.push_back(kernel("qBwd", {{"dq", "dq"}}, {{"dx_q", "dx_q"}}));
    steps.push_back(kernel("kvBwd", {{"dk", "dk"}, {"dv", "dv"}}, {{"dx_kv", "dx_kv"}}));
  }
  if (variant.score_scale == ScoreScale::folded) {
    // q_rope left the forward pass scaled, so dq is the gradient of the scaled query; the kernels multiply it with the
    // scaled Wq.
    steps.push_back(cpu(CpuOp::unfold_scale, {"dq"}, {"dq_unscaled"}));
    steps.push_back(cpu(CpuOp::weight_gradient, {"dq_unscaled", "xn"}, {"dwq"}));
  } else {
    steps.push_back(cpu(CpuOp::weight_gradient, {"dq", "xn"}, {"dwq"}));
  }
  steps.push_back(cpu(CpuOp::weight_gradient, {"dk", "xn"}, {"dwk"}));
  steps.push_back(cpu(CpuOp::weight_gradient, {"dv", "xn"}, {"dwv"}));
  if (!merged) steps.push_back(cpu(CpuOp::add, {"dx_q", "dx_kv"}, {"dxn"}));
  steps.push_back(cpu(CpuOp::rmsnorm_backward, {"x", "rms_att", "dxn"}, {"dx_norm", "drms_att"}));
  steps.push_back(cpu(CpuOp::add, {"dx2", "dx_norm"}, {"dx"}));
  return steps;
}

/// Every slot that another kernel of the pass leaves on its surface is copied from there.
void hand_over(Steps& pass) {
  for (PlanStep& step : pass)
    if (step.is_kernel() && step.sources.empty()) step.sources = surface_sources(pass, step.kernel);
}

/// Which tensors are made in fp32 for nobody: results and what a step reads otherwise are for somebody.
void mark_on_surface(LayerPlan& plan) {
  std::set<std::string, std::less<>> needed = {"y"};
  for (const auto* steps : {&plan.forward, &plan.backward})
    for (const PlanStep& step : *steps)
      for (const auto& [slot, tensor] : step.inputs)
        if (step.source(slot) == nullptr) needed.insert(tensor);
  for (auto* steps : {&plan.forward, &plan.backward})
    for (PlanStep& step : *steps)
      if (step.is_kernel())
        for (const auto& [block, tensor] : step.outputs)
          if (!needed.contains(tensor)) step.on_surface.insert(tensor);
}

}  // namespace

std::vector<SurfaceSource> surface_sources(const std::vector<PlanStep>& steps, std::string_view kernel) {
  std::map<std::string, std::pair<std::string, std::string>, std::less<>> made;  // tensor -> kernel, block
  for (const PlanStep& step : steps) {
    if (!step.is_kernel()) continue;
    if (step.kernel == kernel) {
      std::vector<SurfaceSource> sources;
      for (const auto& [slot, tensor] : step.inputs)
        if (const auto found = made.find(tensor); found != made.end())
          sources.push_back({slot, found->second.first, found->second.second});
      return sources;
    }
    for (const auto& [block, tensor] : step.outputs) made[tensor] = {step.kernel, block};
  }
  return {};
}

const SurfaceSource* PlanStep::source(std::string_view slot) const {
  const auto found = std::ranges::find(sources, slot, &SurfaceSource::slot);
  return found == sources.end() ? nullptr : &*found;
}

std::string PlanStep::name() const { return is_kernel() ? kernel : std::string(cpu_op_name(cpu)); }

std::vector<std::string> LayerPlan::kernels() const {
  std::vector<std::string> names;
  for (const auto* steps : {&forward, &backward})
    for (const PlanStep& step : *steps)
      if (step.is_kernel() && std::find(names.begin(), names.end(), step.kernel) == names.end())
        names.push_back(step.kernel);
  return names;
}

const PlanStep& LayerPlan::step(std::string_view kernel) const {
  for (const auto* steps : {&forward, &backward})
    if (const auto found = std::ranges::find(*steps, kernel, &PlanStep::kernel); found != steps->end()) return *found;
  throw std::logic_error("the plan has no kernel " + std::string(kernel));
}

std::set<std::string, std::less<>> kernels_of_all_plans() {
  // Every kernel that is an alternative is one of a single value of a choice: no two choices cut the same kernels.
  std::set<std::string, std::less<>> names;
  for (const VariantChoice& choice : variant_choices())
    for (std::size_t value = 0; value < choice.values.size(); ++value) {
      Variant variant;
      choice.set(variant, value);
      for (std::string& name : layer_plan(variant).kernels()) names.insert(std::move(name));
    }
  return names;
}

std::string_view cpu_op_name(CpuOp op) {
  constexpr std::array<std::string_view, kCpuOps> names = {
      "rmsnorm", "rmsnorm_backward", "residual", "add",          "residual_scale", "silu_gate",      "silu_backward",
      "tile_kv", "reduce_kv",        "rope",     "rope_inverse", "unfold_scale",   "weight_gradient"};
  return names.at(static_cast<std::size_t>(op));
}

std::string_view cpu_op_phase(CpuOp op) {
  switch (op) {
    case CpuOp::silu_gate:
    case CpuOp::silu_backward:
      return "silu";
    case CpuOp::tile_kv:
      return "tile";
    case CpuOp::reduce_kv:
      return "reduce";
    case CpuOp::weight_gradient:
      return "weight_grad";
    default:
      return "rmsnorm";  // rmsnorm, its backward, residuals, rotations: the vector work between kernels
  }
}

LayerPlan layer_plan(const Variant& variant) {
  check_variant(variant);
  LayerPlan plan{forward_steps(variant), feed_forward_backward(variant)};
  append(plan.backward, attention_backward(variant));
  if (variant.handover != Handover::fp32) {
    hand_over(plan.forward);
    hand_over(plan.backward);
    mark_on_surface(plan);
  }
  check_plan(plan);
  return plan;
}

void check_plan(const LayerPlan& plan) {
  std::set<std::string, std::less<>> given = {"x", "dy"};
  // Kernels get their weights through staging, not through a step.
  for (const std::string_view weight : kWeights) given.emplace(weight);
  std::set<std::string, std::less<>> made = given, read;
  for (const auto* steps : {&plan.forward, &plan.backward}) {
    for (const PlanStep& step : *steps) {
      for (const auto& [slot, tensor] : step.inputs) {
        if (!made.contains(tensor)) throw std::logic_error("layer plan reads '" + tensor + "' before it is made");
        read.insert(tensor);
      }
      for (const auto& [block, tensor] : step.outputs)
        if (!made.insert(tensor).second) throw std::logic_error("layer plan makes '" + tensor + "' twice");
    }
  }
  std::set<std::string, std::less<>> results = {"y", "dx"};
  for (const std::string_view weight : kWeights) results.insert("d" + std::string(weight));
  for (const std::string& tensor : results)
    if (!made.contains(tensor)) throw std::logic_error("layer plan never makes '" + tensor + "'");
  for (const std::string& tensor : made)
    if (!read.contains(tensor) && !results.contains(tensor) && !given.contains(tensor))
      throw std::logic_error("layer plan makes '" + tensor + "' and never reads it");
}

}  // namespace aneval::ane
