// The control: the layer's plan on the host, its kernels by their fp32 references, with everything that a device keeps
// in fp16, gradients excepted, rounded at random.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>

#include "ane/kernels/kernel.h"
#include "common/random.h"
#include "reference/convert.h"
#include "reference/kernels.h"
#include "train/layer_backend.h"

namespace aneval::train {
namespace {

using reference::Matrices;
using reference::Matrix;

/// Slots, blocks and tensors whose names begin so hold gradients.
bool is_gradient(std::string_view name) { return name.starts_with('d'); }

class DitheredBackend : public LayerBackend {
 public:
  DitheredBackend(const ModelShape& shape, std::uint64_t seed, bool cyclic_heads)
      : shape_(shape), seed_(seed), layers_(static_cast<std::size_t>(shape.layers)) {
    options_.cyclic_heads = cyclic_heads;
    variant_.head_map = cyclic_heads ? ane::HeadMap::cyclic : ane::HeadMap::grouped;
    plan_ = ane::layer_plan(variant_);
    const auto registry = ane::KernelRegistry::builtin();
    const auto table = reference::KernelTable::builtin();
    for (const std::string& name : plan_.kernels())
      kernels_.emplace(name, Kernel{registry.find(name).layout({shape, variant_}), table.find(name).in_float});
  }

  void stage(const std::vector<NamedTensors>& layers, std::int64_t step, PhaseTimes& times) override {
    const PhaseScope scope(times, "step", "restage");
    random_ = Random(seed_, fmt::format("dither {}", step));
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      layers_[i].weights = &layers[i];
      Matrices<float> rounded;
      for (const auto& [name, tensor] : layers[i])
        if (tensor.shape.size() > 1) dither(rounded[name] = reference::to_matrix<float>(tensor));
      for (const auto& [name, kernel] : kernels_)
        for (const ane::Slot& slot : kernel.layout.slots()) {
          if (slot.kind != ane::SlotKind::weight) continue;
          Matrix<float>& staged = layers_[i].slots[name][slot.name];
          if (slot.transposed)
            staged = rounded.at(slot.weight).transpose();
          else
            staged = rounded.at(slot.weight);
        }
    }
  }

  const Tensor& forward(std::size_t layer, const Tensor& x, PhaseTimes& times) override {
    const PhaseScope scope(times, "forward", "layer_forward");
    layers_[layer].tensors["x"] = x;
    run(plan_.forward, layers_[layer]);
    return layers_[layer].tensors.at("y");
  }

  const Tensor& backward(std::size_t layer, const Tensor& dy, NamedTensors& gradients, PhaseTimes& times) override {
    const PhaseScope scope(times, "backward", "layer_backward");
    NamedTensors& tensors = layers_[layer].tensors;
    tensors["dy"] = dy;
    for (auto& [name, gradient] : gradients) tensors["d" + name] = std::move(gradient);
    run(plan_.backward, layers_[layer]);
    for (auto& [name, gradient] : gradients) gradient = std::move(tensors.at("d" + name));
    return tensors.at("dx");
  }

  void finish(PhaseTimes&) override {}

  double largest_activation() const override {
    double largest = 0;
    for (const LayerState& layer : layers_)
      for (const ane::PlanStep& step : plan_.forward)
        for (const auto& [block, tensor] : step.outputs)
          largest = std::max(largest, largest_magnitude(layer.tensors.at(tensor)));
    return largest;
  }

 private:
  struct Kernel {
    ane::PackedLayout layout;
    reference::KernelFunction<float> function;
  };
  struct LayerState {
    const NamedTensors* weights = nullptr;
    std::map<std::string, Matrices<float>, std::less<>> slots;  // of every kernel, weights staged
    NamedTensors tensors;
  };

  void run(const std::vector<ane::PlanStep>& steps, LayerState& layer) {
    for (const ane::PlanStep& step : steps) {
      if (step.is_kernel())
        run_kernel(step, layer);
      else
        run_cpu(step, layer);
    }
  }

  void run_kernel(const ane::PlanStep& step, LayerState& layer) {
    Matrices<float>& slots = layer.slots[step.kernel];
    for (const auto& [slot, tensor] : step.inputs) {
      slots[slot] = reference::to_matrix<float>(layer.tensors.at(tensor));
      if (!is_gradient(slot)) dither(slots[slot]);
    }
    Matrices<float> blocks = kernels_.at(step.kernel).function(shape_, options_, slots);
    for (const auto& [block, tensor] : step.outputs) {
      if (!is_gradient(block)) dither(blocks.at(block));
      layer.tensors[tensor] = reference::to_tensor(blocks.at(block));
    }
  }

  void run_cpu(const ane::PlanStep& step, LayerState& layer) {
    ane::CpuCall call{shape_, variant_.head_map, nullptr, {}, {}};
    for (const auto& [slot, tensor] : step.inputs) {
      const auto found = layer.tensors.find(tensor);
      call.in.push_back(found != layer.tensors.end() ? &found->second : &layer.weights->at(tensor));
    }
    for (const auto& [block, tensor] : step.outputs) call.out.push_back(&layer.tensors[tensor]);
    cpu_ops_.run(step.cpu, call);
  }

  void dither(Matrix<float>& matrix) {
    // Two elements of every 64 random bits.
    for (Eigen::Index i = 0; i < matrix.size(); i += 2) {
      const std::uint64_t bits = random_.bits();
      matrix.data()[i] = dithered_half(matrix.data()[i], static_cast<std::uint32_t>(bits));
      if (i + 1 < matrix.size())
        matrix.data()[i + 1] = dithered_half(matrix.data()[i + 1], static_cast<std::uint32_t>(bits >> 32));
    }
  }

  ModelShape shape_;
  std::uint64_t seed_;
  reference::Options options_;
  ane::Variant variant_;
  ane::LayerPlan plan_;
  ane::CpuOps cpu_ops_ = ane::CpuOps::builtin();
  std::map<std::string, Kernel, std::less<>> kernels_;
  Random random_{0};  // of this step
  std::vector<LayerState> layers_;
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

std::unique_ptr<LayerBackend> make_dithered_backend(const ModelShape& shape, std::uint64_t seed, bool cyclic_heads) {
  return std::make_unique<DitheredBackend>(shape, seed, cyclic_heads);
}

}  // namespace aneval::train
