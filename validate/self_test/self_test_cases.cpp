// What the self-test runs through.
#include <algorithm>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/emulator.h"
#include "validate/self_test/self_test.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

constexpr double kAmplitudes[] = {0.3, 1.0, 2.5};
/// Gradients of the size that training has without a loss scale.
constexpr double kSmallGradient = 1e-3;
/// What is committed on a preset's shape, one or two of every mechanism.
constexpr const char* kOnPresets[] = {"cyclic_head_map", "stale_weights", "element_2_percent"};

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

/// Weights of 8 bits, and activations as well where the profile has a rule.
std::vector<ane::Variant> eight_bit_variants(const emulator::Profile& profile) {
  std::vector<ane::Variant> variants;
  for (const ane::Weights weights : {ane::Weights::int8, ane::Weights::w8a8}) {
    const ane::Variant variant{.weights = weights};
    if (emulator::has_rules(profile, variant)) variants.push_back(variant);
  }
  return variants;
}

bool has_eight_bits(const ane::KernelSpec& spec, const Case& c) {
  const auto layout = spec.layout(kernel_config(c));
  return std::ranges::any_of(layout.compiled(), [](const ane::Slot& slot) { return slot.eight_bits; });
}

/// What is committed on kernels with 8-bit weights: their own defects, and one that every kernel may have.
std::vector<const Defect*> defects_of_eight_bits() {
  static const std::vector<Defect> own = eight_bit_defects();
  std::vector<const Defect*> chosen = {&find_defect("element_2_percent")};
  for (const Defect& defect : own) chosen.push_back(&find_defect(defect.name));
  return chosen;
}

}  // namespace

SelfTestPlan SelfTestPlan::make(const std::string& profile, bool full, std::uint64_t seed) {
  const auto registry = ane::KernelRegistry::builtin();
  const auto& shapes = edge_shapes();
  SelfTestPlan plan;
  plan.profile = profile;
  std::vector<const Defect*> all;
  for (const Defect& defect : defect_catalogue()) all.push_back(&defect);

  // The largest first, so that no thread is left with one at the end. There a run takes seconds.
  const ModelShape preset = load_model_shape("Qwen3-0.6B");
  for (const ane::KernelSpec& spec : registry.all()) {
    std::vector<const Defect*> chosen;
    for (const char* name : kOnPresets) chosen.push_back(&find_defect(name));
    Case c = base_case(spec, preset, seed);
    if (takes_gradients(spec, c)) c.gradient = kSmallGradient;
    if (spec.name == "sdpaFwd" || spec.name == "qBwd" || (full && spec.name != "dynMatmul"))
      plan.defective.push_back({c, full ? all : chosen});
  }
  // Grouped heads of both pairings; all small shapes if there is time. The generic matmul's program is that of others.
  for (std::size_t i = 0; i < shapes.size(); ++i)
    for (const ane::KernelSpec& spec : registry.all())
      if (spec.name != "dynMatmul" && (full || i == 0 || i == 5))
        for (const Case& c : settings(spec, shapes[i], seed)) plan.defective.push_back({c, all});
  for (const ane::Variant& variant : eight_bit_variants(emulator::find_profile(profile)))
    for (const std::size_t shape : {std::size_t{0}, std::size_t{3}})  // ratio 2, with square weights; ratio 4
      for (const ane::KernelSpec& spec : registry.all())
        for (Case c : settings(spec, shapes[shape], seed)) {
          c.variant = variant;
          if (has_eight_bits(spec, c)) plan.defective.push_back({c, defects_of_eight_bits()});
        }
  // Every run has a seed of its own; half of the shapes under one profile and half under the next, unless there is
  // time.
  std::uint64_t next = seed;
  for (std::size_t p = 0; p < emulator::profiles().size(); ++p)
    for (std::size_t i = 0; i < shapes.size(); ++i)
      for (const ane::KernelSpec& spec : registry.all()) {
        if (!full && (p + i) % 2 != 0) continue;
        auto cases = settings(spec, shapes[i], seed);
        for (const DataKind kind : kStructuredKinds) {
          cases.push_back(base_case(spec, shapes[i], seed));
          cases.back().data = kind;
        }
        for (const ane::Variant& variant : eight_bit_variants(emulator::profiles()[p])) {
          cases.push_back(base_case(spec, shapes[i], seed));
          cases.back().variant = variant;
          if (!has_eight_bits(spec, cases.back())) cases.pop_back();
        }
        for (Case& c : cases) {
          c.seed = next++;
          plan.healthy.push_back({emulator::profiles()[p].name, c});
        }
      }
  Case layer;
  layer.kernel = "layer";
  layer.seed = seed;
  for (const std::size_t shape : {std::size_t{0}, shapes.size() - 1}) {
    layer.shape = shapes[shape];
    for (const double gradient : {1.0, kSmallGradient})
      for (const double amplitude : kAmplitudes) {
        layer.amplitude = amplitude;
        layer.gradient = gradient;
        plan.layers.push_back(layer);
      }
  }
  return plan;
}

void SelfTestPlan::keep(const std::string& filter) {
  std::erase_if(defective, [&](const DefectRun& run) { return !matches(run.c, filter); });
  std::erase_if(healthy, [&](const HealthyRun& run) { return !matches(run.c, filter); });
  std::erase_if(layers, [&](const Case& c) { return !matches(c, filter); });
}

}  // namespace aneval::validate
