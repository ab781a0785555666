#include "ane/weight_constants.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ane/half.h"
#include "common/error.h"

namespace aneval::ane {
namespace {

constexpr int kLargest = 127;

/// The smallest number of four significant bits that is not below `value`, a positive one.
double four_bits_above(double value) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);  // in [1/2, 1)
  return std::ldexp(std::ceil(fraction * 16) / 16, exponent);
}

/// The next number of four significant bits.
double next_of_four_bits(double value) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  return std::ldexp(fraction + 1.0 / 16, exponent);
}

struct Fit {
  double scale = 1, error = INFINITY;
};

/// x to the nearest integer, ties to even, of |x| < 2^22: in a form that compilers make vectors of.
float nearest(float x) { return (x + 0x1.8p23F) - 0x1.8p23F; }

/// Of the nine scales from the smallest that holds all numbers to twice that: the one with the smallest square error.
double best_scale(std::span<const float> numbers) {
  float largest = 0;
  for (const float number : numbers) largest = std::max(largest, std::abs(number));
  if (largest == 0) return 1;
  // Below 2^-20 a scale of four bits is no fp16 number any more.
  double scale = std::max(four_bits_above(static_cast<double>(largest) / kLargest), 0x1p-20);
  Fit best;
  for (int candidate = 0; candidate < 9; ++candidate, scale = next_of_four_bits(scale)) {
    const auto unit = static_cast<float>(scale), inverse = static_cast<float>(1 / scale);
    constexpr std::size_t kLanes = 16;
    std::array<float, kLanes> sums{};
    std::size_t i = 0;
    for (; i + kLanes <= numbers.size(); i += kLanes)
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const float missing = numbers[i + lane] - nearest(numbers[i + lane] * inverse) * unit;
        sums[lane] += missing * missing;
      }
    double error = 0;
    for (const float sum : sums) error += static_cast<double>(sum);
    for (; i < numbers.size(); ++i) {
      const float missing = numbers[i] - nearest(numbers[i] * inverse) * unit;
      error += static_cast<double>(missing * missing);
    }
    if (error < best.error) best = {scale, error};
  }
  return best.scale;
}

}  // namespace

bool quantizes_activations(const Variant& variant, const PackedLayout& layout) {
  return variant.weights == Weights::w8a8 &&
         std::ranges::any_of(layout.compiled(), [](const Slot& slot) { return slot.eight_bits; });
}

std::int64_t constant_bytes(const Slot& slot) {
  const std::int64_t channels = slot.channels.padded_size(), width = slot.width.padded_size();
  if (!slot.eight_bits) return 2 * channels * width;
  return channels * width + 2 * (slot.outputs == Slot::Outputs::columns ? width : channels);
}

std::int64_t eight_bit_axis(const Slot& slot) { return slot.outputs == Slot::Outputs::columns ? 3 : 1; }

EightBitWeight eight_bit_weight(const Slot& slot, std::span<const float> numbers) {
  const std::int64_t channels = slot.channels.padded_size(), width = slot.width.padded_size();
  const bool columns = slot.outputs == Slot::Outputs::columns;
  const std::int64_t lines = columns ? width : channels, depth = columns ? channels : width;
  const std::int64_t line_step = columns ? 1 : width, depth_step = columns ? width : 1;
  EightBitWeight weight{std::vector<std::int8_t>(numbers.size()), std::vector<float>(static_cast<std::size_t>(lines)),
                        eight_bit_axis(slot)};
  for (const float number : numbers)
    if (!(std::abs(number) <= kHalfMax))
      throw input_error("constant '" + slot.name + "'", std::to_string(number) + " does not fit into fp16",
                        "keep weights within 65504");
  // Lines are gathered in blocks, so that columns do not cost a cache line per number.
  constexpr std::int64_t kBlock = 16;
  std::vector<float> block(static_cast<std::size_t>(kBlock * depth));
  for (std::int64_t begin = 0; begin < lines; begin += kBlock) {
    const std::int64_t end = std::min(lines, begin + kBlock);
    for (std::int64_t i = 0; i < depth; ++i)
      for (std::int64_t line = begin; line < end; ++line)
        block[static_cast<std::size_t>((line - begin) * depth + i)] =
            numbers[static_cast<std::size_t>(line * line_step + i * depth_step)];
    for (std::int64_t line = begin; line < end; ++line) {
      const std::span<const float> of_line(block.data() + (line - begin) * depth, static_cast<std::size_t>(depth));
      const double scale = best_scale(of_line);
      weight.scales[static_cast<std::size_t>(line)] = static_cast<float>(scale);
      for (std::int64_t i = 0; i < depth; ++i) {
        const double q = std::nearbyint(static_cast<double>(of_line[static_cast<std::size_t>(i)]) / scale);
        weight.values[static_cast<std::size_t>(line * line_step + i * depth_step)] =
            static_cast<std::int8_t>(std::clamp(q, -127.0, 127.0));
      }
    }
  }
  return weight;
}

float activation_scale(std::span<const float> numbers) {
  float largest = 0;
  for (const float number : numbers)
    if (std::isfinite(number)) largest = std::max(largest, std::abs(number));
  if (largest == 0) return 1;
  // Four scales from the one that holds everything downwards: half of it clips what lies beyond half the range.
  int exponent = 0;
  std::frexp(static_cast<double>(largest) / kLargest, &exponent);
  Fit best;
  for (int candidate = 0; candidate < 4; ++candidate) {
    const double scale = std::ldexp(1.0, std::clamp(exponent - candidate, -14, 15)), inverse = 1 / scale;
    double error = 0;
    for (const float number : numbers) {
      if (!std::isfinite(number)) continue;
      const double x = static_cast<double>(number);
      const double missing = x - std::clamp(std::nearbyint(x * inverse), -128.0, 127.0) * scale;
      error += missing * missing;
    }
    if (error < best.error) best = {scale, error};
  }
  return static_cast<float>(best.scale);
}

}  // namespace aneval::ane
