// The model around the layers. Weights are widened one layer at a time, so that the loss alone needs the memory of one.
#include "reference/model.h"

#include <cmath>

#include "common/error.h"
#include "reference/blocks.h"
#include "reference/convert.h"

namespace aneval::reference {

namespace {

using Tokens = std::vector<std::int32_t>;

void check_tokens(const Model& model, const Tokens& tokens) {
  const std::int64_t count = static_cast<std::int64_t>(tokens.size());
  if (count < 2)
    throw input_error("tokens", "there are " + std::to_string(count) + ", and the loss needs one to predict",
                      "give at least two");
  if (count > model.shape.seq)
    throw input_error("tokens",
                      "there are " + std::to_string(count) + ", the model takes " + std::to_string(model.shape.seq),
                      "shorten the text");
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0 || tokens[i] >= model.shape.vocab)
      throw input_error("token " + std::to_string(tokens[i]) + " at position " + std::to_string(i),
                        "the vocabulary has " + std::to_string(model.shape.vocab) + " entries",
                        "use the tokenizer that belongs to the model");
  if (static_cast<std::int64_t>(model.layers.size()) != model.shape.layers)
    throw input_error("model " + model.shape.name,
                      "it has the weights of " + std::to_string(model.layers.size()) + " of " +
                          std::to_string(model.shape.layers) + " layers",
                      "provide them all");
}

/// The part of the model after its last layer.
template <class T>
struct Head {
  const Matrix<T>& norm;        // rms_final
  const Matrix<T>& classifier;  // [V, D]
};

template <class T>
struct HeadResult {
  double loss = 0;
  Matrix<T> dx;  // [D, N], empty unless asked for
};

/// Loss of the predictions that the final activations x [D, N] make of tokens 2…N, and its gradient.
template <class T>
HeadResult<T> predict(const ModelShape& shape, const Head<T>& head, const Matrix<T>& x, const Tokens& tokens,
                      bool backward) {
  const Index predictions = x.cols() - 1;
  Matrix<T> xf;
  rmsnorm(x, head.norm, shape.rms_eps, xf);
  // One row of logits per position, so that a softmax runs over contiguous memory.
  Matrix<T> logits = xf.leftCols(predictions).transpose() * head.classifier.transpose();
  HeadResult<T> result;
  for (Index s = 0; s < predictions; ++s) {
    const Index target = tokens[static_cast<std::size_t>(s) + 1];
    auto row = logits.row(s).array();
    // Shifted by the maximum, in double: no overflow, and a loss near 0 keeps its digits.
    const Eigen::Array<double, 1, Eigen::Dynamic> shifted =
        row.template cast<double>() - static_cast<double>(row.maxCoeff());
    const Eigen::Array<double, 1, Eigen::Dynamic> exponentials = shifted.exp();
    const double sum = exponentials.sum();
    result.loss += (std::log(sum) - shifted(target)) / static_cast<double>(predictions);
    if (!backward) continue;
    row = (exponentials / (sum * static_cast<double>(predictions))).template cast<T>();
    row(target) -= T(1.0 / static_cast<double>(predictions));
  }
  if (!backward) return result;
  Matrix<T> dxf = Matrix<T>::Zero(x.rows(), x.cols());  // the last position predicts nothing
  dxf.leftCols(predictions).noalias() = head.classifier.transpose() * logits.transpose();
  Matrix<T> unused;  // the gradient of rms_final: no kernel makes it
  rmsnorm_backward(x, head.norm, dxf, shape.rms_eps, result.dx, unused);
  return result;
}

template <class T>
Matrix<T> embed(const Matrix<T>& embedding, const Tokens& tokens) {
  Matrix<T> x(embedding.cols(), static_cast<Index>(tokens.size()));
  for (std::size_t s = 0; s < tokens.size(); ++s) x.col(static_cast<Index>(s)) = embedding.row(tokens[s]).transpose();
  return x;
}

template <class T>
ModelTraceOf<T> run(const Model& model, const Tokens& tokens, const Options& options, bool backward) {
  check_tokens(model, tokens);
  ModelShape shape = model.shape;
  shape.seq = static_cast<std::int64_t>(tokens.size());
  const Matrices<T> globals = to_matrices<T>(model.globals);
  const std::string where = "model " + shape.name;
  const Matrix<T>& embedding = require(globals, "embedding", shape.vocab, shape.dim, where);
  const Head<T> head{
      require(globals, "rms_final", shape.dim, 1, where),
      globals.contains("classifier") ? require(globals, "classifier", shape.vocab, shape.dim, where) : embedding};

  ModelTraceOf<T> trace;
  trace.predictions = shape.seq - 1;
  Matrix<T> x = embed(embedding, tokens);
  for (const NamedTensors& weights : model.layers) {
    LayerTraceOf<T> layer;
    layer.input = to_matrices<T>(weights);
    layer.input["x"] = std::move(x);
    layer.forward = layer_forward(shape, options, layer.input);
    if (backward) {
      x = layer.forward.at("y");
      trace.layers.push_back(std::move(layer));
    } else {
      x = std::move(layer.forward.at("y"));
    }
  }
  const HeadResult<T> result = predict(shape, head, x, tokens, backward);
  trace.loss = result.loss;
  const Matrix<T>* dy = &result.dx;
  for (auto layer = trace.layers.rbegin(); layer != trace.layers.rend(); ++layer) {
    layer->input["dy"] = *dy;
    layer->backward = layer_backward(shape, options, layer->input, layer->forward, layer->input.at("dy"));
    dy = &layer->backward.at("dx");
  }
  return trace;
}

}  // namespace

template <class T>
ModelTraceOf<T> trace_model_in(const Model& model, const Tokens& tokens, const Options& options) {
  return run<T>(model, tokens, options, true);
}

template <class T>
double model_loss_in(const Model& model, const Tokens& tokens, const Options& options) {
  return run<T>(model, tokens, options, false).loss;
}

ModelTrace trace_model(const Model& model, const Tokens& tokens, const Options& options) {
  return trace_model_in<float>(model, tokens, options);
}

double model_loss(const Model& model, const Tokens& tokens, const Options& options) {
  return model_loss_in<float>(model, tokens, options);
}

template ModelTraceOf<float> trace_model_in(const Model&, const Tokens&, const Options&);
template ModelTraceOf<double> trace_model_in(const Model&, const Tokens&, const Options&);
template double model_loss_in<float>(const Model&, const Tokens&, const Options&);
template double model_loss_in<double>(const Model&, const Tokens&, const Options&);

}  // namespace aneval::reference
