// Sharing of memory: buffers that are alive together never overlap, and no result depends on it.
#include "ane/emulator/memory_plan.h"

#include <gmock/gmock.h>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/evaluator.h"
#include "ane/emulator/kernel_plans.h"
#include "ane/mil/text.h"
#include "common/random.h"

namespace aneval::emulator {
namespace {

Plan plan_of(const std::string& body) {
  return make_plan(
      mil::parse("program(1.3)\n{\n  func main<ios18>(tensor<fp16, [64]> x) {\n" + body + "  } -> (y);\n}\n",
                 "test.mil"),
      {});
}

std::string line(const std::string& text) { return "tensor<fp16, [64]> " + text + ";\n"; }

// x = 0, a = 1, b = 2, c = 3, y = 4 in the order in which buffers are made; a is read by the first two steps after it.
const std::string kChain =
    line("a = square(x = x)[name = string(\"a\")]") + line("b = add(x = a, y = x)[name = string(\"b\")]") +
    line("c = mul(x = a, y = b)[name = string(\"c\")]") + line("y = add(x = c, y = c)[name = string(\"y\")]");

TEST(MemoryPlan, LivesReachFromTheFirstWriteToTheLastRead) {
  const Plan plan = plan_of(kChain);
  const std::vector<Lifetime> lives = lifetimes(plan);
  std::vector<std::pair<std::int64_t, std::int64_t>> found;
  for (const Lifetime& life : lives) found.emplace_back(life.first, life.last);
  EXPECT_THAT(found, ::testing::ElementsAre(std::pair(0, 4), std::pair(0, 2), std::pair(1, 2), std::pair(2, 3),
                                            std::pair(3, 4)));
}

TEST(MemoryPlan, WhatIsDeadMakesRoomAndNothingElse) {
  const Plan plan = plan_of(kChain);
  const MemoryPlan shared = plan_memory(plan, Sharing::by_lifetime), apart = plan_memory(plan, Sharing::none);
  EXPECT_EQ(apart.elements, 5 * 64);
  EXPECT_EQ(shared.elements, 4 * 64);  // x, a, b and c are alive in the third step; y takes a's or b's place
  EXPECT_TRUE(shared.offsets[4] == shared.offsets[1] || shared.offsets[4] == shared.offsets[2]);
}

TEST(MemoryPlan, BuffersOfKernelsThatAreAliveTogetherLieApart) {
  for_each_kernel_plan([](const std::string& kernel, const std::shared_ptr<const Plan>& plan, const Profile&) {
    const std::vector<Lifetime> lives = lifetimes(*plan);
    const MemoryPlan memory = plan_memory(*plan, Sharing::by_lifetime);
    std::int64_t pairs_sharing = 0;
    for (std::size_t a = 0; a < lives.size(); ++a) {
      EXPECT_LE(memory.offsets[a] + plan->buffers[a], memory.elements);
      EXPECT_EQ(memory.offsets[a] % kMemoryAlignment, 0);
      for (std::size_t b = 0; b < a; ++b) {
        const bool share = memory.offsets[a] < memory.offsets[b] + plan->buffers[b] &&
                           memory.offsets[b] < memory.offsets[a] + plan->buffers[a];
        pairs_sharing += share ? 1 : 0;
        EXPECT_FALSE(share && lives[a].overlaps(lives[b])) << kernel << ": buffers " << a << " and " << b;
      }
    }
    const bool long_program = plan->buffers.size() > 12;
    EXPECT_TRUE(pairs_sharing > 0 || !long_program) << kernel;
  });
}

std::vector<float> output_of(const std::shared_ptr<const Plan>& plan, const Profile& profile, Sharing sharing) {
  Evaluator<DeviceArithmetic> evaluator(plan, DeviceArithmetic(profile), nullptr, sharing);
  const auto input = evaluator.input(0);
  std::vector<ane::half_t> bits(input.size());
  Random(3).fill_normal(input, 0.5);
  ane::to_half(input.data(), bits.data(), static_cast<std::int64_t>(bits.size()));
  decode_halves(profile.specials, bits.data(), input.data(), static_cast<std::int64_t>(bits.size()));
  evaluator.run();
  const auto first = evaluator.output(0);
  const std::vector<float> values(first.begin(), first.end());
  evaluator.run();  // on memory that holds the first run's remains; the input must have survived it
  const auto second = evaluator.output(0);
  EXPECT_TRUE(std::equal(values.begin(), values.end(), second.begin()));
  return values;
}

TEST(MemoryPlan, ResultsOfKernelsAreThoseWithoutSharing) {
  for_each_kernel_plan([](const std::string& kernel, const std::shared_ptr<const Plan>& plan, const Profile& profile) {
    EXPECT_EQ(output_of(plan, profile, Sharing::by_lifetime), output_of(plan, profile, Sharing::none))
        << kernel << " on " << profile.name;
  });
}

}  // namespace
}  // namespace aneval::emulator
