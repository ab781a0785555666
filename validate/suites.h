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

/// Every kernel of the variant (KernelRegistry::of_variant) on the shape: exact data; random data at amplitude 1
/// (quick) or 0.3, 1 and 2.5 (full), with gradients of 1 and, where there are any, 1e-3; structured data at amplitude
/// 1, sinks where something attends and means where the kernel is one product (quick) or every kind for every kernel
/// (full).
std::vector<Case> shape_cases(const ane::KernelRegistry& registry, const SuiteOptions& options);

/// Exact and random data on small shapes where indices go wrong: one token, lengths that are no multiple of 32, ratios
/// 1, 2, 4, 8, head dimensions 8 to 128, widths that are no power of two, both RoPE pairings; and on the first of them
/// under every single variant of the kernels' form. The kernels of all cuts, in one go.
std::vector<Case> edge_cases(const ane::KernelRegistry& registry, const SuiteOptions& options);

/// The shapes of edge_cases.
const std::vector<ModelShape>& edge_shapes();

}  // namespace aneval::validate
