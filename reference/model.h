// A whole model in fp32: embedding, layers, final rmsnorm, classifier, cross entropy, and the way back. It exists to
// give the kernels their real inputs: every layer's tensors, forward and backward, on real tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "common/tensor.h"
#include "reference/layer.h"

namespace aneval::reference {

struct Model {
  ModelShape shape;
  NamedTensors globals;               // embedding [V, D], rms_final [D], classifier [V, D] (absent when tied)
  std::vector<NamedTensors> layers;   // wq wk wv wo w1 w2 w3 rms_att rms_ffn
};

struct LayerTrace {
  Matrices<float> input;     // x and the weights
  Matrices<float> forward;   // what layer_forward returned
  Matrices<float> backward;  // what layer_backward returned
};

struct ModelTrace {
  double loss = 0;               // nats per predicted token, mean over the N-1 predictions
  std::int64_t predictions = 0;  // N-1
  std::vector<LayerTrace> layers;
};

/// Runs the model over the tokens (shape.seq becomes their number) and back from the mean cross entropy.
/// Errors: fewer than two tokens, a token outside the vocabulary, more tokens than shape.seq.
ModelTrace trace_model(const Model& model, const std::vector<std::int32_t>& tokens, const Options& options = {});

/// The loss alone.
double model_loss(const Model& model, const std::vector<std::int32_t>& tokens, const Options& options = {});

}  // namespace aneval::reference
