// Judges gatedProjection on the emulator as an M1 (h13) and as an M4 (h16) compute it, at all shapes where indices may
// go wrong; then a wrong version, of which every case must be flagged. Exit code 0: both came out so.
#include <cstdio>
#include <exception>
#include <string>

#include "ane/emulator/device_arithmetic.h"
#include "ane/kernels/parts.h"
#include "registry.h"
#include "validate/emulated_device.h"
#include "validate/suites.h"

namespace {

using namespace aneval;

/// What the kernel is easily mistaken for, W·(gate ∘ x): every shape is the same.
void add_wrong_version(validate::CheckOptions& options) {
  ane::KernelSpec wrong = options.registry.find("gatedProjection");
  wrong.name = "projectionOfGated";
  wrong.program = [](const ane::KernelConfig& config, const ane::PackedLayout& layout) {
    ane::Parts p(config, layout);
    const mil::Value gated = p.builder().mul(p.slot("x"), p.slot("gate"), "gated");
    const mil::Value rows = p.product(p.rows(gated, "gated_rows"), p.weight("w_t"), "o_s");
    return p.finish({p.channels_first(rows, "o")});
  };
  const reference::KernelReference right = options.references.find("gatedProjection");
  options.add(wrong, right.in_double, right.in_float);
}

struct Tally {
  int cases = 0, ok = 0;
  std::string first_reason;
};

/// Every case of the kernel that the profile has rules for.
Tally judge(const std::string& kernel, const validate::CheckOptions& options) {
  validate::KernelChecker checker(options);
  Tally tally;
  for (const validate::Case& c : validate::edge_cases(options.registry, {})) {
    if (c.kernel != kernel || !emulator::has_rules(options.profile, c.variant)) continue;
    const validate::CaseResult result = checker.run(c);
    ++tally.cases;
    if (result.status == Status::ok)
      ++tally.ok;
    else if (tally.first_reason.empty())
      tally.first_reason = std::string(status_name(result.status)) + ": " + result.reason;
  }
  return tally;
}

}  // namespace

int main() try {
  bool as_expected = true;
  for (const char* profile : {"h13", "h16"}) {
    const auto device = validate::make_device(profile);
    validate::CheckOptions options = validate::options_for(*device);
    toy::add_kernels(options);
    add_wrong_version(options);

    const Tally right = judge("gatedProjection", options), wrong = judge("projectionOfGated", options);
    std::printf("%s gatedProjection: %d of %d cases ok\n", profile, right.ok, right.cases);
    if (right.ok != right.cases) std::printf("  %s\n", right.first_reason.c_str());
    std::printf("%s projectionOfGated: %d of %d cases flagged, the first as\n  %s\n", profile, wrong.cases - wrong.ok,
                wrong.cases, wrong.first_reason.c_str());
    as_expected =
        as_expected && right.cases > 20 && right.ok == right.cases && wrong.cases == right.cases && wrong.ok == 0;
  }
  std::printf("%s\n", as_expected ? "PASSED" : "FAILED");
  return as_expected ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "toy_kernel: %s\n", error.what());
  return 2;
}
