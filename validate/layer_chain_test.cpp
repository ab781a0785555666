// A layer step by step: healthy CPU operations hold their bounds at every edge shape and at real widths, wrong ones are
// found and named, and the error of every tensor is told apart into what it inherited and what its step added.
#include "validate/layer_chain.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "ane/cpu_ops.h"
#include "ane/gqa.h"
#include "common/random.h"
#include "validate/cpu_reference.h"
#include "validate/emulated_device.h"
#include "validate/faulty_device.h"
#include "validate/layer_check.h"
#include "validate/suites.h"

namespace aneval::validate {

using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace {

Case layer_case(const ModelShape& shape, const std::string& variant = "default") {
  Case c;
  c.shape = shape;
  c.variant = ane::parse_variant(variant);
  return c;
}

const ChainError& error_of(const LayerResult& result, const std::string& tensor) {
  const auto& errors = result.chain.errors;
  return *std::find_if(errors.begin(), errors.end(), [&](const ChainError& e) { return e.tensor == tensor; });
}

TEST(CpuSteps, HoldTheirBoundsAtEveryEdgeShapeUnderEveryVariant) {
  const auto device = make_device();
  std::set<std::string> steps;
  for (const ModelShape& shape : edge_shapes()) {
    for (const char* variant :
         {"default", "score_scale=folded", "pad=32", "head_map=cyclic", "ffn=cpu_gate", "rope=cpu"}) {
      const Case c = layer_case(shape, variant);
      const LayerResult result = check_layer(options_for(*device), c, random_layer_tensors(c));
      EXPECT_NE(result.status, Status::wrong_result) << shape.name << ' ' << variant << ": " << result.reason;
      for (const CpuJudgement& step : result.chain.cpu) {
        EXPECT_LE(step.worst_ratio, 1) << shape.name << ' ' << variant << ' ' << step.step << ' ' << step.tensor;
        steps.insert(step.step);
      }
    }
  }
  EXPECT_EQ(steps.size(), ane::kCpuOps);
}

/// The worst error / bound of an operation on tensors of normal data.
double ratio_of(ane::CpuOp op, const ModelShape& shape, const std::vector<std::vector<std::int64_t>>& dims,
                std::size_t outputs, float amplitude = 1) {
  std::vector<Tensor> in, out(outputs);
  for (std::size_t i = 0; i < dims.size(); ++i) {
    in.emplace_back(dims[i]);
    Random(11, std::to_string(i)).fill_normal(in.back().data, static_cast<double>(amplitude));
  }
  ane::CpuCall call{shape, ane::HeadMap::grouped, nullptr, {}, {}};
  for (Tensor& tensor : in) call.in.push_back(&tensor);
  for (Tensor& tensor : out) call.out.push_back(&tensor);
  ane::CpuOps::builtin().run(op, call);
  const auto expected = cpu_reference(op, shape, {}, call.in);
  EXPECT_EQ(expected.size(), outputs);
  double worst = 0;
  for (std::size_t i = 0; i < outputs; ++i) {
    const CpuComparison compared = compare_cpu(out[i], expected[i]);
    EXPECT_EQ(compared.reason, "") << ane::cpu_op_name(op) << " output " << i << " amplitude " << amplitude;
    worst = std::max(worst, compared.worst_ratio);
  }
  return worst;
}

// Ordinary activations, gradients of 1e-6, and activations with which e^-h1 overflows.
TEST(CpuSteps, HoldTheirBoundsAtTheWidthsOfQwen3) {
  const ModelShape s = load_model_shape("Qwen3-0.6B");
  const std::vector<std::int64_t> x = {s.dim, s.seq}, w = {s.dim}, h = {s.hidden, s.seq}, q = {s.q_dim(), s.seq},
                                  kv = {s.kv_dim(), s.seq};
  for (const float amplitude : {1.0F, 1e-6F, 300.0F}) {
    const auto ratio = [&](ane::CpuOp op, const std::vector<std::vector<std::int64_t>>& dims, std::size_t outputs = 1) {
      return ratio_of(op, s, dims, outputs, amplitude);
    };
    ratio(ane::CpuOp::rmsnorm, {x, w});
    ratio(ane::CpuOp::rmsnorm_backward, {x, w, x}, 2);
    ratio(ane::CpuOp::residual, {x, x});
    // One rounding: the bound is reached, so it could not be smaller.
    EXPECT_GT(ratio(ane::CpuOp::add, {x, x}), 0.9);
    EXPECT_GT(ratio(ane::CpuOp::residual_scale, {x}), 0.1);
    ratio(ane::CpuOp::silu_gate, {h, h});
    ratio(ane::CpuOp::silu_backward, {h, h, h}, 2);
    EXPECT_EQ(ratio(ane::CpuOp::tile_kv, {kv}), 0);
    EXPECT_GT(ratio(ane::CpuOp::reduce_kv, {q}), 0.9);
    EXPECT_GT(ratio(ane::CpuOp::rope, {q}), 0.3);
    EXPECT_GT(ratio(ane::CpuOp::rope_inverse, {q}), 0.3);
    ratio(ane::CpuOp::unfold_scale, {q});
    ratio(ane::CpuOp::weight_gradient, {x, kv});
  }
}

/// A layer whose CPU does one thing wrong.
LayerResult check_with(ane::CpuOp op, const ane::CpuFunction& function, const ModelShape& shape = edge_shapes().front(),
                       const char* variant = "default") {
  const auto device = make_device();
  ane::CpuOps ops = ane::CpuOps::builtin();
  ops.replace(op, function);
  const Case c = layer_case(shape, variant);
  return check_layer(options_for(*device), c, random_layer_tensors(c), ops);
}

void expect_found(const LayerResult& result, const std::string& step) {
  EXPECT_EQ(result.status, Status::wrong_result) << step;
  EXPECT_THAT(result.reason, StartsWith("step " + step));
  for (const char* part : {"worst at [", "got ", "expected ", "bound "}) EXPECT_THAT(result.reason, HasSubstr(part));
  // Steps that were given wrong tensors and did the right thing with them are not accused.
  for (const CpuJudgement& judged : result.chain.cpu) {
    if (judged.reason.empty()) continue;
    EXPECT_THAT(step, StartsWith(judged.step)) << judged.tensor;
  }
}

void run_builtin(ane::CpuOp op, const ane::CpuCall& call) { ane::CpuOps::builtin().run(op, call); }

TEST(CpuDefects, RmsnormBackwardWithTheWeightOnTheWholeBracket) {
  for (const ModelShape& shape : edge_shapes())
    expect_found(check_with(
                     ane::CpuOp::rmsnorm_backward,
                     [](const ane::CpuCall& call) {
                       const Tensor &x = *call.in[0], &w = *call.in[1];
                       run_builtin(ane::CpuOp::rmsnorm_backward, call);
                       Tensor ones = w, unused = w;
                       std::fill(ones.data.begin(), ones.data.end(), 1.0F);
                       ane::rmsnorm_backward(x.data, ones.data, call.in[2]->data, x.rows(), x.cols(),
                                             call.shape.rms_eps, call.out[0]->data, unused.data);
                       for (std::size_t i = 0; i < x.data.size(); ++i)
                         call.out[0]->data[i] *= w.data[i / static_cast<std::size_t>(x.cols())];
                     },
                     shape),
                 "rmsnorm_backward (dx2_norm)");
}

TEST(CpuDefects, SiluBackwardWithoutItsSecondTerm) {
  for (const ModelShape& shape : edge_shapes())
    expect_found(check_with(
                     ane::CpuOp::silu_backward,
                     [](const ane::CpuCall& call) {
                       run_builtin(ane::CpuOp::silu_backward, call);
                       for (std::size_t i = 0; i < call.in[0]->data.size(); ++i) {
                         const float sigma = 1 / (1 + std::exp(-call.in[1]->data[i]));
                         call.out[0]->data[i] = call.in[0]->data[i] * call.in[2]->data[i] * sigma;
                       }
                     },
                     shape),
                 "silu_backward (dh1)");
}

TEST(CpuDefects, GateWithoutItsFactor) {
  for (const ModelShape& shape : edge_shapes())
    expect_found(check_with(
                     ane::CpuOp::silu_gate,
                     [](const ane::CpuCall& call) {
                       const Tensor &h1 = *call.in[0], &h3 = *call.in[1];
                       const auto g = call.output(0, h1.shape);
                       for (std::size_t i = 0; i < g.size(); ++i) g[i] = h3.data[i] / (1 + std::exp(-h1.data[i]));
                     },
                     shape, "ffn=cpu_gate"),
                 "silu_gate (g)");
}

TEST(CpuDefects, ReduceThatMissesOneHead) {
  expect_found(check_with(ane::CpuOp::reduce_kv,
                          [](const ane::CpuCall& call) {
                            Tensor full = *call.in[0];
                            const auto head = full.data.size() / static_cast<std::size_t>(call.shape.heads);
                            std::fill_n(full.data.end() - static_cast<std::ptrdiff_t>(head), head, 0.0F);
                            ane::CpuCall less = call;
                            less.in = {&full};
                            run_builtin(ane::CpuOp::reduce_kv, less);
                          }),
               "reduce_kv (dv)");
}

TEST(CpuDefects, ResidualWithoutItsScale) {
  expect_found(check_with(ane::CpuOp::residual, [](const ane::CpuCall& call) { run_builtin(ane::CpuOp::add, call); }),
               "residual (x2)");
  expect_found(check_with(ane::CpuOp::residual_scale,
                          [](const ane::CpuCall& call) {
                            const auto out = call.output(0, call.in[0]->shape);
                            std::copy(call.in[0]->data.begin(), call.in[0]->data.end(), out.begin());
                          }),
               "residual_scale (dffn)");
}

TEST(CpuDefects, OneElementAThousandthOffAndOneNan) {
  for (const float factor : {1.001F, std::nanf("")}) {
    const LayerResult result = check_with(ane::CpuOp::weight_gradient, [factor](const ane::CpuCall& call) {
      run_builtin(ane::CpuOp::weight_gradient, call);
      float& largest = *std::max_element(call.out[0]->data.begin(), call.out[0]->data.end());
      largest *= factor;
    });
    expect_found(result, "weight_gradient (dw2)");
    EXPECT_THAT(result.reason, HasSubstr(": 1 elements"));
  }
}

TEST(CpuDefects, OtherRotationAndOtherHeads) {
  expect_found(check_with(
                   ane::CpuOp::rope,
                   [](const ane::CpuCall& call) { run_builtin(ane::CpuOp::rope_inverse, call); },  // the other way
                   edge_shapes().front(), "rope=cpu"),
               "rope (q_rope)");
  expect_found(check_with(ane::CpuOp::rope_inverse,
                          [](const ane::CpuCall& call) {
                            run_builtin(ane::CpuOp::rope_inverse, call);
                            ane::rope_inverse(call.shape, call.out[0]->data);  // twice
                          }),
               "rope_inverse (dq)");
  expect_found(check_with(ane::CpuOp::tile_kv,
                          [](const ane::CpuCall& call) {
                            ane::CpuCall other = call;
                            other.head_map = ane::HeadMap::cyclic;
                            run_builtin(ane::CpuOp::tile_kv, other);
                          }),
               "tile_kv (k_tiled)");
}

TEST(CpuSteps, AreNotAccusedOfWhatTheyWereGiven) {
  FaultyDevice device(make_device(), [](std::int64_t evaluation, std::span<ane::half_t> out) {
    if (evaluation == 0) out[5] = 0x7E00;  // a NaN in attn
  });
  const Case c = layer_case(edge_shapes().front());
  const LayerResult result = check_layer(options_for(device), c, random_layer_tensors(c));
  EXPECT_EQ(result.status, Status::nonfinite) << result.reason;
  EXPECT_GT(error_of(result, "attn").left_out, 0);
}

TEST(Chain, HasEveryTensorOfThePlanInItsOrder) {
  const auto device = make_device();
  for (const char* variant : {"default", "score_scale=folded", "head_map=cyclic;pad=32", "qkv_backward=merged",
                              "silu_backward=kernel", "ffn=split", "ffn=cpu_gate", "attention_backward=fused",
                              "wo=fused", "rope=cpu", "rope=cpu;score_scale=folded", "causal=tiles"}) {
    const Case c = layer_case(edge_shapes().front(), variant);
    const LayerResult result = check_layer(options_for(*device), c, random_layer_tensors(c));
    std::vector<std::string> made, errors;
    const ane::LayerPlan plan = ane::layer_plan(c.variant);
    for (const auto* steps : {&plan.forward, &plan.backward})
      for (const ane::PlanStep& step : *steps)
        for (const auto& [block, tensor] : step.outputs) made.push_back(tensor);
    for (const ChainError& e : result.chain.errors) {
      errors.push_back(e.tensor);
      EXPECT_EQ(e.place, static_cast<std::int64_t>(errors.size()));
      EXPECT_GT(e.reference, 0) << e.tensor;
      // A dozen steps with two roundings of 2^-11 each, as in kernel_check_test: also what a tensor of another scale or
      // head map would exceed.
      EXPECT_LE(e.error, 24 * 0x1p-11 * e.reference) << variant << ' ' << e.tensor;
      EXPECT_LE(e.error, (e.own + e.inherited) * 1.0001 + 1e-12) << variant << ' ' << e.tensor;
      EXPECT_LE(std::abs(e.own - e.inherited), e.error * 1.0001 + 1e-12) << variant << ' ' << e.tensor;
    }
    EXPECT_EQ(errors, made);
    // The first step is given what the reference was given; copies add nothing.
    EXPECT_LE(error_of(result, "xn").inherited, 1e-15);
    EXPECT_EQ(error_of(result, "v_tiled").own, 0);
    EXPECT_GT(error_of(result, "v_tiled").inherited, 0);
  }
}

TEST(Chain, TellsTheStepThatIsWrongFromThoseBehindIt) {
  const auto device = make_device();
  const Case c = layer_case(edge_shapes().front(), "head_map=cyclic_fwd");
  const LayerResult result = check_layer(options_for(*device), c, random_layer_tensors(c));
  const auto relative = [&](const std::string& tensor, double ChainError::* part) {
    const ChainError& e = error_of(result, tensor);
    return e.*part / e.reference;
  };
  EXPECT_GT(relative("attn", &ChainError::own), 0.1);
  EXPECT_LT(relative("q_rope", &ChainError::own), 0.01);
  EXPECT_LT(relative("o", &ChainError::own), 0.01);
  EXPECT_GT(relative("o", &ChainError::inherited), 0.1);
  EXPECT_GT(relative("o", &ChainError::error), 0.1);
}

}  // namespace
}  // namespace aneval::validate
