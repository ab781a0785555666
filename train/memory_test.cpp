#include "train/memory.h"

#include <gtest/gtest.h>

#include "train/test_support.h"

namespace aneval::train {
namespace {

std::int64_t floats_in(const Parameters& parameters) {
  std::int64_t count = 0;
  for (const NamedConstTensor& named : tensors_of(parameters))
    count += static_cast<std::int64_t>(named.tensor->data.size());
  return count;
}

// Everything that is counted, made and measured.
TEST(TrainingBytes, AreWhatARunMakes) {
  for (const char* text :
       {"default", "score_scale=folded", "weights=static", "weights=static;pad=32", "qkv_backward=merged",
        "silu_backward=kernel", "ffn=split", "ffn=cpu_gate", "attention_backward=fused", "wo=fused", "rope=cpu",
        "causal=tiles", "handover=copy", "handover=share", "attention_backward=fused;handover=copy"}) {
    const ane::Variant variant = ane::parse_variant(text);
    const ModelShape shape = small_shape(16, 3);
    const TrainState state = TrainState::of(small_model(shape));
    DeviceRun device(shape, "ieee", {}, variant);
    const std::int64_t surfaces = device.device->counters().surface_bytes;
    ane::Layer layer(device.programs, nullptr);
    layer.stage(state.weights.layers[0]);
    NamedTensors tensors = {{"x", Tensor({shape.dim, shape.seq})}, {"dy", Tensor({shape.dim, shape.seq})}};
    layer.forward(tensors);
    layer.backward(tensors);
    std::int64_t kept = 0;
    for (const auto& [name, tensor] : tensors)
      if (!state.weights.layers[0].contains(name.substr(1))) kept += static_cast<std::int64_t>(tensor.data.size());
    std::int64_t compiled = 0;
    for (const auto& [name, kernel] : device.programs.kernels())
      for (const ane::Slot& slot : kernel.layout.compiled())
        compiled += static_cast<std::int64_t>(ane::staged_bits(slot, state.weights.layers[0]).size() * 2);
    const std::int64_t head = shape.vocab * shape.seq + 4 * shape.dim * shape.seq;
    EXPECT_EQ(training_bytes(shape, variant),
              4 * (4 * floats_in(state.weights) + 3 * kept + head) + surfaces + 3 * compiled)
        << text;
  }
}

TEST(LayersThatFit, AreCountedDown) {
  const ModelShape shape = small_shape(16, 3);
  const auto bytes_of = [&](std::int64_t layers) {
    ModelShape part = shape;
    part.layers = layers;
    return static_cast<double>(training_bytes(part));
  };
  EXPECT_EQ(layers_that_fit(shape, {}, bytes_of(3)), 3);
  EXPECT_EQ(layers_that_fit(shape, {}, 10 * bytes_of(3)), 3);
  EXPECT_EQ(layers_that_fit(shape, {}, bytes_of(3) - 1), 2);
  EXPECT_EQ(layers_that_fit(shape, {}, bytes_of(1) - 1), 0);
}

}  // namespace
}  // namespace aneval::train
