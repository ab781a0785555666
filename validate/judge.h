// Judges one output block of a kernel. Three comparisons, each with its own meaning:
//
//   program check   the program, evaluated without rounding, against the reference: a wrong head map, mask, scale, slot
//                   or rotation shows here, before any arithmetic is argued about
//   device check    gate 1: |device − reference| ≤ E for every element, E from the error shadows; where E = 0 the two
//                   must be equal. Gates 2 and 3: the errors are spread as the shadows say (gates.h)
//   metrics         reported beside them
//
// Acceptance is written so that NaN fails.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/record.h"
#include "validate/gates.h"
#include "validate/metrics.h"
#include "validate/shadow/shadow.h"

namespace aneval::validate {

/// What found a block wrong.
enum class Gate { none, program, bound, deviation, spread };
std::string_view gate_name(Gate gate);

/// Where a comparison is worst, and by how much.
struct Worst {
  std::int64_t channel = 0, token = 0;
  double got = 0, expected = 0, bound = 0, bias = 0, sigma = 0;
  double ratio = 0;  // |got − expected| / bound; infinite where a value that cannot round differs
};

struct Comparison {
  bool holds = true;
  Worst worst;
  std::int64_t violations = 0;
  Counts ratios{};  // of |got − expected| / bound, of elements whose bound leaves more than one number
};

struct BlockJudgement {
  std::string block;
  std::int64_t channels = 0, tokens = 0;
  Comparison program, device;
  SpreadJudgement spread;
  Worst spread_worst;  // the element of the largest deviation
  Metrics metrics;
  double reference_error = 0;            // rms of fp32 reference − double reference, by the rms of σ
  std::int64_t exact_elements = 0;       // only one fp16 number lies within the bound
  std::int64_t straddling_elements = 0;  // may be infinite, or must be
  bool all_zero = false;                 // every output, though not every reference
  Status status = Status::ok;
  Gate gate = Gate::none;       // the first that did not hold
  double excess = 0;            // how many times the gate's limit was reached; infinite where nothing may differ
  std::vector<Shadow> shadows;  // per element, if asked for (CheckOptions::keep_shadows)
  std::string reason;
};

/// |value − reference| ≤ bound + 1e-12·(|reference| + largest |reference| of the block): bound is what rounding
/// constants of unknown origin may have done, the rest is the rounding of double arithmetic.
Comparison compare_program(std::span<const Shadow> program, std::span<const double> reference, std::int64_t tokens);

/// Gate 1. An element passes as an infinity that its shadow allows, or within its bound where it may be finite.
Comparison compare_device(std::span<const float> device, std::span<const double> reference,
                          std::span<const Shadow> shadow, std::int64_t tokens);

/// Gates 2 and 3, into spread and spread_worst.
void compare_spread(std::span<const float> device, std::span<const double> reference, std::span<const Shadow> shadow,
                    BlockJudgement& judgement);

/// The fp32 reference, which users see, must not be what an error is made of: this part of σ at most.
inline constexpr double kReferenceError = 0.1;
/// rms(single − reference) / rms(σ) over the elements with a spread. Not element by element: where terms cancel, a
/// device that adds in fp32 is as exact as the fp32 reference. NaN is infinite.
double reference_error(std::span<const float> single, std::span<const double> reference,
                       std::span<const Shadow> shadow);

/// fp16 numbers lie at least 2^-24 apart: a smaller bound than a quarter of that leaves room for one only.
inline constexpr double kSingleNumberBound = 0x1p-26;

/// Status and reason from the parts: the program check first, since a wrong program explains a wrong result.
void conclude(BlockJudgement& judgement);

}  // namespace aneval::validate
