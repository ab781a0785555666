#include "validate/case_statistics.h"

#include <algorithm>

#include "ane/staging.h"
#include "ane/surface.h"

namespace aneval::validate {

std::vector<CaseStatistics> case_statistics(const CaseData& data, const ane::PackedLayout& layout, ane::Surface& input,
                                            const std::shared_ptr<const emulator::Plan>& plan,
                                            const emulator::Profile& profile, ThreadPool* pool) {
  // A surface of its own: what lies on the judged one stays.
  const auto surface = ane::make_host_surface(static_cast<std::size_t>(layout.input_bytes()));
  {
    const ane::ReadLock from(input);
    const ane::WriteLock to(*surface);
    std::copy(from.bytes().begin(), from.bytes().end(), to.bytes().begin());
  }
  const bool gradients = std::any_of(data.activations.begin(), data.activations.end(),
                                     [](const auto& entry) { return is_gradient(entry.first); });
  std::vector<CaseStatistics> all;
  for (const double scale : kLossScales) {
    if (scale != 1 && !gradients) break;
    CaseData scaled{{}, data.activations};
    scale_gradients(scaled, scale);
    for (const auto& [slot, tensor] : scaled.activations)
      if (is_gradient(slot)) ane::write_slot(layout, slot, tensor.data, *surface);
    const ane::ReadLock lock(*surface);
    all.push_back({scale, emulator::measure_program(plan, profile, lock.halves(), pool)});
  }
  return all;
}

}  // namespace aneval::validate
