// For tests: a program on fp16 values under a profile beside its shadows, and whether the one stays within the other.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/evaluator.h"
#include "ane/mil/text.h"
#include "common/random.h"
#include "validate/shadow/half_interval.h"
#include "validate/shadow/shadow.h"

namespace aneval::validate {

/// Profiles that compute differently from one another: h15, h16, h17 and h18 share their arithmetic, h13 and h14
/// theirs.
inline const std::vector<std::string>& distinct_profiles() {
  static const std::vector<std::string> names = {
      "ieee", "h13", "h16", "h16:reduce_sum=wide", "h16:reduce_sum=fp32", "h13:reduce_sum=wide", "h18", "h14"};
  return names;
}

/// What a device holds, and how far at most from it the exact value may lie.
struct TrialInput {
  std::vector<float> held;
  std::vector<double> bound;
};

struct TrialResult {
  std::vector<float> device;
  std::vector<Shadow> shadow;
  double reached = 0;      // largest error / bound
  double most_error = 0;   // largest error
  double most_bound = 0;   // largest bound
  std::int64_t exact = 0;  // elements with a bound of 0
  std::int64_t infinite = 0;
  std::int64_t straddling = 0;
};

inline std::string program_of(const std::string& parameters, const std::string& body) {
  return "program(1.3)\n{ func main<ios18>(" + parameters + ") {\n" + body + "} -> (y); }\n";
}

/// Runs the program on the device's values and on shadows of exact values drawn within the bounds, at their ends half
/// of the time. Fails the test for every device value that its shadow excludes.
inline TrialResult run_trial(const std::string& profile_name, const std::string& text,
                             const std::vector<TrialInput>& inputs, Random& random) {
  static const std::map<std::string, std::vector<double>, std::less<>> kNoConstants;
  const emulator::Profile profile = emulator::find_profile(profile_name);
  const auto plan = std::make_shared<const emulator::Plan>(
      emulator::make_plan(mil::parse(text, "trial.mil"), {}, profile.slice_gain));
  emulator::Evaluator<emulator::DeviceArithmetic> device(plan, emulator::DeviceArithmetic(profile), nullptr);
  emulator::Evaluator<ShadowArithmetic> shadows(plan, ShadowArithmetic(ErrorModel::of(profile), kNoConstants), nullptr);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    for (std::size_t j = 0; j < inputs[i].held.size(); ++j) {
      const float held = inputs[i].held[j];
      const double bound = inputs[i].bound[j];
      const double place = random.below(2) == 0 ? (random.below(2) == 0 ? -1.0 : 1.0) : 2 * random.uniform() - 1;
      device.input(i)[j] = held;
      const double value = static_cast<double>(held) + place * bound;
      // As a rule would have it: the bound covers what rounding did to the sum above.
      shadows.input(i)[j] = {value, std::max(bound, std::abs(value - static_cast<double>(held)))};
    }
  }
  shadows.run();  // first: what they have no rule for is their own error
  device.run();
  TrialResult result;
  result.device.assign(device.output(0).begin(), device.output(0).end());
  result.shadow.assign(shadows.output(0).begin(), shadows.output(0).end());
  for (std::size_t i = 0; i < result.device.size(); ++i) {
    const Shadow& s = result.shadow[i];
    const auto got = static_cast<double>(result.device[i]);
    result.straddling += s.straddles() ? 1 : 0;
    if (std::abs(got) >= kBeyondHalf) {
      ++result.infinite;
      EXPECT_TRUE(got > 0 ? s.plus_infinity : s.minus_infinity)
          << profile_name << " element " << i << ": " << got << " is not foreseen, value " << s.value << " bound "
          << s.bound;
      continue;
    }
    const double error = std::abs(got - s.value);
    EXPECT_TRUE(s.finite) << profile_name << " element " << i << ": finite " << got << ", value " << s.value;
    EXPECT_TRUE(error <= s.bound * (1 + 0x1p-40)) << profile_name << " element " << i << ": got " << got << ", value "
                                                  << s.value << ", bound " << s.bound << ", error " << error;
    result.exact += s.bound == 0 ? 1 : 0;
    result.most_error = std::max(result.most_error, error);
    result.most_bound = std::max(result.most_bound, s.bound);
    if (s.bound > 0) result.reached = std::max(result.reached, error / s.bound);
  }
  return result;
}

/// An fp16 number, as both roundings give it: drawn values are rounded once, to nearest even.
inline float half_of(double value) {
  return static_cast<float>(nearest_half(emulator::Rounding::nearest_even, std::clamp(value, -65504.0, 65504.0)));
}

/// n values that `draw` makes, each certain, or with a bound drawn by `bound` (of the value).
template <class Draw, class Bound>
TrialInput draw_input(std::size_t n, const Draw& draw, const Bound& bound) {
  TrialInput input;
  for (std::size_t i = 0; i < n; ++i) {
    input.held.push_back(half_of(draw()));
    input.bound.push_back(bound(static_cast<double>(input.held.back())));
  }
  return input;
}

}  // namespace aneval::validate
