// What a run of a history has in common: how fast its machine was, told by the control benchmarks.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "reports/gate/history.h"

namespace aneval::gate {

/// How far a lane's controls are above their medians, ln, per run; nothing for a run without controls.
struct LaneControls {
  std::size_t controls = 0;
  std::vector<std::optional<double>> above;
};
LaneControls controls_of(const Lane& lane);

}  // namespace aneval::gate
