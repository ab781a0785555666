// How long a sequence may be: for every kernel and family the largest S whose program stays within the family's caps
// of ranks and axes (the rules with `cap` in ane/mil/family_rules.h), and what stops the next one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ane/kernels/kernel.h"
#include "ane/mil/family_rules.h"

namespace aneval::ane {

struct SequenceLimit {
  std::string kernel;
  /// 0 when not even one token fits.
  std::int64_t largest = 0;
  /// The largest multiple of 32 up to `largest` when the program has no error of any rule there: what can be run, since
  /// rows and contractions want multiples of 32. Empty when there is none (the model's own widths need pad=32, say).
  std::optional<std::int64_t> usable;
  std::string rule;  // the rule that refuses largest + 1
  std::string why;   // its finding there
};

/// The kernels of the variant's layer in their order; `shape.seq` does not matter. Caps are monotone in S: bisection,
/// with both sides of the edge checked. Errors: a program that cannot be built for one token, for other reasons than
/// its size.
std::vector<SequenceLimit> sequence_limits(const KernelRegistry& registry, const ModelShape& shape,
                                           const Variant& variant, const mil::Family& family);

/// The one with the smallest `largest`: what a layer can run. The first of equal ones; null for no kernels.
const SequenceLimit* smallest_limit(const std::vector<SequenceLimit>& limits);

/// The program in the dialect that the family takes: its version and opset.
mil::Program in_dialect_of(const mil::Family& family, mil::Program program);

}  // namespace aneval::ane
