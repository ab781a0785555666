#include "tuning/plan.h"

#include <algorithm>

#include "ane/emulator/device_arithmetic.h"
#include "ane/kernels/kernel.h"
#include "ane/kernels/sequence_limits.h"
#include "ane/layer_plan.h"
#include "ane/mil/family_rules.h"
#include "ane/variant_rules.h"
#include "common/error.h"
#include "common/hash.h"
#include "validate/kernel_check.h"

namespace aneval::tuning {
namespace {

void add(Hasher& hasher, std::string_view text) { hasher.add(text.data(), text.size()); }

std::string_view profile_name(const Point& point) {
  return point.profile.empty() ? emulator::kDefaultProfile : std::string_view(point.profile);
}

std::string family_error(const Point& point, const PlannedKernel& kernel) {
  const mil::Family* family = family_of(point);
  if (family == nullptr) return {};
  // In the dialect that the family takes, as the device would write it.
  const mil::Program program = ane::in_dialect_of(*family, kernel.program.graph);
  for (const mil::Finding& finding : mil::check_family(program, *family))
    if (finding.severity == mil::Severity::error)
      return "family " + std::string(family->name) + ": " + finding.text + " [" + std::string(finding.rule) + "]";
  return {};
}

}  // namespace

const mil::Family* family_of(const Point& point) {
  const std::string_view profile = profile_name(point);
  const auto& all = mil::families();
  const auto found = std::ranges::find(all, profile.substr(0, profile.find(':')), &mil::Family::name);
  return found == all.end() ? nullptr : &*found;
}

PlannedKernel plan_kernel(const Point& point, const std::string& kernel) {
  const ane::KernelRegistry registry = ane::KernelRegistry::builtin();
  validate::Case c = point.c;
  c.kernel = kernel;
  ane::KernelConfig config = validate::kernel_config(c);
  config.shapes_only = true;
  const ane::KernelSpec& spec = registry.find(kernel);
  ane::PackedLayout layout = spec.layout(config);
  mil::BuiltProgram program = spec.program(config, layout);
  return {std::move(layout), std::move(program)};
}

std::vector<std::string> kernels_of(const Point& point) {
  if (point.c.kernel != "layer") return {point.c.kernel};
  return ane::layer_plan(point.c.variant).kernels();
}

double staged_bytes(const ane::PackedLayout& layout) {
  double bytes = 0;
  for (const ane::Slot& slot : layout.slots())
    bytes += 2.0 * static_cast<double>(slot.channels.size() * slot.width.size());
  return bytes;
}

std::string program_identity(const PlannedKernel& kernel) {
  Hasher hasher;
  add(hasher, kernel.program.text);
  for (const ane::Slot& slot : kernel.layout.operands()) {
    add(hasher, slot.name + (slot.eight_bits ? "(8)@" : "@") + std::to_string(slot.channel_offset) + "," +
                    std::to_string(slot.width_offset));
    hasher.add(&slot.scale, sizeof slot.scale);
  }
  return hasher.digest();
}

Planned Planner::make(const Point& point) const {
  Planned planned;
  for (const Constraint& constraint : constraints_)
    if (!constraint.allows(point)) {
      planned.refused = "constraint of the sweep: " + constraint.text;
      return planned;
    }
  try {
    ane::check_variant(point.c.variant);
    emulator::require_rules(point.c.variant, emulator::find_profile(profile_name(point)));
  } catch (const Error& error) {
    planned.refused = error.reason();
    return planned;
  }
  const auto of_layer = ane::layer_plan(point.c.variant).kernels();
  const std::string& kernel = point.c.kernel;
  if (kernel != "layer" && std::ranges::find(of_layer, kernel) == of_layer.end()) {
    planned.refused = "a layer of variant " + ane::variant_text(point.c.variant) + " has no " + kernel;
    return planned;
  }
  Hasher hasher;
  Point settings = default_of(point);
  settings.qos = point.qos;
  settings.threads = point.threads;
  add(hasher, point_text(settings));
  // Constants without their numbers look alike, whatever becomes of the numbers.
  add(hasher, ane::variant_text({.weights = point.c.variant.weights}));
  for (const std::string& name : kernels_of(point)) {
    try {
      const PlannedKernel built = plan_kernel(point, name);
      planned.refused = family_error(point, built);
      add(hasher, program_identity(built));
    } catch (const Error& error) {
      planned.refused = error.reason();
    }
    if (planned.refused.empty()) continue;
    if (kernel == "layer") planned.refused = name + ": " + planned.refused;
    return planned;
  }
  // Between its kernels a layer does more than its programs tell.
  if (kernel == "layer") add(hasher, ane::variant_text(point.c.variant));
  planned.identity = hasher.digest();
  return planned;
}

const Planned& Planner::plan(const Point& point) {
  const std::string text = point_text(point);
  if (const auto found = known_.find(text); found != known_.end()) return found->second;
  return known_.emplace(text, make(point)).first->second;
}

}  // namespace aneval::tuning
