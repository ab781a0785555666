// The layers by the fp32 reference.
#include <limits>

#include "reference/convert.h"
#include "reference/layer.h"
#include "train/layer_backend.h"

namespace aneval::train {
namespace {

using reference::Matrices;
using reference::Matrix;

void copy_to(const Tensor& tensor, Matrix<float>& matrix) {
  matrix.resize(tensor.rows(), tensor.cols());
  std::copy(tensor.data.begin(), tensor.data.end(), matrix.data());
}

void copy_to(const Matrix<float>& matrix, Tensor& tensor) {
  if (tensor.shape != std::vector<std::int64_t>{matrix.rows(), matrix.cols()})
    tensor = Tensor({matrix.rows(), matrix.cols()});
  std::copy_n(matrix.data(), matrix.size(), tensor.data.begin());
}

class ReferenceBackend : public LayerBackend {
 public:
  ReferenceBackend(const ModelShape& shape, bool cyclic_heads)
      : shape_(shape), states_(static_cast<std::size_t>(shape.layers)) {
    options_.cyclic_heads = cyclic_heads;
  }

  void stage(const std::vector<NamedTensors>& layers, std::int64_t, PhaseTimes& times) override {
    const PhaseScope scope(times, "step", "restage");
    for (std::size_t i = 0; i < states_.size(); ++i)
      for (const auto& [name, tensor] : layers[i]) copy_to(tensor, states_[i].input[name]);
  }

  const Tensor& forward(std::size_t layer, const Tensor& x, PhaseTimes& times) override {
    const PhaseScope scope(times, "forward", "layer_forward");
    State& state = states_[layer];
    copy_to(x, state.input["x"]);
    reference::layer_forward(shape_, options_, state.input, state.tape);
    copy_to(state.tape.at("y"), state.y);
    return state.y;
  }

  const Tensor& backward(std::size_t layer, const Tensor& dy, NamedTensors& gradients, PhaseTimes& times) override {
    const PhaseScope scope(times, "backward", "layer_backward");
    State& state = states_[layer];
    copy_to(dy, dy_);
    reference::layer_backward(shape_, options_, state.input, state.tape, dy_, made_);
    for (auto& [name, gradient] : gradients) {
      const Matrix<float>& added = made_.at("d" + name);
      for (std::size_t i = 0; i < gradient.data.size(); ++i) gradient.data[i] += added.data()[i];
    }
    copy_to(made_.at("dx"), dx_);
    return dx_;
  }

  void finish(PhaseTimes&) override {}

  double largest_activation() const override {
    double largest = 0;
    for (const State& state : states_)
      for (const auto& [name, tensor] : state.tape) {
        if (!tensor.allFinite()) return std::numeric_limits<double>::infinity();
        largest = std::max(largest, static_cast<double>(tensor.cwiseAbs().maxCoeff()));
      }
    return largest;
  }

 private:
  struct State {
    Matrices<float> input, tape;
    Tensor y;
  };

  ModelShape shape_;
  reference::Options options_;
  std::vector<State> states_;
  Matrix<float> dy_;
  Matrices<float> made_;  // of one backward pass: all layers have the same shapes
  Tensor dx_;
};

}  // namespace

std::unique_ptr<LayerBackend> make_reference_backend(const ModelShape& shape, bool cyclic_heads) {
  return std::make_unique<ReferenceBackend>(shape, cyclic_heads);
}

}  // namespace aneval::train
