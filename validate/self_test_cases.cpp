// What the self-test runs through, the seed project's defects, and the defects of the host.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ane/emulator/emulator.h"
#include "validate/self_test.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

constexpr double kAmplitudes[] = {0.3, 1.0, 2.5};
/// Gradients of the size that training has without a loss scale.
constexpr double kSmallGradient = 1e-3;

bool takes_gradients(const ane::KernelSpec& spec, const Case& c) {
  const auto layout = spec.layout(kernel_config(c));
  return std::any_of(layout.slots().begin(), layout.slots().end(), [](const ane::Slot& slot) {
    return slot.kind == ane::SlotKind::activation && is_gradient(slot.name);
  });
}

Case base_case(const ane::KernelSpec& spec, const ModelShape& shape, std::uint64_t seed) {
  Case c;
  c.kernel = spec.name;
  c.shape = shape;
  c.seed = seed;
  if (spec.name == "dynMatmul") {
    c.ic = shape.dim;
    c.oc = shape.hidden;
  }
  return c;
}

/// Exact data, and random data of every amplitude and, where there are gradients, both of their scales.
std::vector<Case> settings(const ane::KernelSpec& spec, const ModelShape& shape, std::uint64_t seed) {
  Case c = base_case(spec, shape, seed);
  std::vector<Case> cases;
  c.data = DataKind::exact;
  cases.push_back(c);
  c.data = DataKind::random;
  for (const double gradient : {1.0, kSmallGradient}) {
    if (gradient != 1.0 && !takes_gradients(spec, c)) continue;
    for (const double amplitude : kAmplitudes) {
      c.amplitude = amplitude;
      c.gradient = gradient;
      cases.push_back(c);
    }
  }
  return cases;
}

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

/// Gradients of 1e-3 without a loss scale, on the chip that drops their products: degraded, with the scale that helps.
SeedFinding unscaled_gradients(const SelfTestOptions& options) {
  SeedFinding finding{"unscaled gradients", {}, false};
  emulator::EmulatorOptions emulated;
  emulated.profile = "h16";
  const auto device = emulator::make_emulator(emulated);
  CheckOptions check;
  check.device = device.get();
  check.profile = emulator::find_profile("h16");
  Case c = base_case(check.registry.find("qBwd"), edge_shapes().front(), 1);
  c.gradient = kSmallGradient;
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

}  // namespace

SelfTestPlan SelfTestPlan::make(const std::string& profile, bool full, std::uint64_t seed) {
  const auto registry = ane::KernelRegistry::builtin();
  const auto& shapes = edge_shapes();
  SelfTestPlan plan;
  plan.profile = profile;
  for (const Defect& defect : defect_catalogue()) plan.defects.push_back(&defect);

  // The largest first, so that no thread is left with one at the end.
  const ModelShape preset = load_model_shape("Qwen3-0.6B");
  for (const ane::KernelSpec& spec : registry.all()) {
    if (spec.name == "dynMatmul") continue;  // one of the ten is the same program
    if (full || spec.name == "sdpaFwd" || spec.name == "qBwd") {
      Case c = base_case(spec, preset, seed);
      if (takes_gradients(spec, c)) c.gradient = kSmallGradient;
      plan.cases.push_back(c);
    }
  }
  // Grouped heads of both pairings; all small shapes if there is time.
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    if (!full && i != 0 && i != 5) continue;
    for (const ane::KernelSpec& spec : registry.all()) {
      if (spec.name == "dynMatmul") continue;
      const auto cases = settings(spec, shapes[i], seed);
      plan.cases.insert(plan.cases.end(), cases.begin(), cases.end());
    }
  }
  // Every run has a seed of its own; half of the shapes under one profile and half under the next, unless there is
  // time.
  std::uint64_t next = seed;
  for (std::size_t p = 0; p < emulator::profiles().size(); ++p)
    for (std::size_t i = 0; i < shapes.size(); ++i)
      for (const ane::KernelSpec& spec : registry.all()) {
        if (!full && (p + i) % 2 != 0) continue;
        for (Case c : settings(spec, shapes[i], seed)) {
          c.seed = next++;
          plan.healthy.push_back({emulator::profiles()[p].name, c});
        }
      }
  plan.layer.kernel = "layer";
  plan.layer.shape = shapes.front();
  plan.layer.seed = seed;
  return plan;
}

std::vector<SeedFinding> seed_findings(const std::vector<Detection>& detections, const SelfTestOptions& options) {
  return {finding_of("cyclic head map", "cyclic_head_map", detections), unscaled_gradients(options)};
}

std::vector<Detection> run_host_defects(const SelfTestPlan&, ThreadPool*) { return {}; }

}  // namespace aneval::validate
