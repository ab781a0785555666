// The two ends of a model, which stay on the CPU in fp32 whatever runs its layers: the embedding before the first, and
// after the last the final rmsnorm, the classifier and the cross entropy, with their gradients. Activations are
// [channels, S], row-major.
#pragma once

#include <cstdint>
#include <span>

#include "ane/model_shape.h"
#include "common/thread_pool.h"
#include "train/parameters.h"
#include "train/phase_times.h"

namespace aneval::train {

/// Column s of x [D, S] becomes the row tokens[s] of the embedding [V, D].
void embed(const Tensor& embedding, std::span<const std::int32_t> tokens, Tensor& x);
/// Row tokens[s] of dembedding [V, D] += column s of dx [D, S], in the order of s.
void embed_backward(const Tensor& dx, std::span<const std::int32_t> tokens, Tensor& dembedding);

/// From the last layer's y to the loss and back. Keeps its buffers from call to call. The bits do not depend on the
/// pool's threads.
class Head {
 public:
  explicit Head(const ModelShape& shape, ThreadPool* pool = nullptr) : shape_(shape), pool_(pool) {}

  /// Returns the mean over the S positions of −log softmax(logits)[targets[s]], in nats. Writes
  /// dy = gradient_scale · dloss/dy and adds gradient_scale · dloss/dweight to rms_final and to the classifier (the
  /// embedding when they are tied).
  double run(const Parameters& weights, const Tensor& y, std::span<const std::int32_t> targets, double gradient_scale,
             Tensor& dy, Parameters& gradients, PhaseTimes& times);

 private:
  double cross_entropy(std::span<const std::int32_t> targets, double gradient_scale);

  ModelShape shape_;
  ThreadPool* pool_;
  Tensor normed_, logits_, dnormed_;
};

}  // namespace aneval::train
