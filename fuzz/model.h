// What holds of every model that a target accepts, and the smallest shape for files that do not tell theirs.
#pragma once

#include "fuzz/support.h"
#include "reference/model.h"
#include "validate/weights/weights.h"

namespace aneval::fuzz {

inline ModelShape tiny_shape() {
  return {.name = "tiny",
          .dim = 4,
          .hidden = 6,
          .heads = 2,
          .kv_heads = 1,
          .head_dim = 2,
          .seq = 4,
          .layers = 1,
          .vocab = 8};
}

inline void check_model(const reference::Model& model) {
  check_shape(model.shape, "an accepted model");
  require(static_cast<std::int64_t>(model.layers.size()) == model.shape.layers, "a model has all its layers");
  for (const auto& layer : model.layers)
    for (const auto& [name, shape] : validate::layer_weight_shapes(model.shape)) {
      const Tensor& tensor = layer.at(name);
      require(tensor.shape == shape && static_cast<std::int64_t>(tensor.data.size()) == Tensor::element_count(shape),
              "a layer's weight has the shape of its model");
    }
}

}  // namespace aneval::fuzz
