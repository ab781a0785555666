// Where the buffers of a plan lie in one piece of memory. Buffers whose lives do not overlap share it: an attention
// kernel has a dozen tensors of [heads, S, S], of which two are alive at a time, and what is small stays in the caches.
#pragma once

#include <cstdint>
#include <vector>

#include "ane/emulator/plan.h"

namespace aneval::emulator {

enum class Sharing {
  by_lifetime,
  none,  // for who looks at intermediate values after a run
};

/// The steps during which a buffer's elements matter, both included: from the first that touches it to the last.
/// Inputs and constants outlive all runs, outputs live to the end of one: theirs end beyond the last step.
struct Lifetime {
  std::int64_t first = 0, last = -1;

  bool overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};

/// By buffer. One that no step touches and that is neither input, output nor constant has last < first.
std::vector<Lifetime> lifetimes(const Plan& plan);

/// In elements; every buffer begins on a multiple of kMemoryAlignment.
struct MemoryPlan {
  std::vector<std::int64_t> offsets;  // by buffer
  std::int64_t elements = 0;
};

inline constexpr std::int64_t kMemoryAlignment = 16;  // a cache line of floats

/// Largest buffers first, each at the lowest offset where it meets no buffer that is alive with it ("greedy by size",
/// Pisarchyk and Lee 2020, Efficient Memory Management for Deep Neural Net Inference).
MemoryPlan plan_memory(const Plan& plan, Sharing sharing);

}  // namespace aneval::emulator
