// A whole model: embedding, layers, final rmsnorm, classifier, cross entropy, and the way back. It exists to give the
// kernels their real inputs: every layer's tensors, forward and backward, on real tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "common/tensor.h"
#include "reference/layer.h"

namespace aneval::reference {

struct Model {
  ModelShape shape;
  NamedTensors globals;              // embedding [V, D], rms_final [D], classifier [V, D] (absent when tied)
  std::vector<NamedTensors> layers;  // wq wk wv wo w1 w2 w3 rms_att rms_ffn
};

template <class T>
struct LayerTraceOf {
  Matrices<T> input;     // x, dy and the weights
  Matrices<T> forward;   // what layer_forward returned
  Matrices<T> backward;  // what layer_backward returned
};

template <class T>
struct ModelTraceOf {
  double loss = 0;               // nats per predicted token, mean over the N-1 predictions
  std::int64_t predictions = 0;  // N-1
  std::vector<LayerTraceOf<T>> layers;
};

using LayerTrace = LayerTraceOf<float>;
using ModelTrace = ModelTraceOf<float>;

/// Runs the model over the tokens (shape.seq becomes their number) and back from the mean cross entropy, without a loss
/// scale. The folded_scale option changes nothing here.
/// Errors: fewer than two tokens, a token outside the vocabulary, more tokens than shape.seq, a weight that is missing
/// or of the wrong shape.
ModelTrace trace_model(const Model& model, const std::vector<std::int32_t>& tokens, const Options& options = {});

/// The loss alone.
double model_loss(const Model& model, const std::vector<std::int32_t>& tokens, const Options& options = {});

/// The same in another scalar: double certifies float.
template <class T>
ModelTraceOf<T> trace_model_in(const Model& model, const std::vector<std::int32_t>& tokens, const Options& options);
template <class T>
double model_loss_in(const Model& model, const std::vector<std::int32_t>& tokens, const Options& options);

extern template ModelTraceOf<float> trace_model_in(const Model&, const std::vector<std::int32_t>&, const Options&);
extern template ModelTraceOf<double> trace_model_in(const Model&, const std::vector<std::int32_t>&, const Options&);
extern template double model_loss_in<float>(const Model&, const std::vector<std::int32_t>&, const Options&);
extern template double model_loss_in<double>(const Model&, const std::vector<std::int32_t>&, const Options&);

}  // namespace aneval::reference
