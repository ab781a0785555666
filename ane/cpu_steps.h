// The CPU operations of a layer plan as a table of functions, one per CpuOp: a training loop, or a test that wants to
// see whether a wrong one is found, puts its own in the place of one.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "ane/layer_plan.h"
#include "common/tensor.h"
#include "common/thread_pool.h"

namespace aneval::ane {

/// One step's operands by position, as in the plan.
struct CpuCall {
  const ModelShape& shape;
  HeadMap head_map;
  ThreadPool* pool;
  std::vector<const Tensor*> in;
  std::vector<Tensor*> out;

  /// Output i with these dimensions: as it is when it has them, so that gradients accumulate, zeros otherwise.
  std::span<float> output(std::size_t i, const std::vector<std::int64_t>& dims) const;
};

using CpuFunction = std::function<void(const CpuCall& call)>;

class CpuOps {
 public:
  /// Those of cpu_ops.h and gqa.h.
  static CpuOps builtin();

  void replace(CpuOp op, CpuFunction function) { functions_.at(static_cast<std::size_t>(op)) = std::move(function); }
  void run(CpuOp op, const CpuCall& call) const { functions_.at(static_cast<std::size_t>(op))(call); }

 private:
  std::array<CpuFunction, kCpuOps> functions_;
};

}  // namespace aneval::ane
