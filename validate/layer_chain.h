// A layer step by step: whether each CPU operation computed what it is called, and how the error grows along the chain.
//
// Every step is given what the device itself made before, so what a step adds can be told from what it was handed:
//
//   device − reference of the whole layer  =  inherited + own, element by element
//   inherited   the step's double reference on the device's inputs − the reference of the whole layer
//   own         the device's output − the step's double reference on the device's inputs
//
// A kernel's own error includes the rounding of its inputs and weights to fp16. Growth is reported, never gated; CPU
// operations are gated by the bounds of cpu_reference.h.
#pragma once

#include <string>
#include <vector>

#include "ane/layer_runner.h"
#include "reference/kernels.h"
#include "validate/case.h"

namespace aneval::validate {

/// One tensor that the layer makes; rms values over the elements that are finite everywhere.
struct ChainError {
  std::string tensor, step;  // step: the kernel or the CPU operation that made it
  std::int64_t place = 0;    // in the chain, from 1, forward before backward
  double reference = 0;      // of the whole layer's double reference
  double error = 0, own = 0, inherited = 0;
  std::int64_t left_out = 0;  // elements that are not finite
};

/// One output of a CPU operation against its bounds.
struct CpuJudgement {
  std::string step, tensor;
  double worst_ratio = 0;  // largest error / bound
  std::string reason;      // empty when it holds
};

struct LayerChain {
  std::vector<ChainError> errors;  // in the order of the chain
  std::vector<CpuJudgement> cpu;
};

struct ChainInput {
  const Case& c;
  const ane::LayerPrograms& programs;
  const reference::KernelTable& references;
  reference::Options options;
  const NamedTensors& given;                 // x, dy, weights
  const NamedTensors& made;                  // what the device's steps made of them
  const reference::Matrices<double>& layer;  // what layer_forward and layer_backward gave, by their names
};

LayerChain check_chain(const ChainInput& in);

/// What the whole layer's reference says of a tensor of the plan, which keeps other tensors and, with a folded score
/// scale, other scales than the formulas.
reference::Matrix<double> plan_tensor(const std::string& tensor, const ModelShape& shape, const ane::Variant& variant,
                                      const reference::Options& options, const reference::Matrices<double>& layer,
                                      const reference::Matrix<double>& dy);

}  // namespace aneval::validate
