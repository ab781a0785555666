// A layer as data: the list of steps a training loop makes for it, forward and backward, each a kernel or a CPU
// operation with its inputs and outputs by tensor name. One plan per variant; layer_runner.h runs it on any device.
//
// Tensor names are those of the mathematics (docs/layer.md): x xn q_rope k_rope v attn o x2 xm h1 h3 g y and their
// gradients; weights wq … rms_ffn; weight gradients dwq … drms_ffn.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ane/model_shape.h"
#include "ane/variant.h"

namespace aneval::ane {

enum class CpuOp {
  rmsnorm,           // x, w -> y
  rmsnorm_backward,  // x, w, dy -> dx; dw accumulated
  residual,          // x, f -> x + a·f
  add,               // x, f -> x + f
  residual_scale,    // x -> a·x
  silu_gate,         // h1, h3 -> g
  silu_backward,     // dg, h1, h3 -> dh1, dh3
  tile_kv,           // kv -> full
  reduce_kv,         // full -> kv
  rope,              // x -> x, rotated by its position
  rope_inverse,      // x -> x, rotated back
  unfold_scale,      // dq -> dq/sqrt(h): the gradient of the unscaled query, for dwq (folded score scale)
  weight_gradient,   // dout, act -> dw accumulated
};
inline constexpr std::size_t kCpuOps = 13;

/// Where a slot's numbers lie already: a block of the output surface of a kernel that ran before in the same pass.
struct SurfaceSource {
  std::string slot, kernel, block;

  bool operator==(const SurfaceSource&) const = default;
};

/// A kernel or a CPU operation. Kernel inputs are (slot, tensor), outputs (block, tensor); blocks nobody reads are left
/// out. CPU operands go by position.
struct PlanStep {
  std::string kernel;  // empty for a CPU operation
  CpuOp cpu = CpuOp::add;
  std::vector<std::pair<std::string, std::string>> inputs, outputs;
  /// Slots of `inputs` that are not written from fp32 tensors (Variant::handover): they are copied in fp16, or, when
  /// `input_surface_of` names a kernel, its output surface is this one's input and nothing is copied.
  std::vector<SurfaceSource> sources;
  std::string input_surface_of;
  /// Tensors of `outputs` that nothing but `sources` reads: nobody needs them in fp32.
  std::set<std::string, std::less<>> on_surface;

  /// Where the slot's numbers lie already; null when they are written.
  const SurfaceSource* source(std::string_view slot) const;
  bool is_kernel() const { return !kernel.empty(); }
  /// The kernel or the operation.
  std::string name() const;
};

struct LayerPlan {
  std::vector<PlanStep> forward, backward;

  /// Kernels in the order of first use; the compile count of a run is their number.
  std::vector<std::string> kernels() const;
  /// The step of a kernel of the plan.
  const PlanStep& step(std::string_view kernel) const;
};

/// The slots of a kernel that take a block of a kernel before it unchanged. `steps` is a pass, or both.
std::vector<SurfaceSource> surface_sources(const std::vector<PlanStep>& steps, std::string_view kernel);

/// The kernels of any variant's plan.
std::set<std::string, std::less<>> kernels_of_all_plans();

std::string_view cpu_op_name(CpuOp op);
/// The phase under which its time is counted: tile, reduce, rmsnorm, silu or weight_grad.
std::string_view cpu_op_phase(CpuOp op);

/// The seed's order of a step, cut into kernels and handed on as the variant says. Forward reads x and the weights and
/// makes y; backward also reads dy and makes dx and the nine weight gradients. Errors: choices that contradict each
/// other.
LayerPlan layer_plan(const Variant& variant);

/// Throws std::logic_error naming the first tensor that a step reads before it is made, that is made twice, or that is
/// made and never read and is no result.
void check_plan(const LayerPlan& plan);

}  // namespace aneval::ane
