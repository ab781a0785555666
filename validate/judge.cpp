#include "validate/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "common/names.h"

namespace aneval::validate {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Relative rounding of double arithmetic over sums of a few thousand terms: 2^-53 · 4096 = 4.5e-13.
constexpr double kDoubleNoise = 1e-12;

/// The reference's own rounding: relative to the element, and, where terms cancel, to the largest of the block. Never
/// more than 1/64 of the smallest spacing of fp16, so that it hides no step of a device.
double reference_noise(double reference, double largest) {
  return kDoubleNoise * std::abs(reference) + std::min(kDoubleNoise * largest, 0x1p-30);
}

double largest_magnitude(std::span<const double> values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

Worst worst_at(std::size_t i, std::int64_t tokens, double got, double expected, const Shadow& shadow, double ratio) {
  const auto at = static_cast<std::int64_t>(i);
  return {at / tokens,    at % tokens, got, expected, shadow.bound, static_cast<double>(shadow.bias),
          shadow.sigma(), ratio};
}

/// `noise` is what the reference itself may be off by.
void note(Comparison& comparison, std::size_t i, std::int64_t tokens, double got, double expected, const Shadow& shadow,
          double noise) {
  const double bound = shadow.bound, error = std::abs(got - expected);
  const bool inside = std::isfinite(error) && error <= bound + noise;  // false for NaN, and where no bound exists
  // NaN is the worst there is, and so is any error where nothing may round.
  double ratio = kInfinity;
  if (inside && error <= noise)
    ratio = 0;
  else if (bound > 0 && !std::isnan(error))
    ratio = error / (bound + noise);
  if (bound >= kSingleNumberBound) count(kBoundEdges, ratio, comparison.ratios);
  if (!inside) {
    comparison.holds = false;
    ++comparison.violations;
  }
  if (ratio > comparison.worst.ratio || i == 0) comparison.worst = worst_at(i, tokens, got, expected, shadow, ratio);
}

std::string describe(const Worst& w) {
  return fmt::format("channel {} token {}: got {}, expected {}, E {:.3g}, B {:.3g}, σ {:.3g}", w.channel, w.token,
                     number_text(w.got), number_text(w.expected), w.bound, w.bias, w.sigma);
}

std::string describe(const Comparison& comparison) {
  return fmt::format("{} elements outside their bound, worst at {}", comparison.violations, describe(comparison.worst));
}

std::string describe(const SpreadJudgement& spread, const Worst& worst) {
  if (spread.violations > 0)
    return fmt::format("{} elements deviate from what is expected by more than {:.2f} σ, worst at {}: {:.3g} σ",
                       spread.violations, spread.limit, describe(worst), spread.largest);
  return fmt::format("errors are spread wider than expected: R {:.3g}, limit {:.3g}; worst at {}: {:.3g} σ", spread.rms,
                     spread.rms_limit, describe(worst), spread.largest);
}

}  // namespace

Comparison compare_program(std::span<const Shadow> program, std::span<const double> reference, std::int64_t tokens) {
  const double largest = largest_magnitude(reference);
  Comparison comparison;
  for (std::size_t i = 0; i < reference.size(); ++i)
    note(comparison, i, tokens, program[i].value, reference[i], program[i],
         kDoubleNoise * (std::abs(reference[i]) + largest));
  return comparison;
}

Comparison compare_device(std::span<const float> device, std::span<const double> reference,
                          std::span<const Shadow> shadow, std::int64_t tokens) {
  const double largest = largest_magnitude(reference);
  Comparison comparison;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double got = static_cast<double>(device[i]);
    const Shadow& s = shadow[i];
    if (std::isinf(got) && (std::signbit(got) ? s.minus_infinity : s.plus_infinity)) continue;
    // Where the device must overflow, a finite value is as wrong as can be.
    const double expected = s.finite ? reference[i] : s.plus_infinity ? kInfinity : -kInfinity;
    note(comparison, i, tokens, got, expected, s, reference_noise(reference[i], largest));
  }
  return comparison;
}

