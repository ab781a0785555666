#include "validate/judge.h"

#include <fmt/format.h>

#include <algorithm>
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

/// `noise` is what the reference itself may be off by.
void note(Comparison& comparison, std::size_t i, std::int64_t tokens, double got, double expected, double bound,
          double noise) {
  const double error = std::abs(got - expected);
  const bool inside = std::isfinite(error) && error <= bound + noise;  // false for NaN, and where no bound exists
  // NaN is the worst there is, and so is any error where nothing may round.
  double ratio = kInfinity;
  if (inside && error <= noise)
    ratio = 0;
  else if (bound > 0 && !std::isnan(error))
    ratio = error / (bound + noise);
  if (!inside) {
    comparison.holds = false;
    ++comparison.violations;
  }
  if (ratio > comparison.worst.ratio || i == 0)
    comparison.worst = {
        static_cast<std::int64_t>(i) / tokens, static_cast<std::int64_t>(i) % tokens, got, expected, bound, ratio};
}

std::string describe(const Comparison& comparison) {
  const Worst& w = comparison.worst;
  return fmt::format("{} elements outside their bound, worst at channel {} token {}: got {}, expected {}, bound {}",
                     comparison.violations, w.channel, w.token, number_text(w.got), number_text(w.expected),
                     number_text(w.bound));
}

}  // namespace

Comparison compare_program(std::span<const Shadow> program, std::span<const double> reference, std::int64_t tokens) {
  const double largest = largest_magnitude(reference);
  Comparison comparison;
  for (std::size_t i = 0; i < reference.size(); ++i)
    note(comparison, i, tokens, program[i].value, reference[i], program[i].bound,
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
    note(comparison, i, tokens, got, expected, s.bound, reference_noise(reference[i], largest));
  }
  return comparison;
}

void conclude(BlockJudgement& j) {
  if (!j.program.holds) {
    j.status = Status::wrong_result;
    j.reason = "the program computes something else than the reference: " + describe(j.program);
  } else if (j.metrics.nan_count > 0 && !j.device.holds) {
    j.status = Status::nonfinite;
    j.reason = fmt::format("{} NaN in the output; {}", j.metrics.nan_count, describe(j.device));
  } else if (!j.device.holds) {
    j.status = Status::failed;
    j.reason = describe(j.device);
  } else if (j.straddling_elements * 100 > j.channels * j.tokens) {
    j.status = Status::degraded;
    j.reason = fmt::format("{} of {} elements may overflow", j.straddling_elements, j.channels * j.tokens);
  } else {
    j.reason = mostly_lost(j.metrics);
    j.status = j.reason.empty() ? Status::ok : Status::degraded;
  }
}

}  // namespace aneval::validate
