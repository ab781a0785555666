#include "ane/cpu_steps.h"

#include <algorithm>
#include <cmath>

#include "ane/cpu_ops.h"
#include "ane/gqa.h"

namespace aneval::ane {
namespace {

void run_rmsnorm(const CpuCall& call) {
  const Tensor &x = *call.in.at(0), &w = *call.in.at(1);
  rmsnorm(x.data, w.data, x.rows(), x.cols(), call.shape.rms_eps, call.output(0, x.shape));
}

void run_rmsnorm_backward(const CpuCall& call) {
  const Tensor &x = *call.in.at(0), &w = *call.in.at(1), &dy = *call.in.at(2);
  const auto dx = call.output(0, x.shape), dw = call.output(1, w.shape);
  rmsnorm_backward(x.data, w.data, dy.data, x.rows(), x.cols(), call.shape.rms_eps, dx, dw);
}

void run_residual(const CpuCall& call) {
  add_scaled(call.in.at(0)->data, call.in.at(1)->data, static_cast<float>(call.shape.residual_scale),
             call.output(0, call.in.at(0)->shape));
}

void run_add(const CpuCall& call) {
  add_scaled(call.in.at(0)->data, call.in.at(1)->data, 1.0F, call.output(0, call.in.at(0)->shape));
}

void run_residual_scale(const CpuCall& call) {
  scale(call.in.at(0)->data, static_cast<float>(call.shape.residual_scale), call.output(0, call.in.at(0)->shape));
}

void run_silu_gate(const CpuCall& call) {
  const Tensor& h1 = *call.in.at(0);
  silu_gate(h1.data, call.in.at(1)->data, call.output(0, h1.shape), call.pool);
}

void run_silu_backward(const CpuCall& call) {
  const Tensor& dg = *call.in.at(0);
  silu_backward(dg.data, call.in.at(1)->data, call.in.at(2)->data, call.output(0, dg.shape), call.output(1, dg.shape),
                call.pool);
}

void run_tile_kv(const CpuCall& call) {
  const Tensor& kv = *call.in.at(0);
  tile_kv(call.shape, call.head_map, kv.data, call.output(0, {call.shape.q_dim(), kv.cols()}));
}

void run_reduce_kv(const CpuCall& call) {
  const Tensor& full = *call.in.at(0);
  reduce_kv(call.shape, call.head_map, full.data, call.output(0, {call.shape.kv_dim(), full.cols()}));
}

void run_rope(const CpuCall& call) {
  const Tensor& x = *call.in.at(0);
  const auto result = call.output(0, x.shape);
  std::copy(x.data.begin(), x.data.end(), result.begin());
  rope(call.shape, result);
}

void run_rope_inverse(const CpuCall& call) {
  const Tensor& x = *call.in.at(0);
  const auto result = call.output(0, x.shape);
  std::copy(x.data.begin(), x.data.end(), result.begin());
  rope_inverse(call.shape, result);
}

void run_unfold_scale(const CpuCall& call) {
  const double root = std::sqrt(static_cast<double>(call.shape.head_dim));
  scale(call.in.at(0)->data, static_cast<float>(1.0 / root), call.output(0, call.in.at(0)->shape));
}

void run_weight_gradient(const CpuCall& call) {
  const Tensor &dout = *call.in.at(0), &act = *call.in.at(1);
  accumulate_weight_gradient(dout.data, act.data, dout.rows(), act.rows(), dout.cols(),
                             call.output(0, {dout.rows(), act.rows()}), call.pool);
}

}  // namespace

std::span<float> CpuCall::output(std::size_t i, const std::vector<std::int64_t>& dims) const {
  Tensor& tensor = *out.at(i);
  if (tensor.shape != dims) tensor = Tensor(dims);
  return tensor.data;
}

CpuOps CpuOps::builtin() {
  CpuOps ops;
  ops.replace(CpuOp::rmsnorm, run_rmsnorm);
  ops.replace(CpuOp::rmsnorm_backward, run_rmsnorm_backward);
  ops.replace(CpuOp::residual, run_residual);
  ops.replace(CpuOp::add, run_add);
  ops.replace(CpuOp::residual_scale, run_residual_scale);
  ops.replace(CpuOp::silu_gate, run_silu_gate);
  ops.replace(CpuOp::silu_backward, run_silu_backward);
  ops.replace(CpuOp::tile_kv, run_tile_kv);
  ops.replace(CpuOp::reduce_kv, run_reduce_kv);
  ops.replace(CpuOp::rope, run_rope);
  ops.replace(CpuOp::rope_inverse, run_rope_inverse);
  ops.replace(CpuOp::unfold_scale, run_unfold_scale);
  ops.replace(CpuOp::weight_gradient, run_weight_gradient);
  return ops;
}

}  // namespace aneval::ane
