// Which benchmarks go into one process: Apple's compiler refuses after about 119 compiles per process.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace aneval::gate {

/// How many programs a process may compile on hardware.
inline constexpr std::int64_t kProgramsPerProcess = 90;

/// The names in groups that compile at most `most` programs each (0: one group), in their order; a benchmark that needs
/// more has a group of its own. Controls come in addition to every group. What a benchmark compiles is estimated from
/// its name: kernels share one program, `compile` and `load` take one per run.
std::vector<std::vector<std::string>> shards(const std::vector<std::string>& names, std::int64_t most,
                                             std::int64_t repetitions);

/// A --benchmark_filter that chooses exactly these names.
std::string filter_of(const std::vector<std::string>& names);

}  // namespace aneval::gate
