// What a case's numbers mean for a chip: headroom, dropped products, slices, NaN and infinity, of the program on the
// case's data, and how the first two move when gradients are scaled.
#pragma once

#include "ane/emulator/statistics.h"
#include "ane/packed_layout.h"
#include "ane/surface.h"
#include "validate/case_data.h"

namespace aneval::validate {

struct CaseStatistics {
  double loss_scale = 1;  // on top of the case's own
  emulator::ProgramStatistics program;
};

/// The factors that gradients are tried with: 1, and powers of two up to 2^16, where most trainers stop.
inline constexpr double kLossScales[] = {1, 0x1p4, 0x1p8, 0x1p12, 0x1p16};

/// `input`: the surface with the case's tensors on it. At the case's own loss scale and, for a kernel that is given
/// gradients, at the others of kLossScales.
std::vector<CaseStatistics> case_statistics(const CaseData& data, const ane::PackedLayout& layout, ane::Surface& input,
                                            const std::shared_ptr<const emulator::Plan>& plan,
                                            const emulator::Profile& profile, ThreadPool* pool);

}  // namespace aneval::validate