void compare_spread(std::span<const float> device, std::span<const double> reference, std::span<const Shadow> shadow,
                    BlockJudgement& j) {
  const double absolute = reference_noise(0, largest_magnitude(reference));
  j.spread = judge_spread(device, reference, shadow, kDoubleNoise, absolute);
  const std::size_t i = j.spread.worst;
  if (i < reference.size())
    j.spread_worst = worst_at(i, j.tokens, static_cast<double>(device[i]), reference[i], shadow[i], j.spread.largest);
  const auto zero = [](auto value) { return value == 0; };
  j.all_zero =
      std::all_of(device.begin(), device.end(), zero) && !std::all_of(reference.begin(), reference.end(), zero);
}

double reference_error(std::span<const float> single, std::span<const double> reference,
                       std::span<const Shadow> shadow) {
  double errors = 0, variances = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double sigma = shadow[i].sigma(), error = static_cast<double>(single[i]) - reference[i];
    if (!std::isfinite(sigma) || sigma == 0) continue;
    errors += error * error;
    variances += sigma * sigma;
  }
  if (variances == 0) return 0;
  return std::isfinite(errors) ? std::sqrt(errors / variances) : kInfinity;
}

std::string_view gate_name(Gate gate) {
  constexpr std::array<std::string_view, 5> kNames = {"none", "program", "bound", "deviation", "spread"};
  return kNames.at(static_cast<std::size_t>(gate));
}

void conclude(BlockJudgement& j) {
  const auto fail = [&](Status status, Gate gate, double excess, std::string reason) {
    j.status = status;
    j.gate = gate;
    j.excess = excess;
    j.reason = std::move(reason);
  };
  const std::string zero = j.all_zero ? "every output is zero: " : "";
  if (!j.program.holds)
    fail(Status::wrong_result, Gate::program, j.program.worst.ratio,
         "the program computes something else than the reference: " + describe(j.program));
  else if (!(j.reference_error <= kReferenceError))
    fail(Status::wrong_result, Gate::program, j.reference_error / kReferenceError,
         fmt::format("the fp32 reference is off by {:.3g} of what a device is spread by: at most {} is allowed",
                     j.reference_error, kReferenceError));
  else if (j.metrics.nan_count > 0 && !j.device.holds)
    fail(Status::nonfinite, Gate::bound, j.device.worst.ratio,
         fmt::format("{} NaN in the output; {}", j.metrics.nan_count, describe(j.device)));
  else if (!j.device.holds)
    fail(Status::failed, Gate::bound, j.device.worst.ratio, zero + describe(j.device));
  else if (j.spread.violations > 0)
    fail(Status::failed, Gate::deviation, j.spread.deviation_ratio(), zero + describe(j.spread, j.spread_worst));
  else if (!j.spread.holds())
    fail(Status::failed, Gate::spread, j.spread.spread_ratio(), zero + describe(j.spread, j.spread_worst));
  else if (j.straddling_elements * 100 > j.channels * j.tokens)
    fail(Status::degraded, Gate::none, 0,
         fmt::format("{} of {} elements may overflow", j.straddling_elements, j.channels * j.tokens));
  else if (std::string lost = mostly_lost(j.metrics); !lost.empty())
    fail(Status::degraded, Gate::none, 0, std::move(lost));
  else if ((j.spread.reference_rms > 0 && j.spread.predicted_error > 0.1 * j.spread.reference_rms) ||
           j.spread.vanishing * 100 > j.channels * j.tokens)  // what this device was spared
    fail(Status::degraded, Gate::none, 0,
         fmt::format("the error to be expected is {:.2g} % of the reference's rms, and {} of {} elements vanish",
                     100 * j.spread.predicted_error / j.spread.reference_rms, j.spread.vanishing,
                     j.channels * j.tokens));
}

}  // namespace aneval::validate
