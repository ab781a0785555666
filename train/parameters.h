// The tensors of a model as one set: its weights, and whatever has their names and shapes: gradients, moments.
#pragma once

#include <string>
#include <vector>

#include "common/tensor.h"

namespace aneval::train {

struct Parameters {
  NamedTensors globals;              // embedding [V, D], rms_final [D], classifier [V, D] (absent when tied)
  std::vector<NamedTensors> layers;  // wq wk wv wo w1 w2 w3 rms_att rms_ffn

  bool tied() const { return !globals.contains("classifier"); }
  bool operator==(const Parameters&) const = default;
};

/// A tensor of the set and its name in files: `embedding`, `layers.3.wq`.
struct NamedTensor {
  std::string name;
  Tensor* tensor;
};
struct NamedConstTensor {
  std::string name;
  const Tensor* tensor;
};

/// Globals first, then layer by layer; in each the names in order. Two sets of the same model have the same list.
std::vector<NamedTensor> tensors_of(Parameters& parameters);
std::vector<NamedConstTensor> tensors_of(const Parameters& parameters);

/// The same names and shapes, filled with +0.
Parameters zeros_like(const Parameters& parameters);
void fill_zeros(Parameters& parameters);

}  // namespace aneval::train
