// Whether a defect can be seen in a case at all, worked out in double and without a device: what it changes in every
// output block, in exact arithmetic, against the spread σ of healthy errors and the limits of the gates (gates.h).
//
// A change of 2k·σ at one element leaves k·σ when a healthy error pulls the other way, and 3R in root mean square
// leaves more than R: such a change must be found. What is smaller may be found, or drown.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "validate/kernel_check.h"
#include "validate/self_test/defects.h"

namespace aneval::validate {

/// A case as a healthy device sees it: what defects are held against.
struct HealthyCase {
  DefectSite site;  // its configuration refers to the data
  std::shared_ptr<const CaseData> data;
  mil::BuiltProgram program;
  std::vector<ane::half_t> input;      // what lies on the surface
  std::vector<Shadow> exact;           // the output surface in exact arithmetic
  std::vector<BlockJudgement> blocks;  // with shadows
};

/// Errors: a case that a healthy device cannot run, or that the checker's own KernelChecker does not pass with shadows.
HealthyCase prepare_healthy(const CheckOptions& options, const Case& c);

struct Visibility {
  std::string block;     // where it shows most
  double deviation = 0;  // largest |Δ|/σ there; infinite where a value that is known differs
  double spread = 0;     // rms(Δ/σ) there
  double ratio = 0;      // the larger of deviation/2k and spread/3R: visible from 1 on
  double change = 0;     // largest |Δ| / largest |value| of a block: what the program check sees
  bool visible() const { return ratio >= 1; }
};

/// What the program check allows (judge.h), with room for the rounding of both evaluations.
inline constexpr double kProgramNoise = 4e-12;

/// `expected_device` false: Δ in exact arithmetic. True: Δ of what the profile's device is expected to give, bias
/// included: smaller where an accumulator drops the products in question, whatever their operands.
Visibility visibility(const HealthyCase& healthy, const Defect& defect, const emulator::Profile& profile,
                      bool expected_device = false);

}  // namespace aneval::validate
