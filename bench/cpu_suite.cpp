// The CPU's share of a layer: every operation between kernels, at the sizes of the layer.
#include <cmath>
#include <functional>

#include "ane/cpu_ops.h"
#include "ane/gqa.h"
#include "bench/suites.h"
#include "common/random.h"

namespace aneval::bench {
namespace {

std::vector<float> values(std::int64_t n, std::string_view name) {
  std::vector<float> v(static_cast<std::size_t>(n));
  Random(1, name).fill_normal(v, 1.0);
  return v;
}

/// Buffers of an operation and what it does with them.
struct Operation {
  ane::CpuOp op;
  std::vector<std::int64_t> inputs, outputs;  // elements
  std::function<void(const std::vector<std::vector<float>>& in, std::vector<std::vector<float>>& out)> run;
  double flops = 0;
};

std::vector<Operation> operations(const ModelShape& s, ane::HeadMap map, ThreadPool* pool) {
  const std::int64_t x = s.dim * s.seq, f = s.hidden * s.seq, q = s.q_dim() * s.seq, kv = s.kv_dim() * s.seq;
  const auto scale = static_cast<float>(s.residual_scale);
  return {
      {ane::CpuOp::rmsnorm,
       {x, s.dim},
       {x},
       [s](const auto& in, auto& out) { ane::rmsnorm(in[0], in[1], s.dim, s.seq, s.rms_eps, out[0]); }},
      {ane::CpuOp::rmsnorm_backward,
       {x, s.dim, x},
       {x, s.dim},
       [s](const auto& in, auto& out) {
         ane::rmsnorm_backward(in[0], in[1], in[2], s.dim, s.seq, s.rms_eps, out[0], out[1]);
       }},
      {ane::CpuOp::residual,
       {x, x},
       {x},
       [scale](const auto& in, auto& out) { ane::add_scaled(in[0], in[1], scale, out[0]); }},
      {ane::CpuOp::silu_gate,
       {f, f},
       {f},
       [pool](const auto& in, auto& out) { ane::silu_gate(in[0], in[1], out[0], pool); }},
      {ane::CpuOp::silu_backward,
       {f, f, f},
       {f, f},
       [pool](const auto& in, auto& out) { ane::silu_backward(in[0], in[1], in[2], out[0], out[1], pool); }},
      {ane::CpuOp::tile_kv, {kv}, {q}, [s, map](const auto& in, auto& out) { ane::tile_kv(s, map, in[0], out[0]); }},
      {ane::CpuOp::reduce_kv,
       {q},
       {kv},
       [s, map](const auto& in, auto& out) { ane::reduce_kv(s, map, in[0], out[0]); }},
      // In place; a rotation keeps lengths, so that the values never grow.
      {ane::CpuOp::rope, {}, {q}, [s](const auto&, auto& out) { ane::rope(s, out[0]); }},
      {ane::CpuOp::rope_inverse, {}, {q}, [s](const auto&, auto& out) { ane::rope_inverse(s, out[0]); }},
      {ane::CpuOp::weight_gradient,
       {f, x},
       {s.hidden * s.dim},
       [s, pool](const auto& in, auto& out) {
         ane::accumulate_weight_gradient(in[0], in[1], s.hidden, s.dim, s.seq, out[0], pool);
       },
       2.0 * static_cast<double>(s.hidden) * static_cast<double>(s.dim) * static_cast<double>(s.seq)},
  };
}

Subject cpu_subject(const Operation& operation) {
  auto in = std::make_shared<std::vector<std::vector<float>>>();
  auto out = std::make_shared<std::vector<std::vector<float>>>();
  double bytes = 0;
  for (const std::int64_t n : operation.inputs) {
    in->push_back(values(n, "in" + std::to_string(in->size())));
    bytes += 4.0 * static_cast<double>(n);
  }
  for (const std::int64_t n : operation.outputs) {
    out->push_back(values(n, "out" + std::to_string(out->size())));
    bytes += 4.0 * static_cast<double>(n);
  }
  // What is read and written back counts twice.
  const bool updates = operation.op == ane::CpuOp::weight_gradient || operation.op == ane::CpuOp::rope ||
                       operation.op == ane::CpuOp::rope_inverse;
  if (updates) bytes += 4.0 * static_cast<double>(operation.outputs.front());
  Subject subject;
  subject.run = [in, out, run = operation.run] { run(*in, *out); };
  subject.work = {.moved_bytes = bytes, .flops = operation.flops};
  return subject;
}

}  // namespace

std::vector<Benchmark> cpu_suite(const SuiteOptions& options) {
  std::vector<Benchmark> benchmarks;
  ThreadPool* pool = options.cases ? options.cases->options().pool : nullptr;
  for (const ModelShape& shape : options.shapes) {
    validate::Case c;
    c.shape = shape;
    c.variant = options.variant;
    c.seed = options.seed;
    for (const Operation& operation : operations(shape, options.variant.head_map, pool)) {
      Benchmark benchmark;
      const std::string name(ane::cpu_op_name(operation.op));
      benchmark.name = name + "/" + case_name(c);
      benchmark.row = case_row(c, ane::cpu_op_phase(operation.op));
      benchmark.row.item = name;
      benchmark.on_device = false;
      benchmark.prepare = [operation] { return cpu_subject(operation); };
      benchmarks.push_back(std::move(benchmark));
    }
  }
  return benchmarks;
}

}  // namespace aneval::bench
