// A small model with grouped heads, its data and a device, for the tests of this folder. No part of the library.
#pragma once

#include "common/random.h"
#include "train/trainer.h"
#include "validate/emulated_device.h"
#include "validate/weights/weights.h"

namespace aneval::train {

inline ModelShape small_shape(std::int64_t seq = 16, std::int64_t layers = 2) {
  ModelShape shape;
  shape.name = "small";
  shape.dim = 32, shape.hidden = 48, shape.heads = 4, shape.kv_heads = 2, shape.head_dim = 8;
  shape.seq = seq, shape.layers = layers, shape.vocab = 23;
  shape.residual_scale = 0.5;
  return shape;
}

/// Weights of a trained model's size: nothing vanishes, and rmsnorm weights are not 1.
inline reference::Model small_model(const ModelShape& shape, bool tied = true) {
  reference::Model model = validate::random_model(shape, 5);
  const auto fill = [](Tensor& tensor, const char* name, double sd, double mean) {
    Random(6, name).fill_normal(tensor.data, sd, mean);
  };
  fill(model.globals["embedding"], "embedding", 0.3, 0);
  fill(model.globals["rms_final"], "rms_final", 0.2, 1);
  if (!tied) {
    model.globals["classifier"] = Tensor({shape.vocab, shape.dim});
    fill(model.globals["classifier"], "classifier", 0.3, 0);
  }
  for (NamedTensors& layer : model.layers) {
    fill(layer["rms_att"], "rms_att", 0.2, 1);
    fill(layer["rms_ffn"], "rms_ffn", 0.2, 1);
  }
  return model;
}

inline TokenIds small_tokens(const ModelShape& shape, std::int64_t count = 400) {
  ModelShape longer = shape;
  longer.seq = count;
  return validate::random_tokens(longer, 9);
}

inline TrainSettings small_settings(std::int64_t steps = 8) {
  TrainSettings settings;
  settings.schedule = {.peak = 1e-2, .warmup = 2, .steps = steps};
  return settings;
}

/// Programs on an emulated device, and a backend on them.
struct DeviceRun {
  explicit DeviceRun(const ModelShape& shape, const std::string& profile = "ieee",
                     const DeviceBackendOptions& options = {}, const ane::Variant& variant = {})
      : device(validate::make_device(profile)),
        programs(*device, ane::KernelRegistry::builtin(), shape, variant),
        backend(make_device_backend(programs, options)) {}

  std::unique_ptr<ane::Device> device;
  ane::LayerPrograms programs;
  std::unique_ptr<LayerBackend> backend;
};

}  // namespace aneval::train
