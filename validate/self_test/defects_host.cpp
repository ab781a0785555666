#include "validate/self_test/defects_host.h"

#include <algorithm>
#include <cmath>

#include "ane/cpu_ops.h"
#include "ane/gqa.h"

namespace aneval::validate {
namespace {

using ane::CpuCall;
using ane::CpuOp;

void run_healthy(CpuOp op, const CpuCall& call) {
  static const ane::CpuOps builtin = ane::CpuOps::builtin();
  builtin.run(op, call);
}

/// The seed project's: dx = w·r·(dy − x·r²/D·Σ(dy∘x)), w outside the bracket, right only while w = 1.
void misplaced_weight(const CpuCall& call) {
  const Tensor &x = *call.in.at(0), &w = *call.in.at(1), &dy = *call.in.at(2);
  const auto dx = call.output(0, x.shape), dw = call.output(1, w.shape);
  const std::vector<float> ones(w.data.size(), 1.0F);
  ane::rmsnorm_backward(x.data, ones, dy.data, x.rows(), x.cols(), call.shape.rms_eps, dx, dw);
  for (std::int64_t d = 0; d < x.rows(); ++d)
    for (std::int64_t s = 0; s < x.cols(); ++s)
      dx[static_cast<std::size_t>(d * x.cols() + s)] *= w.data[static_cast<std::size_t>(d)];
}

/// dh1 = dg∘h3∘σ: the derivative of SiLU without its term x·σ'.
void silu_without_slope(const CpuCall& call) {
  run_healthy(CpuOp::silu_backward, call);
  const Tensor &dg = *call.in.at(0), &h1 = *call.in.at(1), &h3 = *call.in.at(2);
  const auto dh1 = call.output(0, dg.shape);
  for (std::size_t i = 0; i < dh1.size(); ++i) dh1[i] = dg.data[i] * h3.data[i] / (1 + std::exp(-h1.data[i]));
}

/// The sum over the query heads of a group forgets the last of them.
void reduce_without_last_head(const CpuCall& call) {
  const Tensor& full = *call.in.at(0);
  const auto kv = call.output(0, {call.shape.kv_dim(), full.cols()});
  Floats fewer = full.data;
  const std::int64_t head = call.shape.head_dim * full.cols();
  std::fill(fewer.end() - head, fewer.end(), 0.0F);
  ane::reduce_kv(call.shape, call.head_map, fewer, kv);
}

void residual_unscaled(const CpuCall& call) {
  ane::add_scaled(call.in.at(0)->data, call.in.at(1)->data, 1.0F, call.output(0, call.in.at(0)->shape));
}

void gradient_unscaled(const CpuCall& call) {
  ane::scale(call.in.at(0)->data, 1.0F, call.output(0, call.in.at(0)->shape));
}

/// With the second lane of every pair negated before and after, the backward rotation turns forward.
void rotated_forward(const CpuCall& call) {
  const Tensor& given = *call.in.at(0);
  const auto x = call.output(0, given.shape);
  std::copy(given.data.begin(), given.data.end(), x.begin());
  const std::int64_t h = call.shape.head_dim;
  const auto mirror = [&] {
    for (std::int64_t row = 0; row < given.rows(); ++row) {
      const std::int64_t lane = row % h;
      const bool second = call.shape.rope_pairing == RopePairing::half ? lane >= h / 2 : lane % 2 == 1;
      if (!second) continue;
      for (std::int64_t s = 0; s < given.cols(); ++s) x[static_cast<std::size_t>(row * given.cols() + s)] *= -1;
    }
  };
  mirror();
  ane::rope_inverse(call.shape, x);
  mirror();
}

/// Keys and values go to query heads in turn, as the seed project's forward program does.
void tiled_cyclic(const CpuCall& call) {
  const Tensor& kv = *call.in.at(0);
  ane::tile_kv(call.shape, ane::HeadMap::cyclic, kv.data, call.output(0, {call.shape.q_dim(), kv.cols()}));
}

/// The sum over tokens ends one early.
void weight_gradient_without_last_token(const CpuCall& call) {
  Tensor dout = *call.in.at(0);
  for (std::int64_t row = 0; row < dout.rows(); ++row)
    dout.data[static_cast<std::size_t>((row + 1) * dout.cols() - 1)] = 0;
  CpuCall shorter = call;
  shorter.in.at(0) = &dout;
  run_healthy(CpuOp::weight_gradient, shorter);
}

/// eps is added to the root instead of under it.
void rmsnorm_eps_outside(const CpuCall& call) {
  const Tensor &x = *call.in.at(0), &w = *call.in.at(1);
  const auto y = call.output(0, x.shape);
  for (std::int64_t s = 0; s < x.cols(); ++s) {
    double squares = 0;
    for (std::int64_t d = 0; d < x.rows(); ++d) {
      const double value = static_cast<double>(x.data[static_cast<std::size_t>(d * x.cols() + s)]);
      squares += value * value;
    }
    const double r = 1 / (std::sqrt(squares / static_cast<double>(x.rows())) + call.shape.rms_eps);
    for (std::int64_t d = 0; d < x.rows(); ++d) {
      const auto i = static_cast<std::size_t>(d * x.cols() + s);
      y[i] = static_cast<float>(static_cast<double>(x.data[i]) *
                                static_cast<double>(w.data[static_cast<std::size_t>(d)]) * r);
    }
  }
}

}  // namespace

const std::vector<HostDefect>& host_defects() {
  static const std::vector<HostDefect> defects = {
      {"rmsnorm_weight_misplaced", "rmsnorm's backward multiplies the whole bracket by w", CpuOp::rmsnorm_backward,
       misplaced_weight},
      {"rmsnorm_eps_outside", "rmsnorm adds eps to the root instead of under it", CpuOp::rmsnorm, rmsnorm_eps_outside},
      {"silu_without_slope", "SiLU's derivative lacks the term x·σ'", CpuOp::silu_backward, silu_without_slope},
      {"reduce_without_last_head", "dK and dV lack the last query head", CpuOp::reduce_kv, reduce_without_last_head},
      {"tiled_cyclic", "keys and values are tiled to query head j mod G", CpuOp::tile_kv, tiled_cyclic},
      {"residual_unscaled", "the residual of attention is added with scale 1", CpuOp::residual, residual_unscaled},
      {"gradient_unscaled", "gradients enter the blocks without the residual scale", CpuOp::residual_scale,
       gradient_unscaled},
      {"rotated_forward", "gradients of queries and keys are rotated on instead of back", CpuOp::rope_inverse,
       rotated_forward},
      {"weight_gradient_short", "weight gradients leave out the last token", CpuOp::weight_gradient,
       weight_gradient_without_last_token},
  };
  return defects;
}

}  // namespace aneval::validate
