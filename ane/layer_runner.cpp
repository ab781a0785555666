#include "ane/layer_runner.h"

#include <chrono>
#include <cmath>

#include "ane/cpu_ops.h"
#include "ane/gqa.h"
#include "ane/staging.h"
#include "common/error.h"

namespace aneval::ane {
namespace {

/// Reads the clock only when somebody listens.
class Lap {
 public:
  Lap(const PlanStep& step, const StepObserver& observer) : step_(step), observer_(observer) {
    if (observer_) last_ = std::chrono::steady_clock::now();
  }
  void done(std::string_view phase) {
    if (!observer_) return;
    const auto now = std::chrono::steady_clock::now();
    observer_(step_, phase, std::chrono::duration_cast<std::chrono::nanoseconds>(now - last_).count());
    last_ = std::chrono::steady_clock::now();  // what the observer does is nobody's time
  }
  void skip() {
    if (observer_) last_ = std::chrono::steady_clock::now();
  }

 private:
  const PlanStep& step_;
  const StepObserver& observer_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace

LayerPrograms::LayerPrograms(Device& device, const KernelRegistry& registry, const ModelShape& shape,
                             const Variant& variant, const ProgramOptions& options)
    : device_(device), shape_(shape), variant_(variant), plan_(layer_plan(variant)) {
  for (const std::string& name : plan_.kernels()) {
    CompiledKernel kernel = compile_kernel(device, registry.find(name), {shape, variant}, options);
    outputs_[name] = device.create_surface(static_cast<std::size_t>(kernel.layout.output_bytes()));
    if (!kernel.has_weights())
      shared_inputs_[name] = device.create_surface(static_cast<std::size_t>(kernel.layout.input_bytes()));
    kernels_.emplace(name, std::move(kernel));
  }
}

Layer::Layer(LayerPrograms& programs, ThreadPool* pool) : programs_(programs), pool_(pool) {
  Device& device = programs.device();
  for (const auto& [name, kernel] : programs.kernels_) {
    Bound bound;
    bound.input = kernel.has_weights() ? device.create_surface(static_cast<std::size_t>(kernel.layout.input_bytes()))
                                       : programs.shared_inputs_.at(name);
    bound.request = device.make_request(kernel.executable, bound.input, programs.outputs_.at(name));
    bound_.emplace(name, std::move(bound));
  }
}

void Layer::stage(const NamedTensors& weights) {
  for (const auto& [name, kernel] : programs_.kernels_)
    if (kernel.has_weights()) stage_weights(kernel.layout, weights, *bound_.at(name).input, pool_);
  weights_ = &weights;
}

void Layer::forward(NamedTensors& tensors, const StepObserver& observer) {
  run(programs_.plan_.forward, tensors, observer);
}

void Layer::backward(NamedTensors& tensors, const StepObserver& observer) {
  run(programs_.plan_.backward, tensors, observer);
}

void Layer::run(const std::vector<PlanStep>& steps, NamedTensors& tensors, const StepObserver& observer) {
  if (weights_ == nullptr) throw std::logic_error("a layer runs before its weights are staged");
  for (const PlanStep& step : steps) {
    if (step.is_kernel()) {
      run_kernel(step, tensors, observer);
    } else {
      Lap lap(step, observer);
      run_cpu(step, tensors);
      lap.done(cpu_op_phase(step.cpu));
    }
  }
}

const Tensor& Layer::operand(const NamedTensors& tensors, const std::string& name) const {
  if (const auto found = tensors.find(name); found != tensors.end()) return found->second;
  if (const auto weight = weights_->find(name); weight != weights_->end()) return weight->second;
  throw input_error("tensor '" + name + "'", "is missing",
                    "a layer needs x forward, dy and the forward tensors backward");
}

void Layer::run_kernel(const PlanStep& step, NamedTensors& tensors, const StepObserver& observer) {
  const CompiledKernel& kernel = programs_.kernel(step.kernel);
  const Bound& bound = bound_.at(step.kernel);
  Lap lap(step, observer);
  for (const auto& [slot, tensor] : step.inputs)
    write_slot(kernel.layout, slot, operand(tensors, tensor).data, *bound.input);
  lap.done("write_acts");

  const half_t pattern = kPoison[generation_++ % 2];
  poison(*bound.request->output(), pattern);
  lap.skip();
  programs_.device().evaluate(*bound.request);
  lap.done("eval");
  check_no_poison(*bound.request, pattern);
  lap.skip();

  for (const auto& [block, tensor] : step.outputs) {
    const Block& b = kernel.layout.block(block);
    Tensor& out = tensors[tensor];
    if (out.shape != std::vector<std::int64_t>{b.channels.size(), b.width.size()})
      out = Tensor({b.channels.size(), b.width.size()});
    read_block(kernel.layout, block, *bound.request->output(), out.data);
  }
  lap.done("read");
}

void Layer::run_cpu(const PlanStep& step, NamedTensors& tensors) {
  const ModelShape& shape = programs_.shape_;
  const HeadMap map = programs_.variant_.head_map;
  const auto in = [&](std::size_t i) -> const Tensor& { return operand(tensors, step.inputs.at(i).second); };
  const auto out = [&](std::size_t i, std::vector<std::int64_t> dims) -> Tensor& {
    Tensor& tensor = tensors[step.outputs.at(i).second];
    if (tensor.shape != dims) tensor = Tensor(std::move(dims));
    return tensor;
  };
  const auto like_first = [&]() -> Tensor& { return out(0, in(0).shape); };
  switch (step.cpu) {
    case CpuOp::rmsnorm:
      return rmsnorm(in(0).data, in(1).data, in(0).rows(), in(0).cols(), shape.rms_eps, like_first().data);
    case CpuOp::rmsnorm_backward: {
      Tensor& dw = out(1, in(1).shape);
      return rmsnorm_backward(in(0).data, in(1).data, in(2).data, in(0).rows(), in(0).cols(), shape.rms_eps,
                              like_first().data, dw.data);
    }
    case CpuOp::residual:
      return add_scaled(in(0).data, in(1).data, static_cast<float>(shape.residual_scale), like_first().data);
    case CpuOp::add:
      return add_scaled(in(0).data, in(1).data, 1.0F, like_first().data);
    case CpuOp::residual_scale:
      return scale(in(0).data, static_cast<float>(shape.residual_scale), like_first().data);
    case CpuOp::silu_backward: {
      Tensor& dh3 = out(1, in(0).shape);
      return silu_backward(in(0).data, in(1).data, in(2).data, like_first().data, dh3.data);
    }
    case CpuOp::tile_kv:
      return tile_kv(shape, map, in(0).data, out(0, {shape.q_dim(), in(0).cols()}).data);
    case CpuOp::reduce_kv:
      return reduce_kv(shape, map, in(0).data, out(0, {shape.kv_dim(), in(0).cols()}).data);
    case CpuOp::rope_inverse: {
      Tensor& result = like_first();
      result.data = in(0).data;
      return rope_inverse(shape, result.data);
    }
    case CpuOp::unfold_scale:
      return scale(in(0).data, static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.head_dim))),
                   like_first().data);
    case CpuOp::weight_gradient:
      return accumulate_weight_gradient(in(0).data, in(1).data, in(0).rows(), in(1).rows(), in(0).cols(),
                                        out(0, {in(0).rows(), in(1).rows()}).data, pool_);
  }
}

}  // namespace aneval::ane
