#include "train/parameters.h"

#include <algorithm>

namespace aneval::train {
namespace {

template <class Named, class Set>
std::vector<Named> list(Set& parameters) {
  std::vector<Named> all;
  for (auto& [name, tensor] : parameters.globals) all.push_back({name, &tensor});
  for (std::size_t layer = 0; layer < parameters.layers.size(); ++layer)
    for (auto& [name, tensor] : parameters.layers[layer])
      all.push_back({"layers." + std::to_string(layer) + "." + name, &tensor});
  return all;
}

}  // namespace

std::vector<NamedTensor> tensors_of(Parameters& parameters) { return list<NamedTensor>(parameters); }
std::vector<NamedConstTensor> tensors_of(const Parameters& parameters) { return list<NamedConstTensor>(parameters); }

Parameters zeros_like(const Parameters& parameters) {
  Parameters zeros;
  for (const auto& [name, tensor] : parameters.globals) zeros.globals.emplace(name, Tensor(tensor.shape));
  for (const NamedTensors& layer : parameters.layers) {
    NamedTensors& added = zeros.layers.emplace_back();
    for (const auto& [name, tensor] : layer) added.emplace(name, Tensor(tensor.shape));
  }
  return zeros;
}

void fill_zeros(Parameters& parameters) {
  for (const NamedTensor& named : tensors_of(parameters)) std::ranges::fill(named.tensor->data, 0.0F);
}

}  // namespace aneval::train
