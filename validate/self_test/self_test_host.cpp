// The parts of the self-test that are not about one kernel: defects of what the CPU does in a layer, and what became of
// the seed project's defects.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "validate/cpu_reference.h"
#include "validate/emulated_device.h"
#include "validate/self_test/defects_host.h"
#include "validate/self_test/self_test.h"

namespace aneval::validate {
namespace {

std::string times(double excess) { return std::isinf(excess) ? "∞" : fmt::format("{:.3g}", excess); }

/// "found in n of m cases, by gate deviation, at least 4.5 times its limit".
SeedFinding finding_of(std::string name, std::string_view defect, const std::vector<Detection>& detections) {
  SeedFinding finding{std::move(name), {}, false};
  std::int64_t detectable = 0, found = 0, missed = 0;
  const Detection* weakest = nullptr;
  for (const Detection& d : detections) {
    if (d.defect != defect) continue;
    detectable += d.detectable ? 1 : 0;
    missed += d.missed() ? 1 : 0;
    if (!d.detectable || !d.flagged) continue;
    ++found;
    if (weakest == nullptr || d.excess < weakest->excess) weakest = &d;
  }
  finding.found = found > 0 && missed == 0;
  finding.line =
      weakest == nullptr
          ? fmt::format("{}: NOT FOUND in {} cases", finding.name, detectable)
          : fmt::format("{}: found in {} of {} cases; the weakest by gate {}, {} times its limit (block {})",
                        finding.name, found, detectable, weakest->gate, times(weakest->excess), weakest->block);
  return finding;
}

Case gradient_case() {
  Case c;
  c.kernel = "qBwd";
  c.shape = load_model_shape("Qwen3-0.6B");
  c.shape.seq = 32;
  c.gradient = 1e-3;  // the size that training has without a loss scale
  return c;
}

/// Gradients of 1e-3 without a loss scale, on the chip that drops their products: degraded, with the scale that helps.
SeedFinding unscaled_gradients(const SelfTestOptions& options) {
  SeedFinding finding{"unscaled gradients", {}, false};
  const auto device = make_device("h16", options.pool);
  const CheckOptions check = options_for(*device, options.pool);
  Case c = gradient_case();
  const auto judged = [&](const Case& at) {
    return options.judge(check, at, make_case_data(at, check.registry.find(at.kernel).layout(kernel_config(at))));
  };
  const CaseResult unscaled = judged(c);
  const std::size_t named = unscaled.reason.find("gradients times ");
  if (unscaled.status != Status::degraded || named == std::string::npos) {
    finding.line = fmt::format("unscaled gradients: NOT FOUND: {} is {} {}", case_text(c), status_name(unscaled.status),
                               unscaled.reason);
    return finding;
  }
  c.loss_scale = std::stod(unscaled.reason.substr(named + std::string("gradients times ").size()));
  const CaseResult scaled = judged(c);
  finding.found = scaled.status == Status::ok;
  finding.line = fmt::format("unscaled gradients: found as degraded on h16 ({}); with loss scale {:.0f}: {}",
                             unscaled.reason, c.loss_scale, status_name(scaled.status));
  return finding;
}

/// How many times its bound a wrong operation's output lies from what it should be, in double: the most of all calls.
void measure(ane::CpuOp op, const ane::CpuCall& call, const reference::Options& options, double& most) {
  const auto expected = cpu_reference(op, call.shape, options, call.in);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const CpuComparison comparison = compare_cpu(*call.out.at(i), expected[i]);
    most = std::max(most, comparison.worst_ratio);
  }
}

Detection on_host(const HostDefect& defect, const Case& c, const CheckOptions& check, const SelfTestOptions& options) {
  Detection detection;
  detection.defect = defect.name;
  detection.mechanism = Mechanism::host;
  detection.c = c;
  double most = 0;
  ane::CpuOps ops = ane::CpuOps::builtin();
  ops.replace(defect.op, [&](const ane::CpuCall& call) {
    defect.wrong(call);
    measure(defect.op, call, reference_options(c.variant), most);
  });
  const LayerResult result = options.layer_judge(check, c, random_layer_tensors(c), ops);
  // Twice the bound leaves no doubt, whatever fp32 arithmetic the operation uses otherwise.
  detection.visibility = {std::string(ane::cpu_op_name(defect.op)), most, 0, most / 2, most};
  detection.detectable = detection.visibility.visible();
  detection.status = result.status;
  detection.reason = result.reason;
  detection.flagged = is_flagged(result.status);
  if (!detection.flagged) return detection;
  detection.gate = "bound";
  for (const CpuJudgement& step : result.chain.cpu) {
    if (step.reason.empty() || step.worst_ratio <= detection.excess) continue;
    detection.excess = step.worst_ratio;
    detection.block = step.tensor;
  }
  return detection;
}

}  // namespace

std::vector<Detection> run_host_defects(const SelfTestPlan& plan, const SelfTestOptions& options,
                                        std::vector<FalseAlarm>& alarms) {
  std::vector<Detection> detections;
  const auto device = make_device(plan.profile, options.pool);
  const CheckOptions check = options_for(*device, options.pool);
  for (const Case& c : plan.layers) {
    const LayerResult healthy = options.layer_judge(check, c, random_layer_tensors(c), ane::CpuOps::builtin());
    if (is_flagged(healthy.status)) alarms.push_back({plan.profile, case_text(c), healthy.reason});
    for (const HostDefect& defect : host_defects()) detections.push_back(on_host(defect, c, check, options));
  }
  return detections;
}

std::vector<SeedFinding> seed_findings(const std::vector<Detection>& detections, const SelfTestOptions& options) {
  std::vector<SeedFinding> findings;
  const auto add = [&](const char* name, std::string_view defect) {
    if (std::any_of(detections.begin(), detections.end(), [&](const Detection& d) { return d.defect == defect; }))
      findings.push_back(finding_of(name, defect, detections));
  };
  add("cyclic head map", "cyclic_head_map");
  add("misplaced rmsnorm weight", "rmsnorm_weight_misplaced");
  findings.push_back(unscaled_gradients(options));
  return findings;
}

}  // namespace aneval::validate
