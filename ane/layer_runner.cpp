#include "ane/layer_runner.h"

#include "ane/staging.h"
#include "ane/weight_constants.h"
#include "common/error.h"
#include "common/stopwatch.h"

namespace aneval::ane {
namespace {

/// Tells the observer how long each phase of a step took.
class Lap {
 public:
  Lap(const PlanStep& step, const StepObserver& observer) : step_(step), observer_(observer) {}
  void done(std::string_view phase) {
    const std::int64_t ns = watch_.ns();
    if (observer_) observer_(step_, phase, ns);
    watch_.restart();  // what the observer does is nobody's time
  }
  void skip() { watch_.restart(); }

 private:
  const PlanStep& step_;
  const StepObserver& observer_;
  Stopwatch watch_;
};

bool holds_weights(const KernelRegistry& registry, const std::string& kernel, const KernelConfig& config) {
  return !registry.find(kernel).layout(config).compiled().empty();
}

}  // namespace

CompileCounts CompileCounts::of(const KernelRegistry& registry, const ModelShape& shape, const Variant& variant) {
  CompileCounts counts;
  for (const std::string& name : layer_plan(variant).kernels())
    ++(holds_weights(registry, name, {shape, variant}) ? counts.per_staged_layer : counts.shared);
  return counts;
}

LayerPrograms::LayerPrograms(Device& device, const KernelRegistry& registry, const ModelShape& shape,
                             const Variant& variant, const ProgramOptions& options)
    : device_(device),
      registry_(registry),
      options_(options),
      shape_(shape),
      variant_(variant),
      plan_(layer_plan(variant)) {
  for (const std::string& name : plan_.kernels()) {
    KernelConfig config{shape, variant};
    config.shapes_only = holds_weights(registry, name, config);
    CompiledKernel kernel = config.shapes_only ? prepare_kernel(registry.find(name), config, options)
                                               : compile_kernel(device, registry.find(name), config, options);
    outputs_[name] = device.create_surface(static_cast<std::size_t>(kernel.layout.output_bytes()));
    if (!kernel.has_weights()) shared_inputs_[name] = shared_input(name, kernel.layout);
    kernels_.emplace(name, std::move(kernel));
  }
}

std::shared_ptr<Surface> LayerPrograms::shared_input(const std::string& name, const PackedLayout& layout) const {
  const std::string& producer = plan_.step(name).input_surface_of;
  if (producer.empty()) return device_.create_surface(static_cast<std::size_t>(layout.input_bytes()));
  if (kernels_.at(producer).layout.output_bytes() != layout.input_bytes())
    throw std::logic_error("the output of " + producer + " is no input of " + name);
  return outputs_.at(producer);
}

CompiledKernel LayerPrograms::prepare(const std::string& name, const NamedTensors& weights,
                                      const NamedTensors* activations) const {
  KernelConfig config{shape_, variant_};
  config.weights = &weights;
  config.activations = activations;
  CompiledKernel kernel = prepare_kernel(registry_.find(name), config, options_);
  kernel.config.weights = nullptr;  // they need not outlive this
  kernel.config.activations = nullptr;
  kernel.program.exact_constants.clear();  // four times the weights' bytes, for whoever judges
  return kernel;
}

Layer::Layer(LayerPrograms& programs, ThreadPool* pool, CpuOps cpu_ops)
    : programs_(programs), pool_(pool), cpu_ops_(std::move(cpu_ops)) {
  Device& device = programs.device();
  for (const auto& [name, kernel] : programs.kernels_) {
    Bound bound;
    bound.input = kernel.has_weights() ? device.create_surface(static_cast<std::size_t>(kernel.layout.input_bytes()))
                                       : programs.shared_inputs_.at(name);
    if (kernel.executable)
      bound.request = device.make_request(kernel.executable, bound.input, programs.outputs_.at(name));
    bound_.emplace(name, std::move(bound));
  }
}

const CompiledKernel& Layer::kernel(std::string_view name) const {
  const Bound& bound = bound_.find(name)->second;
  return bound.own ? *bound.own : programs_.kernel(name);
}

void Layer::recompile(const std::string& name, Bound& bound, const NamedTensors& weights,
                      const NamedTensors* activations, const StageObserver& observer) {
  const auto lap = [&](std::string_view phase, Stopwatch& watch) {
    if (observer) observer(phase, watch.ns());
    watch.restart();
  };
  Stopwatch watch;
  Device& device = programs_.device();
  // The old program goes before the new one comes: a device need not hold both.
  bound.request.reset();
  bound.own.reset();
  CompiledKernel kernel = programs_.prepare(name, weights, activations);
  lap("restage", watch);
  kernel.executable = device.compile(kernel.source());
  lap("compile", watch);
  device.load(*kernel.executable);
  bound.request = device.make_request(kernel.executable, bound.input, programs_.outputs_.at(name));
  bound.own = std::move(kernel);
  lap("load", watch);
}

void Layer::stage(const NamedTensors& weights, const StageObserver& observer) {
  weights_ = nullptr;
  const Stopwatch watch;
  std::vector<StagingTarget> targets;
  for (const auto& [name, kernel] : programs_.kernels_)
    if (kernel.has_weights()) targets.push_back({&kernel.layout, bound_.at(name).input.get()});
  stage_weights(targets, weights, pool_, programs_.variant_.staging);
  if (observer && !targets.empty()) observer("restage", watch.ns());
  for (auto& [name, bound] : bound_) {
    const CompiledKernel& kernel = programs_.kernel(name);
    bound.to_calibrate = quantizes_activations(programs_.variant_, kernel.layout);
    if (bound.to_calibrate) {
      bound.request.reset();
      bound.own.reset();
    } else if (!kernel.layout.compiled().empty()) {
      recompile(name, bound, weights, nullptr, observer);
    }
  }
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
  if (bound.to_calibrate) calibrate(step, tensors, observer);
  Lap lap(step, observer);
  for (const auto& [slot, tensor] : step.inputs)
    if (step.source(slot) == nullptr) write_slot(kernel.layout, slot, operand(tensors, tensor).data, *bound.input);
  lap.done("write_acts");
  if (!step.sources.empty() && step.input_surface_of.empty()) {
    for (const SurfaceSource& source : step.sources)
      copy_block(programs_.kernel(source.kernel).layout, source.block, *programs_.outputs_.at(source.kernel),
                 kernel.layout, source.slot, *bound.input);
    lap.done("copy");
  }

  const half_t pattern = kPoison[generation_++ % 2];
  poison(*bound.request->output(), pattern);
  lap.skip();
  programs_.device().evaluate(*bound.request);
  lap.done("eval");
  check_no_poison(*bound.request, pattern);
  lap.skip();

  for (const auto& [block, tensor] : step.outputs) {
    if (reads_ == OutputReads::needed && step.on_surface.contains(tensor)) continue;
    const Block& b = kernel.layout.block(block);
    Tensor& out = tensors[tensor];
    if (out.shape != std::vector<std::int64_t>{b.channels.size(), b.width.size()})
      out = Tensor({b.channels.size(), b.width.size()});
    read_block(kernel.layout, block, *bound.request->output(), out.data);
  }
  lap.done("read");
}

void Layer::calibrate(const PlanStep& step, const NamedTensors& tensors, const StepObserver& observer) {
  NamedTensors activations;
  for (const auto& [slot, tensor] : step.inputs) activations[slot] = operand(tensors, tensor);
  Bound& bound = bound_.at(step.kernel);
  recompile(step.kernel, bound, *weights_, &activations, [&](std::string_view phase, std::int64_t ns) {
    if (observer) observer(step, phase, ns);
  });
  bound.to_calibrate = false;
}

void Layer::run_cpu(const PlanStep& step, NamedTensors& tensors) {
  CpuCall call{programs_.shape_, programs_.variant_.head_map, pool_, {}, {}};
  for (const auto& [slot, tensor] : step.inputs) call.in.push_back(&operand(tensors, tensor));
  for (const auto& [block, tensor] : step.outputs) call.out.push_back(&tensors[tensor]);
  cpu_ops_.run(step.cpu, call);
}

}  // namespace aneval::ane
