// The cases that a validation runs through: which shapes, variants and data every kernel meets.
#pragma once

#include <vector>

#include "ane/kernels/kernel.h"
#include "validate/case.h"

namespace aneval::validate {

enum class Extent { quick, full };

struct SuiteOptions {
  ModelShape shape;
  ane::Variant variant;
  Extent extent = Extent::quick;
  std::uint64_t seed = 1;
};

/// Every kernel of the registry on the shape: exact data, and random data at amplitude 1, with gradients of 1 and,
/// where there are any, 1e-3 (quick), or at amplitudes 0.3, 1, 2.5 with gradients of 1 and 1e-3 (full).
std::vector<Case> shape_cases(const ane::KernelRegistry& registry, const SuiteOptions& options);

/// Small shapes where indices go wrong: one token, lengths that are no multiple of 32, ratios 1, 2, 4, 8, head
/// dimensions 16 to 128, widths that are no power of two, both RoPE pairings; under every single variant that differs
/// from the default.
std::vector<Case> edge_cases(const ane::KernelRegistry& registry, const SuiteOptions& options);

/// The shapes of edge_cases.
const std::vector<ModelShape>& edge_shapes();

}  // namespace aneval::validate
