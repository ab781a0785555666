#include "validate/layer_chain.h"

#include <cmath>
#include <stdexcept>

#include "reference/blocks.h"
#include "reference/convert.h"
#include "validate/attribution.h"
#include "validate/cpu_reference.h"

namespace aneval::validate {
namespace {

using Matrix = reference::Matrix<double>;

const Tensor& tensor_of(const ChainInput& in, const std::string& name) {
  const auto found = in.made.find(name);
  return found != in.made.end() ? found->second : in.given.at(name);
}

/// A kernel's blocks from the device's own inputs, before these are rounded for its surface.
reference::Matrices<double> kernel_reference(const ChainInput& in, const ane::PlanStep& step) {
  const auto inputs =
      unrounded_inputs(in.programs.kernel(step.kernel).layout, [&](const ane::Slot& slot) -> const Tensor& {
        if (slot.kind == ane::SlotKind::weight) return in.given.at(slot.weight);
        for (const auto& [name, tensor] : step.inputs)
          if (name == slot.name) return tensor_of(in, tensor);
        throw std::logic_error("the plan gives " + step.kernel + " no " + slot.name);
      });
  return in.references.find(step.kernel).in_double(in.c.shape, in.options, inputs);
}

ChainError chain_error(const Tensor& device, const Matrix& step, const Matrix& layer) {
  ChainError sum;  // of squares, until the end
  for (std::size_t i = 0; i < device.data.size(); ++i) {
    const double got = static_cast<double>(device.data[i]), whole = layer.data()[i], here = step.data()[i];
    if (!std::isfinite(got) || !std::isfinite(here) || !std::isfinite(whole)) {
      ++sum.left_out;
      continue;
    }
    sum.reference += whole * whole;
    sum.error += (got - whole) * (got - whole);
    sum.own += (got - here) * (got - here);
    sum.inherited += (here - whole) * (here - whole);
  }
  const auto count = static_cast<double>(static_cast<std::int64_t>(device.data.size()) - sum.left_out);
  if (count > 0)
    for (double* value : {&sum.reference, &sum.error, &sum.own, &sum.inherited}) *value = std::sqrt(*value / count);
  return sum;
}

}  // namespace

Matrix plan_tensor(const std::string& tensor, const ModelShape& shape, const ane::Variant& variant,
                   const reference::Options& options, const reference::Matrices<double>& layer, const Matrix& dy) {
  const bool folded = variant.score_scale == ane::ScoreScale::folded;
  const double root = std::sqrt(static_cast<double>(shape.head_dim));
  const auto tiled = [&](const Matrix& kv) {
    const auto heads = reference::Heads::of(shape, options);
    Matrix full(heads.count() * heads.dim, kv.cols());
    for (reference::Index j = 0; j < heads.count(); ++j)
      full.middleRows(j * heads.dim, heads.dim) =
          kv.middleRows(heads.source[static_cast<std::size_t>(j)] * heads.dim, heads.dim);
    return full;
  };
  const auto unrotated = [&](Matrix rotated) {
    reference::Rotation<double>(shape, rotated.cols()).undo(rotated);
    return rotated;
  };
  if (tensor == "q_plain") return unrotated(folded ? Matrix(layer.at("q") / root) : layer.at("q"));
  if (tensor == "k_plain") return unrotated(layer.at("k"));
  if (tensor == "q_rope") return folded ? Matrix(layer.at("q") / root) : layer.at("q");
  if (tensor == "k_rope") return layer.at("k");
  if (tensor == "k_tiled") return tiled(layer.at("k"));
  if (tensor == "v_tiled") return tiled(layer.at("v"));
  // Kernels that know a scaled query return the gradient of that.
  if (folded && (tensor == "dq" || tensor == "dq_rope")) return layer.at(tensor) * root;
  if (tensor == "dq_unscaled") return layer.at("dq");
  if (tensor == "dxn") return layer.at("dx_q") + layer.at("dx_kv");
  if (tensor == "dx2_norm") return layer.at("dx2") - dy;
  if (tensor == "dx_norm") return layer.at("dx") - layer.at("dx2");
  return layer.at(tensor);
}

LayerChain check_chain(const ChainInput& in) {
  LayerChain chain;
  const Matrix dy = reference::to_matrix<double>(in.given.at("dy"));
  const ane::LayerPlan& plan = in.programs.plan();
  std::int64_t place = 0;
  for (const auto* steps : {&plan.forward, &plan.backward}) {
    for (const ane::PlanStep& step : *steps) {
      reference::Matrices<double> blocks;
      std::vector<CpuReference> results;
      if (step.is_kernel()) {
        blocks = kernel_reference(in, step);
      } else {
        std::vector<const Tensor*> operands;
        for (const auto& [slot, tensor] : step.inputs) operands.push_back(&tensor_of(in, tensor));
        results = cpu_reference(step.cpu, in.c.shape, in.options, operands);
      }
      for (std::size_t i = 0; i < step.outputs.size(); ++i) {
        const auto& [block, tensor] = step.outputs[i];
        const Tensor& device = in.made.at(tensor);
        if (!step.is_kernel()) {
          CpuComparison compared = compare_cpu(device, results[i]);
          chain.cpu.push_back({step.name(), tensor, compared.worst_ratio, std::move(compared.reason)});
        }
        const Matrix& here = step.is_kernel() ? blocks.at(block) : results[i].value;
        ChainError error =
            chain_error(device, here, plan_tensor(tensor, in.c.shape, in.programs.variant(), in.options, in.layer, dy));
        error.tensor = tensor;
        error.step = step.name();
        error.place = ++place;
        chain.errors.push_back(std::move(error));
      }
    }
  }
  return chain;
}

}  // namespace aneval::validate
