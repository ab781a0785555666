// A whole model forward and back over one sequence: embedding, layers on a backend, final rmsnorm, classifier, loss.
#pragma once

#include <cstdint>
#include <span>

#include "train/head.h"
#include "train/layer_backend.h"

namespace aneval::train {

class ModelPass {
 public:
  /// Refers to the backend, which holds the shape's layers with staged weights.
  ModelPass(const ModelShape& shape, LayerBackend& backend, ThreadPool* pool)
      : shape_(shape), backend_(backend), head_(shape, pool) {}

  /// `sequence` has S + 1 tokens: S inputs, each of which predicts the next. Returns the mean loss of the S predictions
  /// in nats and adds gradient_scale · dloss/dweight to `gradients`, which are complete when this returns. `weights`
  /// are those that were staged.
  double run(const Parameters& weights, std::span<const std::int32_t> sequence, double gradient_scale,
             Parameters& gradients, PhaseTimes& times);

 private:
  ModelShape shape_;
  LayerBackend& backend_;
  Head head_;
  Tensor x_, dy_;
};

}  // namespace aneval::train
