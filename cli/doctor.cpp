// aneval doctor: what this machine and this build are, and which backend `auto` picks, and why.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ane/half.h"
#include "cli/command.h"

namespace aneval::cli {
namespace {

struct DoctorOptions {
  bool json = false;
  std::string machine_label;
};

int doctor(const DoctorOptions& options) {
  const Environment environment = describe_environment(options.machine_label);
  const BackendChoice choice = choose_backend();
  if (options.json) {
    auto report = nlohmann::ordered_json::parse(environment_json(environment));
    report["backend"] = choice.backend;
    report["backend_reason"] = choice.why;
    report["profile"] = std::string(emulator::kDefaultProfile);
    report["simd"] = ane::simd_target();
    fmt::print("{}\n", report.dump(2));
    return 0;
  }
  const auto line = [](std::string_view name, const std::string& value) { fmt::print("{:<16} {}\n", name, value); };
  line("aneval", environment.version + " (" + environment.commit + ")");
  line("build", environment.build);
  line("chip", environment.chip);
  line("os", environment.os);
  line("processors", std::to_string(environment.processors));
  line("memory", fmt::format("{:.1f} GiB", environment.memory_gib));
  line("virtual machine", environment.virtual_machine ? "yes" : "no");
  line("machine label", environment.machine);
  line("backend", choice.backend + " (" + choice.why + ")");
  line("profile", std::string(emulator::kDefaultProfile));
  line("simd", ane::simd_target());
  for (const auto& [name, version] : environment.libraries) line(name, version);
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("doctor", "what this machine is and which backend `auto` picks");
  auto options = std::make_shared<DoctorOptions>();
  command->add_flag("--json", options->json, "as JSON");
  command->add_option("--machine-label", options->machine_label, "name of this machine in the records");
  command->callback([options, &action] { action = [options] { return doctor(*options); }; });
}

}  // namespace aneval::cli
