// A whole layer on a device, forward and backward, against the double reference on the fp32 inputs: how far the chain
// of kernels drifts. Reported, not gated; what is gated is each kernel on its own, and here the CPU operations between
// them.
#pragma once

#include <string>
#include <vector>

#include "ane/layer_runner.h"
#include "reference/layer.h"
#include "validate/kernel_check.h"
#include "validate/layer_chain.h"

namespace aneval::validate {

struct LayerTensorError {
  std::string tensor;
  std::int64_t channels = 0, tokens = 0;
  Metrics metrics;
};

struct LayerResult {
  Case c;  // kernel is "layer"
  std::vector<LayerTensorError> tensors;
  LayerChain chain;
  /// wrong_result when a CPU operation leaves its bounds, nonfinite when an output is not finite, degraded when a
  /// tensor is mostly lost.
  Status status = Status::ok;
  std::string reason;
  std::string output_hash;
  ane::DeviceCounters counters;  // of the device, after the run
};

/// x and dy N(0, amp²), weights N(0, 1/fan_in), RMSNorm weights 1 + N(0, 0.25²), from the case's seed.
NamedTensors random_layer_tensors(const Case& c);

/// One layer forward and backward on the device; `tensors` holds x, dy and the nine weights.
NamedTensors run_layer_on_device(const CheckOptions& options, const Case& c, const NamedTensors& tensors);

/// The same on the reference, in the scalar asked for.
template <class T>
NamedTensors run_layer_on_reference(const Case& c, const NamedTensors& tensors);

LayerResult check_layer(const CheckOptions& options, const Case& c, const NamedTensors& tensors,
                        const ane::CpuOps& cpu_ops = ane::CpuOps::builtin());

/// Of all results, in the order of layer_results().
std::string layer_hash(const NamedTensors& results);

/// y, dx and the nine weight gradients.
const std::vector<std::string>& layer_results();
/// The nine weights of a layer.
const std::vector<std::string>& layer_weights();

}  // namespace aneval::validate
