// The kernels there are: one line each.
#include "ane/kernels/kernel.h"
#include "ane/layer_plan.h"
#include "common/error.h"
#include "common/names.h"

// One line per kernel; the function of that name lives in the file of that name and returns its KernelSpec.
#define ANEVAL_KERNELS(KERNEL) \
  KERNEL(sdpa_fwd)             \
  KERNEL(wo_fwd)               \
  KERNEL(ffn_fused)            \
  KERNEL(ffn_bwd_w2t)          \
  KERNEL(ffn_bwd_w13t)         \
  KERNEL(wot_bwd)              \
  KERNEL(sdpa_bwd1)            \
  KERNEL(sdpa_bwd2)            \
  KERNEL(q_bwd)                \
  KERNEL(kv_bwd)               \
  KERNEL(qkv_bwd)              \
  KERNEL(ffn_bwd_silu_w13t)    \
  KERNEL(ffn_up_gate)          \
  KERNEL(ffn_up)               \
  KERNEL(ffn_down)             \
  KERNEL(sdpa_bwd)             \
  KERNEL(sdpa_wo_fwd)          \
  KERNEL(sdpa_qkv)             \
  KERNEL(sdpa_core)            \
  KERNEL(dyn_matmul)

namespace aneval::ane {

#define ANEVAL_DECLARE(name) KernelSpec name();
ANEVAL_KERNELS(ANEVAL_DECLARE)
#undef ANEVAL_DECLARE

KernelRegistry KernelRegistry::builtin() {
  KernelRegistry registry;
#define ANEVAL_ADD(name) registry.add(name());
  ANEVAL_KERNELS(ANEVAL_ADD)
#undef ANEVAL_ADD
  return registry;
}

void KernelRegistry::add(KernelSpec spec) {
  for (const KernelSpec& known : specs_)
    if (known.name == spec.name)
      throw input_error("kernel '" + spec.name + "'", "is registered already", "give the new kernel another name");
  specs_.push_back(std::move(spec));
}

std::vector<KernelSpec> KernelRegistry::of_variant(const Variant& variant) const {
  std::vector<KernelSpec> specs;
  for (const std::string& name : layer_plan(variant).kernels()) specs.push_back(find(name));
  const auto of_layers = kernels_of_all_plans();
  for (const KernelSpec& spec : specs_)
    if (!of_layers.contains(spec.name)) specs.push_back(spec);
  return specs;
}

const KernelSpec& KernelRegistry::find(std::string_view name) const {
  std::vector<std::string> known;
  for (const KernelSpec& spec : specs_) {
    if (spec.name == name) return spec;
    known.push_back(spec.name);
  }
  unknown_name("kernel", name, known);
}

}  // namespace aneval::ane
