// What the tests of kernels share: configurations, small weights and activations, and what is counted in programs.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "ane/kernels/kernel.h"

namespace aneval::ane {

inline ModelShape preset(const std::string& name) { return load_model_shape(name); }

inline KernelConfig config_of(const KernelSpec& spec, const ModelShape& shape, const Variant& variant = {},
                              const NamedTensors* weights = nullptr) {
  KernelConfig config{shape, variant};
  config.weights = weights;
  if (spec.name == "dynMatmul") config.ic = shape.dim, config.oc = shape.hidden;
  return config;
}

inline std::vector<Variant> single_variants() {
  std::vector<Variant> variants = {{}};
  for (const VariantChoice& choice : variant_choices()) {
    for (std::size_t value = 1; value < choice.values.size(); ++value) {
      Variant variant;
      choice.set(variant, value);
      variants.push_back(variant);
    }
  }
  return variants;
}

inline ModelShape small_shape(RopePairing pairing) {
  ModelShape shape;
  shape.name = "small";
  shape.dim = 64, shape.hidden = 172, shape.heads = 8, shape.kv_heads = 4, shape.head_dim = 8;
  shape.seq = 40, shape.layers = 2, shape.vocab = 64, shape.rope_pairing = pairing;
  return shape;
}

/// What the kernel is staged from: numbers that fp16 cannot hold, all different.
inline NamedTensors some_weights(const KernelSpec& spec, const ModelShape& shape) {
  NamedTensors weights;
  const PackedLayout layout = spec.layout(config_of(spec, shape));
  for (const Slot& slot : layout.slots()) {
    if (slot.kind != SlotKind::weight) continue;
    Tensor& tensor = weights[slot.weight] = slot.transposed ? Tensor({slot.width.size(), slot.channels.size()})
                                                            : Tensor({slot.channels.size(), slot.width.size()});
    for (std::size_t i = 0; i < tensor.data.size(); ++i) tensor.data[i] = 1.0F / static_cast<float>(i + 3);
  }
  return weights;
}

/// What a program that quantizes activations is calibrated on.
inline NamedTensors some_activations(const PackedLayout& layout) {
  NamedTensors activations;
  for (const Slot& slot : layout.slots())
    if (slot.kind == SlotKind::activation) {
      Tensor& tensor = activations[slot.name] = Tensor({slot.channels.size(), slot.width.size()});
      std::fill(tensor.data.begin(), tensor.data.end(), 0.75F);
    }
  return activations;
}

/// How often a program has an operation.
inline std::int64_t count(const mil::Function& function, std::string_view op) {
  return std::ranges::count(function.operations, op, &mil::Operation::op);
}

}  // namespace aneval::ane
