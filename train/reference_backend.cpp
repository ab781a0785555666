// The layers by the fp32 reference, plain and with fp16 storage.
#include <fmt/format.h>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>

#include "common/random.h"
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
  ReferenceBackend(const ModelShape& shape, bool cyclic_heads, std::optional<std::uint64_t> dither_seed)
      : shape_(shape), dither_seed_(dither_seed), states_(static_cast<std::size_t>(shape.layers)) {
    options_.cyclic_heads = cyclic_heads;
  }

  void stage(const std::vector<NamedTensors>& layers, std::int64_t step) override {
    if (dither_seed_) random_.emplace(*dither_seed_, fmt::format("dither {}", step));
    for (std::size_t i = 0; i < states_.size(); ++i)
      for (const auto& [name, tensor] : layers[i]) {
        Matrix<float>& weight = states_[i].input[name];
        copy_to(tensor, weight);
        if (tensor.shape.size() > 1) dither(weight);  // the weights of rmsnorm never leave fp32
      }
  }

  const Tensor& forward(std::size_t layer, const Tensor& x, PhaseTimes& times) override {
    const PhaseScope scope(times, "forward", "layer_forward");
    State& state = states_[layer];
    copy_to(x, state.input["x"]);
    dither(state.input["x"]);
    reference::layer_forward(shape_, options_, state.input, state.tape);
    if (random_)
      for (auto& [name, tensor] : state.tape) dither(tensor);
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

  void dither(Matrix<float>& matrix) {
    if (!random_) return;
    // Two elements of every 64 random bits.
    for (Eigen::Index i = 0; i < matrix.size(); i += 2) {
      const std::uint64_t bits = random_->bits();
      matrix.data()[i] = dithered_half(matrix.data()[i], static_cast<std::uint32_t>(bits));
      if (i + 1 < matrix.size())
        matrix.data()[i + 1] = dithered_half(matrix.data()[i + 1], static_cast<std::uint32_t>(bits >> 32));
    }
  }

  ModelShape shape_;
  reference::Options options_;
  std::optional<std::uint64_t> dither_seed_;
  std::optional<Random> random_;  // of this step; none without dither
  std::vector<State> states_;
  Matrix<float> dy_;
  Matrices<float> made_;  // of one backward pass: all layers have the same shapes
  Tensor dx_;
};

}  // namespace

float dithered_half(float value, std::uint32_t random) {
  constexpr float kSmallestNormal = 0x1p-14F;
  if (!std::isfinite(value)) return value;
  if (std::abs(value) < kSmallestNormal) {
    // The spacing is 2^-24 here. The scaled value is below 2^10, so that 14 bits stay for the comparison with a
    // fraction of 24.
    const float scaled = std::abs(value) * 0x1p24F;
    const float below = std::floor(scaled);
    const float fraction = static_cast<float>(random & 0xFFFFFF) * 0x1p-24F;
    return std::copysign((fraction < scaled - below ? below + 1 : below) * 0x1p-24F, value);
  }
  // fp16 keeps ten of the 23 bits after the point: a random number below the spacing is added, what lies below it cut.
  const std::uint32_t bits = (std::bit_cast<std::uint32_t>(value) + (random & 0x1FFF)) & ~std::uint32_t{0x1FFF};
  const auto rounded = std::bit_cast<float>(bits);
  return std::abs(rounded) > 65504.0F ? std::copysign(std::numeric_limits<float>::infinity(), value) : rounded;
}

std::unique_ptr<LayerBackend> make_reference_backend(const ModelShape& shape, bool cyclic_heads) {
  return std::make_unique<ReferenceBackend>(shape, cyclic_heads, std::nullopt);
}

std::unique_ptr<LayerBackend> make_dithered_backend(const ModelShape& shape, std::uint64_t seed, bool cyclic_heads) {
  return std::make_unique<ReferenceBackend>(shape, cyclic_heads, seed);
}

}  // namespace aneval::train
