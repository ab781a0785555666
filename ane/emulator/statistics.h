// What the numbers of a program mean for a chip: how near every matmul comes to the accumulator's limit and how many of
// its products a fixed-point accumulator drops, what slices carry against 4094, and which operations meet NaN or
// infinity. Measured on the values that the profile computes, while the program runs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ane/emulator/plan.h"
#include "ane/emulator/profile.h"
#include "common/thread_pool.h"

namespace aneval::emulator {

struct MatmulStatistics {
  std::string result;        // SSA identifier
  double acc_peak = 0;       // largest |partial sum| in order of k, over 32768; of integers, over 2^31
  double drop_fraction = 0;  // of the pairs of nonzero operands, those whose exponents sum to ≤ −17; integers: 0
  std::int64_t nonzero_pairs = 0;

  /// −log2(acc_peak): the bits left before the accumulator overflows; infinite for an all-zero product.
  double headroom() const;
};

struct SliceStatistics {
  std::string result;
  double peak = 0;  // largest magnitude
};

struct QuantizeStatistics {
  std::string result;
  double clip_fraction = 0;  // of the elements, those beyond what 8 bits hold
};

/// Elements of an operation's operands that are NaN or infinite, in the bits.
struct SpecialStatistics {
  std::string result;
  std::int64_t nan_count = 0, inf_count = 0;
};

struct ProgramStatistics {
  std::vector<MatmulStatistics> matmuls;  // one per matmul or convolution (its images and groups together)
  std::vector<SliceStatistics> slices;    // with a non-zero begin on the last axis
  std::vector<QuantizeStatistics> quantizations;
  std::vector<SpecialStatistics> specials;  // only operations that met any
};

/// Runs a plan of one input. `input`: the bits on its surface. Errors: as require_rules.
ProgramStatistics measure_program(const std::shared_ptr<const Plan>& plan, const Profile& profile,
                                  std::span<const ane::half_t> input, ThreadPool* pool);

}  // namespace aneval::emulator
