// The seam of a training run: whoever computes a model's layers. A run needs nothing else to know whether its layers
// are on a device, are the fp32 reference, or the reference with what fp16 storage does to it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ane/device.h"
#include "ane/layer_runner.h"
#include "common/tensor.h"
#include "common/thread_pool.h"
#include "train/phase_times.h"

namespace aneval::train {

class LayerBackend {
 public:
  virtual ~LayerBackend() = default;

  /// Takes the weights of all layers over, before step `step`; they must outlive the next call and stay as they are
  /// while the step's passes run. Its time is phase restage of `step`, and where weights are compiled into programs
  /// compile and load as well.
  virtual void stage(const std::vector<NamedTensors>& layers, std::int64_t step, PhaseTimes& times) = 0;

  /// y [D, S] of a layer from x [D, S]; keeps what the way back needs. The result stays until the layer's next call.
  virtual const Tensor& forward(std::size_t layer, const Tensor& x, PhaseTimes& times) = 0;
  /// dx from dy, for the layer's last forward; adds to the layer's weight gradients, which have their weights' names
  /// and are complete only after finish().
  virtual const Tensor& backward(std::size_t layer, const Tensor& dy, NamedTensors& gradients, PhaseTimes& times) = 0;
  /// Waits for weight gradients that are made meanwhile.
  virtual void finish(PhaseTimes& times) = 0;

  /// Largest magnitude of any tensor that the last forward pass made; infinity when one is not finite.
  virtual double largest_activation() const = 0;
};

/// Sees a kernel right after its evaluation, with what lies on its surfaces; takes no time from the phases.
using EvaluationObserver =
    std::function<void(std::size_t layer, const ane::CompiledKernel& kernel, ane::Request& request)>;

struct DeviceBackendOptions {
  ThreadPool* pool = nullptr;             // null: the calling thread
  bool overlap_weight_gradients = false;  // made by a thread of their own while the device goes on; the same bits
  EvaluationObserver evaluated = {};
};

/// One ane::Layer per model layer over shared programs. The programs must outlive it.
std::unique_ptr<LayerBackend> make_device_backend(ane::LayerPrograms& programs, const DeviceBackendOptions& options);

/// reference::layer_forward and layer_backward in fp32. `cyclic_heads`: for models that are trained that way.
std::unique_ptr<LayerBackend> make_reference_backend(const ModelShape& shape, bool cyclic_heads = false);

/// The layer's plan with the kernels' fp32 references, where weights and activations are rounded to fp16 wherever a
/// device keeps them on a surface: up or down at random, in proportion to the distances ("dither"). What storage in
/// fp16 does to training, without any device's arithmetic. Gradients are not rounded, so that the loss scale changes
/// nothing. The draws depend on seed, step and their order within the step alone.
std::unique_ptr<LayerBackend> make_dithered_backend(const ModelShape& shape, std::uint64_t seed,
                                                    bool cyclic_heads = false);

/// Of a tensor's elements; infinity when one is not finite.
double largest_magnitude(const Tensor& tensor);

/// One of the two fp16 numbers about the value, the nearer one with the greater probability: its mean over random bits
/// is the value. Only the low 24 bits of `random` are used; 2^16 and beyond become infinite.
float dithered_half(float value, std::uint32_t random);

}  // namespace aneval::train
