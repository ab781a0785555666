// 8-bit weights and scales of activations: what is exact, how large errors are, where scales lie.
#include "ane/weight_constants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ane/half.h"
#include "ane/staging.h"
#include "common/error.h"
#include "common/random.h"

namespace aneval::ane {
namespace {

Slot slot_of(std::int64_t channels, std::int64_t width, Slot::Outputs outputs = Slot::Outputs::columns) {
  Slot slot;
  slot.name = "w_t";
  slot.kind = SlotKind::weight;
  slot.channels = {1, channels, channels};
  slot.width = {1, width, width};
  slot.weight = "w";
  slot.outputs = outputs;
  return slot;
}

double significand_times_16(float scale) {
  int exponent = 0;
  return std::frexp(static_cast<double>(scale), &exponent) * 16;
}

TEST(EightBitWeight, IsWithinHalfAStepAndExactInFp16) {
  for (const auto outputs : {Slot::Outputs::columns, Slot::Outputs::rows}) {
    const Slot slot = slot_of(37, 53, outputs);
    std::vector<float> numbers(37 * 53);
    Random(1).fill_normal(numbers, 0.03);
    const EightBitWeight weight = eight_bit_weight(slot, numbers);
    const bool columns = outputs == Slot::Outputs::columns;
    EXPECT_EQ(weight.axis, columns ? 3 : 1);
    ASSERT_EQ(weight.scales.size(), columns ? 53U : 37U);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const double scale = static_cast<double>(weight.scales[columns ? i % 53 : i / 53]);
      const double held = weight.values[i] * scale;
      EXPECT_LE(std::abs(held - static_cast<double>(numbers[i])), scale / 2 * 1.0000001);
      EXPECT_EQ(static_cast<double>(to_float(to_half(held))), held);
      EXPECT_NE(weight.values[i], -128);
    }
    for (const float scale : weight.scales)
      EXPECT_EQ(std::trunc(significand_times_16(scale)), significand_times_16(scale));
  }
}

TEST(ConstantBytes, AreThoseOfNumbersAndScales) {
  for (const auto outputs : {Slot::Outputs::columns, Slot::Outputs::rows}) {
    Slot slot = slot_of(37, 53, outputs);
    EXPECT_EQ(constant_bytes(slot), 37 * 53 * 2);
    slot.eight_bits = true;
    const EightBitWeight weight = eight_bit_weight(slot, std::vector<float>(37 * 53, 1.0F));
    EXPECT_EQ(static_cast<std::size_t>(constant_bytes(slot)),
              weight.values.size() + weight.scales.size() * sizeof(half_t));
  }
}

TEST(EightBitWeight, EveryOutputHasTheScaleOfItsOwnNumbers) {
  const Slot slot = slot_of(64, 3);
  std::vector<float> numbers(64 * 3);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<float>((i % 2 == 0 ? 0.9 : -0.7) * std::pow(10, static_cast<double>(i % 3)));
  const EightBitWeight weight = eight_bit_weight(slot, numbers);
  EXPECT_NEAR(weight.scales[1] / weight.scales[0], 10, 3);
  EXPECT_NEAR(weight.scales[2] / weight.scales[0], 100, 30);
}

TEST(EightBitWeight, IntegersAndPowersOfTwoAreExact) {
  const Slot slot = slot_of(40, 8);
  std::vector<float> numbers(40 * 8);
  Random random(3);
  for (const float unit : {1.0F, 0x1p-9F, 3.0F}) {
    for (float& number : numbers) number = static_cast<float>(random.below(9) - 4) * unit;
    const EightBitWeight weight = eight_bit_weight(slot, numbers);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      EXPECT_EQ(static_cast<float>(weight.values[i]) * weight.scales[i % 8], numbers[i]);
  }
}

// Against the best of 200 scales: what four significant bits cost.
TEST(EightBitWeight, FourBitScalesCostLittle) {
  const Slot slot = slot_of(1024, 8);
  std::vector<float> numbers(1024 * 8);
  Random(5).fill_normal(numbers, 1);
  const EightBitWeight weight = eight_bit_weight(slot, numbers);
  double ours = 0, best = 0;
  for (std::size_t column = 0; column < 8; ++column) {
    const auto error = [&](double scale) {
      double sum = 0;
      for (std::size_t i = column; i < numbers.size(); i += 8) {
        const double w = static_cast<double>(numbers[i]);
        const double missing = w - std::clamp(std::nearbyint(w / scale), -127.0, 127.0) * scale;
        sum += missing * missing;
      }
      return sum;
    };
    double largest = 0, least = INFINITY;
    for (std::size_t i = column; i < numbers.size(); i += 8)
      largest = std::max(largest, std::abs(static_cast<double>(numbers[i])));
    for (int i = 0; i < 200; ++i) least = std::min(least, error(largest / 127 * (1 - 0.002 * i)));
    ours += error(static_cast<double>(weight.scales[column]));
    best += least;
  }
  EXPECT_LT(std::sqrt(ours / best), 1.15);
  EXPECT_GE(ours, best);
}

TEST(EightBitWeight, ZerosAndPaddingAreZeroAndWhatFp16CannotHoldIsNamed) {
  const Slot slot = slot_of(4, 2);
  std::vector<float> numbers(8, 0.0F);
  for (const std::int8_t value : eight_bit_weight(slot, numbers).values) EXPECT_EQ(value, 0);
  for (const float bad : {1e6F, INFINITY, NAN}) {
    numbers[3] = bad;
    EXPECT_THROW((void)eight_bit_weight(slot, numbers), Error);
  }
}

TEST(StagedNumbers, LieAsTheStagedBitsDo) {
  Slot slot = slot_of(3, 4);
  slot.transposed = true;
  slot.scale = 0.25;
  slot.channels = {1, 3, 32};
  slot.width = {2, 2, 16};
  Tensor natural({4, 3});
  Random(2).fill_normal(natural.data, 1);
  const NamedTensors weights{{"w", natural}};
  const std::vector<half_t> bits = staged_bits(slot, weights);
  const std::vector<float> numbers = staged_numbers(slot, weights);
  ASSERT_EQ(numbers.size(), bits.size());
  for (std::size_t i = 0; i < bits.size(); ++i) EXPECT_EQ(to_half(numbers[i]), bits[i]) << i;
  EXPECT_EQ(numbers[1 * 32 + 17], natural.data[3 * 3 + 1] * 0.25F);
  EXPECT_THROW((void)staged_numbers(slot, {}), Error);
}

TEST(ActivationScale, IsThePowerOfTwoOfTheLeastSquareError) {
  std::vector<float> numbers(10000);
  Random(7).fill_normal(numbers, 1);
  EXPECT_EQ(activation_scale(numbers), 0x1p-5F);  // up to 3.97: four standard deviations
  for (float& number : numbers) number *= 0x1p10F;
  EXPECT_EQ(activation_scale(numbers), 0x1p5F);
  numbers[4] = NAN;
  numbers[5] = INFINITY;
  EXPECT_EQ(activation_scale(numbers), 0x1p5F);
  EXPECT_EQ(activation_scale(std::vector<float>(5, 0.0F)), 1);
  EXPECT_EQ(activation_scale(std::vector<float>{-128, 1, 3}), 1);
}

TEST(ActivationScale, ClipsAnOutlierThatWouldCoarsenAllOthers) {
  std::vector<float> numbers(100000, 0.9F);
  for (std::size_t i = 0; i < numbers.size(); i += 2) numbers[i] = -0.31F;
  const float without = activation_scale(numbers);
  numbers[0] = 1.5F;
  EXPECT_EQ(activation_scale(numbers), without);
  numbers[0] = 150;
  EXPECT_GT(activation_scale(numbers), without);
}

}  // namespace
}  // namespace aneval::ane
