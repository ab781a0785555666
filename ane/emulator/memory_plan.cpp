#include "ane/emulator/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace aneval::emulator {

std::vector<Lifetime> lifetimes(const Plan& plan) {
  const auto steps = static_cast<std::int64_t>(plan.steps.size());
  std::vector<Lifetime> lives(plan.buffers.size(), {steps, -1});
  const auto touch = [&](const Operand& operand, std::int64_t step) {
    Lifetime& life = lives[static_cast<std::size_t>(operand.buffer)];
    life.first = std::min(life.first, step);
    life.last = std::max(life.last, step);
  };
  for (std::int64_t i = 0; i < steps; ++i) {
    const Step& step = plan.steps[static_cast<std::size_t>(i)];
    for (const Operand& input : step.inputs) touch(input, i);
    touch(step.output, i);
  }
  const auto outlives = [&](const Operand& operand) {
    touch(operand, 0);
    touch(operand, steps);
  };
  for (const PlanValue& input : plan.inputs) outlives(input.operand);
  for (const PlanConstant& constant : plan.constants) outlives(constant.operand);
  for (const PlanValue& output : plan.outputs) touch(output.operand, steps);
  return lives;
}

MemoryPlan plan_memory(const Plan& plan, Sharing sharing) {
  const std::vector<Lifetime> lives = lifetimes(plan);
  const auto room = [&](std::size_t buffer) {
    return (plan.buffers[buffer] + kMemoryAlignment - 1) / kMemoryAlignment * kMemoryAlignment;
  };
  std::vector<std::size_t> order(plan.buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return room(a) > room(b); });

  MemoryPlan memory;
  memory.offsets.resize(plan.buffers.size());
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t buffer : order) {
    std::int64_t offset = 0;
    for (const std::size_t other : placed) {
      if (sharing == Sharing::by_lifetime && !lives[buffer].overlaps(lives[other])) continue;
      if (offset + room(buffer) <= memory.offsets[other]) break;
      offset = std::max(offset, memory.offsets[other] + room(other));
    }
    memory.offsets[buffer] = offset;
    memory.elements = std::max(memory.elements, offset + room(buffer));
    const auto behind = std::upper_bound(placed.begin(), placed.end(), offset, [&](std::int64_t at, std::size_t other) {
      return at < memory.offsets[other];
    });
    placed.insert(behind, buffer);
  }
  return memory;
}

}  // namespace aneval::emulator
