// Everything that can be benchmarked, as lists of Benchmark values. Names begin with what is measured and end with the
// shape: "sdpaFwd/eval/Qwen3-0.6B", "dynMatmul/eval/ic=1024/oc=3072/seq=256", "layer_forward/Stories110M".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ane/layer_plan.h"
#include "bench/benchmark.h"
#include "bench/validated.h"
#include "validate/suites.h"

namespace aneval::bench {

struct SuiteOptions {
  std::shared_ptr<ValidatedCases> cases;  // required to run; may be null when only names are wanted
  std::vector<ModelShape> shapes;
  ane::Variant variant;
  std::uint64_t seed = 1;
  std::string kernel;                                 // only this kernel; empty: all, and what is no kernel
  validate::Extent extent = validate::Extent::quick;  // how many sizes of the generic matmul and of the host, and
                                                      // whether a training step has all of a model's layers
  std::optional<std::int64_t> layers = {};            // of a training step, whatever the extent
  double memory_gib = 0;                              // of this machine, 0 when unknown: more layers are not tried
};

/// compile, load, stage_weights, write_acts, eval, read, copy of the ten kernels on every shape, and of the generic
/// dynamic matmul.
std::vector<Benchmark> kernel_suite(const SuiteOptions& options);
/// eval of the generic dynamic matmul over ic, oc and S.
std::vector<Benchmark> matmul_suite(const SuiteOptions& options);
/// layer_forward and layer_backward on every shape, with each step's share.
std::vector<Benchmark> layer_suite(const SuiteOptions& options);
/// train_step on every shape: a whole optimizer step, with each phase's share; with weights on surfaces, and compiled
/// in.
std::vector<Benchmark> train_suite(const SuiteOptions& options);
/// What the CPU does between kernels: tiling and reduction of heads, rmsnorm, SiLU, rotations, weight gradients.
std::vector<Benchmark> cpu_suite(const SuiteOptions& options);
/// fp16 conversions of rows and transposed blocks, in cache and from memory.
std::vector<Benchmark> conversion_suite(const SuiteOptions& options);
/// The emulator's exact products on one thread and on all, against fp32 (arithmetic.h).
std::vector<Benchmark> arithmetic_suite(const SuiteOptions& options);
/// What this machine can do at best: memcpy and fused multiply-adds, on one thread and on all.
std::vector<Benchmark> host_suite(const SuiteOptions& options);
/// Loops that are the same machine code in every build (control_loops.h): what the regression gate takes off a slow
/// moment of the machine.
std::vector<Benchmark> control_suite(const SuiteOptions& options);
/// Chains of convolutions with baked weights: the engine's own latency over growing weights, and its peak.
std::vector<Benchmark> engine_suite(const SuiteOptions& options);
/// What the harness itself reaches of what memory, Eigen and bare libraries do (ratios.h).
std::vector<Benchmark> ratio_suite(const SuiteOptions& options);

/// All of them, in this order.
std::vector<Benchmark> all_benchmarks(const SuiteOptions& options);

/// The columns of a benchmark on a case.
Record case_row(const validate::Case& c, std::string_view phase);
/// How names end: the model, and what differs from its preset and from the default variant.
std::string case_name(const validate::Case& c);

}  // namespace aneval::bench
