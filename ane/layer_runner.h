// Runs a layer plan on a device. LayerPrograms holds what all layers share (programs, output surfaces, and the input
// surfaces of kernels without weights on them); a Layer holds its own weight surfaces and requests. With static weights
// the programs that hold them are the layer's own as well, and staging is what compiles them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ane/compiled_kernel.h"
#include "ane/cpu_steps.h"
#include "ane/layer_plan.h"
#include "ane/staging.h"
#include "common/tensor.h"
#include "common/thread_pool.h"

namespace aneval::ane {

/// Called after each phase of each step: write_acts, copy (where there is something to copy), eval, read for kernels;
/// the operation's own phase for the CPU; before them restage, compile and load where a kernel is calibrated.
using StepObserver = std::function<void(const PlanStep& step, std::string_view phase, std::int64_t nanoseconds)>;

/// Called after each phase of staging: restage for what writes or packs weights, compile, load.
using StageObserver = std::function<void(std::string_view phase, std::int64_t nanoseconds)>;

/// What a plan compiles: kernels that all layers share, once, and those that hold weights, for each layer whenever it
/// is staged (none with dynamic weights).
struct CompileCounts {
  std::int64_t shared = 0, per_staged_layer = 0;

  static CompileCounts of(const KernelRegistry& registry, const ModelShape& shape, const Variant& variant);
};

/// Which blocks become fp32 tensors: all of the plan, or those alone that are read as such (PlanStep::on_surface).
enum class OutputReads { all, needed };

class LayerPrograms {
 public:
  /// Compiles every kernel of the plan once, those with weights in them excepted. The device must outlive this.
  LayerPrograms(Device& device, const KernelRegistry& registry, const ModelShape& shape, const Variant& variant,
                const ProgramOptions& options = {});

  Device& device() const { return device_; }
  const ModelShape& shape() const { return shape_; }
  const Variant& variant() const { return variant_; }
  const LayerPlan& plan() const { return plan_; }
  /// A kernel that holds weights has no executable here, and a program without their numbers: see Layer::kernel().
  const CompiledKernel& kernel(std::string_view name) const { return kernels_.find(name)->second; }
  const std::map<std::string, CompiledKernel, std::less<>>& kernels() const { return kernels_; }

 private:
  friend class Layer;
  /// A kernel with these weights in it, not compiled yet; `activations` by slot, for a kernel that quantizes them.
  CompiledKernel prepare(const std::string& name, const NamedTensors& weights, const NamedTensors* activations) const;
  /// The input surface of a kernel without weights on it.
  std::shared_ptr<Surface> shared_input(const std::string& name, const PackedLayout& layout) const;

  Device& device_;
  KernelRegistry registry_;
  ProgramOptions options_;
  ModelShape shape_;
  Variant variant_;
  LayerPlan plan_;
  std::map<std::string, CompiledKernel, std::less<>> kernels_;
  std::map<std::string, std::shared_ptr<Surface>, std::less<>> outputs_, shared_inputs_;
};

class Layer {
 public:
  Layer(LayerPrograms& programs, ThreadPool* pool, CpuOps cpu_ops = CpuOps::builtin());

  /// Writes all weight slots; compiles and loads the kernels that hold weights, in place of those they had before.
  /// Keeps a pointer to the fp32 weights, which rmsnorm reads: they must outlive the layer. After an error nothing is
  /// staged. A kernel that quantizes activations (weights=w8a8) is compiled when it first meets some after staging,
  /// and calibrated on these: until it is staged again it has their scales.
  void stage(const NamedTensors& weights, const StageObserver& observer = {});
  /// Whoever judges tensors wants all of them; a training step needs fewer.
  void read_outputs(OutputReads reads) { reads_ = reads; }
  /// From tensors["x"]; adds every tensor that the plan's forward steps make, y among them.
  void forward(NamedTensors& tensors, const StepObserver& observer = {});
  /// From what forward left and tensors["dy"]; adds dx and accumulates the nine weight gradients (made as zeros when
  /// they are missing).
  void backward(NamedTensors& tensors, const StepObserver& observer = {});

  /// What a kernel of this layer runs on. The output surface, and the input surface of a kernel without weights, are
  /// shared: they hold this layer's values only until another layer runs the kernel.
  Request& request(std::string_view kernel) const { return *bound_.find(kernel)->second.request; }
  /// The kernel as this layer runs it, with its weights in the program if that is where they are.
  const CompiledKernel& kernel(std::string_view name) const;

 private:
  struct Bound {
    std::shared_ptr<Surface> input;
    std::shared_ptr<Request> request;
    std::optional<CompiledKernel> own;  // with this layer's weights in it
    bool to_calibrate = false;          // staged, and to be compiled with the activations that come first
  };

  void recompile(const std::string& name, Bound& bound, const NamedTensors& weights, const NamedTensors* activations,
                 const StageObserver& observer);
  /// Compiles a kernel that waits for its activations.
  void calibrate(const PlanStep& step, const NamedTensors& tensors, const StepObserver& observer);
  void run(const std::vector<PlanStep>& steps, NamedTensors& tensors, const StepObserver& observer);
  void run_kernel(const PlanStep& step, NamedTensors& tensors, const StepObserver& observer);
  void run_cpu(const PlanStep& step, NamedTensors& tensors);
  const Tensor& operand(const NamedTensors& tensors, const std::string& name) const;

  LayerPrograms& programs_;
  ThreadPool* pool_;
  CpuOps cpu_ops_;
  std::map<std::string, Bound, std::less<>> bound_;
  const NamedTensors* weights_ = nullptr;
  OutputReads reads_ = OutputReads::needed;
  std::int64_t generation_ = 0;
};

}  // namespace aneval::ane
