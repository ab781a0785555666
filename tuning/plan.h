// What can be known of a point before anything compiles: why it cannot run, and which other points are the same one.
#pragma once

#include <map>
#include <string>

#include "ane/kernels/kernel.h"
#include "ane/mil/family.h"
#include "tuning/sweep_file.h"

namespace aneval::tuning {

struct Planned {
  std::string refused;   // the reason; empty when the point can run
  std::string identity;  // equal for points that are the same work: same context and settings, programs and layouts
};

/// Remembers what it has built.
class Planner {
 public:
  /// `constraints` must outlive this.
  explicit Planner(const std::vector<Constraint>& constraints) : constraints_(constraints) {}

  /// Refused: by a constraint of the sweep, by a rule of variants, because a layer of that variant does not have the
  /// kernel, or by what is known about the family of engines that the profile stands for (`aneval mil check`; only its
  /// errors, and none for a profile of no family).
  const Planned& plan(const Point& point);

 private:
  Planned make(const Point& point) const;

  const std::vector<Constraint>& constraints_;
  std::map<std::string, Planned> known_;
};

/// The family whose engine the point's profile stands for ("h13:slice=exact" stands for h13's); null for ieee and
/// files.
const mil::Family* family_of(const Point& point);

/// A kernel's program of that point, its constants without their numbers.
struct PlannedKernel {
  ane::PackedLayout layout;
  mil::BuiltProgram program;
};
PlannedKernel plan_kernel(const Point& point, const std::string& kernel);
/// The kernels that the point runs: one, or those of the layer's plan.
std::vector<std::string> kernels_of(const Point& point);
/// fp16 bytes that one call and one update of the weights put on its surface.
double staged_bytes(const ane::PackedLayout& layout);
/// Of program text and layout: what the tuning table remembers programs by, on any machine.
std::string program_identity(const PlannedKernel& kernel);

}  // namespace aneval::tuning
