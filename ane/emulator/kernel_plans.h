// For tests: the plans of all kernels of a layer at a small shape, on profiles that differ in what they plan.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ane/emulator/plan.h"
#include "ane/emulator/profile.h"
#include "ane/kernels/kernel.h"
#include "ane/mil/text.h"

namespace aneval::emulator {

inline void for_each_kernel_plan(
    const std::function<void(const std::string& kernel, const std::shared_ptr<const Plan>& plan,
                             const Profile& profile)>& use) {
  const ane::KernelRegistry registry = ane::KernelRegistry::builtin();
  ane::KernelConfig config;
  config.shape = {.name = "small",
                  .dim = 24,
                  .hidden = 40,
                  .heads = 4,
                  .kv_heads = 2,
                  .head_dim = 6,
                  .seq = 20,
                  .layers = 1,
                  .vocab = 32};
  config.ic = 24;
  config.oc = 40;
  for (const char* name : {"ieee", "h13", "h16"}) {
    const Profile profile = find_profile(name);
    for (const ane::KernelSpec& spec : registry.all()) {
      const mil::BuiltProgram program = spec.program(config, spec.layout(config));
      use(spec.name,
          std::make_shared<const Plan>(
              make_plan(mil::parse(program.text, spec.name), program.weights, profile.slice_gain)),
          profile);
    }
  }
}

}  // namespace aneval::emulator
