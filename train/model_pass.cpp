#include "train/model_pass.h"

#include <stdexcept>

namespace aneval::train {

double ModelPass::run(const Parameters& weights, std::span<const std::int32_t> sequence, double gradient_scale,
                      Parameters& gradients, PhaseTimes& times) {
  if (static_cast<std::int64_t>(sequence.size()) != shape_.seq + 1)
    throw std::logic_error("ModelPass: a sequence has one token more than the model's seq");
  const auto inputs = sequence.first(sequence.size() - 1), targets = sequence.last(sequence.size() - 1);
  {
    const PhaseScope scope(times, "forward", "classifier");
    embed(weights.globals.at("embedding"), inputs, x_);
  }
  const Tensor* x = &x_;
  for (std::size_t layer = 0; layer < weights.layers.size(); ++layer) x = &backend_.forward(layer, *x, times);
  const double loss = head_.run(weights, *x, targets, gradient_scale, dy_, gradients, times);
  const Tensor* dy = &dy_;
  for (std::size_t layer = weights.layers.size(); layer-- > 0;)
    dy = &backend_.backward(layer, *dy, gradients.layers[layer], times);
  {
    const PhaseScope scope(times, "backward", "classifier");
    embed_backward(*dy, inputs, gradients.globals.at("embedding"));
  }
  backend_.finish(times);
  return loss;
}

}  // namespace aneval::train
