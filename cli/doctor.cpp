// aneval doctor: what this machine and this build are, which backend `auto` picks and why, and whether the machine is
// in a state to measure on.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ane/half.h"
#include "cli/command.h"
#include "common/error.h"
#include "common/names.h"
#include "reference/blas.h"

namespace aneval::cli {
namespace {

using nlohmann::ordered_json;

struct DoctorOptions {
  bool json = false;
  std::string machine_label, require;
};

ordered_json libraries(const Environment& environment) {
  ordered_json all = {{"eigen", ANEVAL_EIGEN_VERSION},
                      {"google-benchmark", ANEVAL_BENCHMARK_VERSION},
                      {"highway", ANEVAL_HIGHWAY_VERSION},
                      {"cli11", CLI11_VERSION}};
  for (const auto& [name, version] : environment.libraries) all[name] = version;
  return all;
}

std::string describe(const Environment& environment) {
  const BackendChoice choice = choose_backend(environment);
  auto report = ordered_json::parse(environment_json(environment));
  report["backend"] = choice.backend;
  report["backend_reason"] = choice.why;
  report["profile"] = std::string(emulator::kDefaultProfile);
  report["simd"] = ane::simd_target();
  report["compiler"] = __VERSION__;
  report["blas"] = reference::blas_name();
  report["libraries"] = libraries(environment);
  // Foreign bytes in a CPU's name are no reason to say nothing.
  return report.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

/// Why one of "ane", "ac", "no-lowpower", "thermal=N" does not hold; empty when it does. Errors: another word.
std::string unmet(const std::string& requirement, const Environment& environment) {
  const PowerState& power = environment.power;
  if (requirement == "ane") {
    if (environment.virtual_machine) return "this is a virtual machine: the engine is not usable in one";
    const BackendChoice choice = choose_backend(environment);
    return choice.backend == "apple" ? "" : "the backend is " + choice.backend + ": " + choice.why;
  }
  if (requirement == "ac")
    return power.source == "ac" ? "" : "the power source is " + (power.source.empty() ? "unknown" : power.source);
  if (requirement == "no-lowpower") {
    if (!power.low_power) return "the system does not tell whether low power mode is on";
    return *power.low_power ? "low power mode is on" : "";
  }
  if (requirement.starts_with("thermal=")) {
    const std::int64_t most = parse_int(requirement.substr(8), "--require thermal");
    if (!power.thermal) return "the system tells no thermal pressure";
    return *power.thermal <= most ? "" : fmt::format("thermal pressure is {}", *power.thermal);
  }
  unknown_name("requirement", requirement, {"ane", "ac", "no-lowpower", "thermal=0"});
}

int doctor(const DoctorOptions& options) {
  const Environment environment = describe_environment(options.machine_label);
  std::vector<std::string> wrong;
  for (const std::string& requirement : split(options.require, ','))
    if (const std::string why = unmet(requirement, environment); !why.empty())
      wrong.push_back(requirement + " (" + why + ")");

  const std::string report = describe(environment);
  if (options.json)
    fmt::print("{}\n", report);
  else
    for (const auto& [name, value] : environment_lines(report)) fmt::print("{:<16} {}\n", name, value);
  if (!wrong.empty())
    throw refusal("--require", "not met: " + join(wrong, ", "), "measure on a machine, or in a state, that meets it");
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("doctor", "what this machine is and which backend `auto` picks");
  auto options = std::make_shared<DoctorOptions>();
  command->add_flag("--json", options->json, "as JSON: the environment.json of a run");
  command->add_option("--require", options->require,
                      "exit 3 unless all hold: ane (a usable engine), ac, no-lowpower, thermal=N (pressure at most N)");
  command->add_option("--machine-label", options->machine_label, "name of this machine in the records");
  command->callback([options, &action] { action = [options] { return doctor(*options); }; });
}

}  // namespace aneval::cli
