// Fused multiply-adds as fast as one thread of this CPU can issue them: the roof under which every host computation
// stands. Highway with run-time dispatch, so that it is the CPU's roof and not the build's.
#pragma once

#include <cstdint>

namespace aneval::bench {

/// Runs `rounds` of independent chains of fused multiply-adds in registers and returns the floating-point operations
/// done (2 per lane and multiply-add). fp32.
double multiply_add_chains(std::int64_t rounds);

}  // namespace aneval::bench
