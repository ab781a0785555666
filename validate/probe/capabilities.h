// The capability probes: which shapes, widths, channels and operations a device takes, tried one by one, beside what
// `mil check` knows of the family. One table, capabilities.cpp; to add a trial: a row there.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ane/device.h"
#include "ane/mil/builder.h"

namespace aneval::validate {

/// A program whose input is `fill` everywhere, and what then every element of its output must be.
struct Trial {
  mil::BuiltProgram program;  // its text is what the device gets
  float fill = 1;
  std::optional<float> expected = {};  // without it: anything that is finite
};

struct Capability {
  std::string subject, value;  // "conv channels", "512"
  bool large = false;          // left out of quick runs
  std::function<Trial()> make;

  std::string name() const { return subject + " " + value; }
};

const std::vector<Capability>& capabilities();
/// Errors: unknown name.
const Capability& find_capability(std::string_view name);

struct CapabilityResult {
  Status status = Status::ok;  // compile_error, run_error, wrong_result, nonfinite …
  std::string reason = {};
  std::vector<std::string> checks = {};  // rules of `mil check --family` that speak against the program
};

/// Compiles, loads and evaluates it once. Never throws what a device refused.
CapabilityResult try_capability(ane::Device& device, const Capability& capability);

}  // namespace aneval::validate
