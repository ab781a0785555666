// Defects of what the CPU does between kernels: operations of a layer that compute something else (layer_check.h judges
// them).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ane/layer_runner.h"

namespace aneval::validate {

struct HostDefect {
  std::string name, summary;
  ane::CpuOp op = ane::CpuOp::rmsnorm;  // the operation that is wrong
  ane::CpuFunction wrong;
};

const std::vector<HostDefect>& host_defects();

}  // namespace aneval::validate
