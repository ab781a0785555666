#include "train/dropped_products.h"

#include "ane/emulator/statistics.h"

namespace aneval::train {

void DroppedProducts::measure(bool on) {
  on_ = on;
  if (on) counts_.clear();
  // Programs that hold weights are other ones the next time.
  if (!on) plans_.clear();
}

EvaluationObserver DroppedProducts::observer() {
  return [this](std::size_t, const ane::CompiledKernel& kernel, ane::Request& request) {
    if (!on_) return;
    auto& plan = plans_[kernel.executable->program_hash()];
    if (!plan)
      plan = std::make_shared<const emulator::Plan>(
          emulator::make_plan(kernel.program.graph, kernel.program.weights, profile_.slice_gain));
    const ane::ReadLock lock(*request.input());
    Count& count = counts_[kernel.name];
    for (const auto& matmul : emulator::measure_program(plan, profile_, lock.halves(), pool_).matmuls) {
      const auto pairs = static_cast<double>(matmul.nonzero_pairs);
      count.pairs += pairs;
      count.dropped += matmul.drop_fraction * pairs;
    }
  };
}

std::map<std::string, double> DroppedProducts::fractions() const {
  std::map<std::string, double> fractions;
  for (const auto& [kernel, count] : counts_) fractions[kernel] = count.pairs > 0 ? count.dropped / count.pairs : 0;
  return fractions;
}

}  // namespace aneval::train
