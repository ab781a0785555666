// Which backend a command gets, and what it needs around it.
#include <algorithm>

#include "ane/apple/apple_device.h"
#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/emulator.h"
#include "cli/command.h"
#include "common/error.h"
#include "common/names.h"

namespace aneval::cli {
namespace {

constexpr const char* kVirtualMachine = "this is a virtual machine: the engine is not usable in one, and compiles hang";

apple::AppleOptions apple_options(const DeviceOptions& options, const Environment& environment) {
  apple::AppleOptions apple;
  apple.chip = environment.chip;
  if (options.compile_limit) apple.compile_limit = options.compile_limit;
  apple.qos = options.qos;
  apple.fresh_compiles = options.timed;
  apple.hardware_time = options.timed;
  return apple;
}

std::unique_ptr<ane::Device> open_apple(const DeviceOptions& options, const Environment& environment) {
  auto device = apple::make_apple_device(apple_options(options, environment));
  if (device->info().backend == "apple" && environment.virtual_machine)
    throw refusal("--backend apple", kVirtualMachine, "use a Mac itself, or --backend emulator");
  return device;
}

std::unique_ptr<ane::Device> open_emulator(const DeviceOptions& options, const Session& session) {
  emulator::EmulatorOptions emulator;
  if (!options.profile.empty()) emulator.profile = options.profile;
  emulator.chip = session.environment.chip;
  emulator.compile_limit = options.compile_limit;
  emulator.pool = session.pool.get();
  return emulator::make_emulator(emulator);
}

WatchdogLimits limits(const DeviceOptions& options) {
  if (!options.time_limit) return {};
  const auto limit = std::chrono::milliseconds(static_cast<std::int64_t>(*options.time_limit * 1000));
  return {limit, limit};
}

/// What kernels are judged by: what was asked for, else the profile of the chip's family, else the default.
emulator::Profile judging_profile(const DeviceOptions& options, const std::string& family) {
  if (!options.profile.empty()) return emulator::find_profile(options.profile);
  const emulator::Profile* own = emulator::builtin_profile(family);
  return own != nullptr ? *own : emulator::find_profile(emulator::kDefaultProfile);
}

}  // namespace

BackendChoice choose_backend(const Environment& environment) {
  try {
    const auto device = open_apple({}, environment);
    const std::string& backend = device->info().backend;
    return {backend, backend == "apple" ? "Apple's private framework can be opened"
                                        : "ANEVAL_ANE_FRAMEWORK names a stand-in of Apple's framework"};
  } catch (const Error& error) {
    return {"emulator", error.reason()};
  }
}

const std::vector<std::string>& backend_names() {
  static const std::vector<std::string> names = {"auto", "apple", "emulator", "reference"};
  return names;
}

Session open_session(const DeviceOptions& options) {
  if (options.backend == "reference")
    throw input_error("--backend reference",
                      "this command needs a device, the reference is what devices are held against",
                      "choose emulator or apple");
  if (std::ranges::find(backend_names(), options.backend) == backend_names().end())
    unknown_name("backend", options.backend, backend_names());
  if (!options.programs.empty() && !std::filesystem::is_directory(options.programs))
    throw input_error("--programs " + options.programs, "is no folder", "give a folder with <kernel>.mil files");

  Session session;
  session.environment = describe_environment(options.machine_label);
  session.run = make_run_context(session.environment);
  if (!options.run_id.empty()) session.run.run_id = checked_label("--run-id", options.run_id);
  session.run.proc = options.proc;
  session.pool = std::make_unique<ThreadPool>(options.threads);
  if (options.backend != "emulator") {
    try {
      session.device = open_apple(options, session.environment);
    } catch (const Error&) {
      if (options.backend == "apple") throw;
    }
  }
  if (session.device) {
    session.watchdog = std::make_unique<Watchdog>(limits(options));
    session.device->observe(session.watchdog.get());
    session.proof = std::make_unique<validate::EngineProof>(*session.device);
    session.profile = judging_profile(options, session.device->info().family);
  } else {
    session.profile = judging_profile(options, "");
    session.device = open_emulator(options, session);
  }
  emulator::require_rules(options.parsed_variant(), session.profile);
  const ane::DeviceInfo& info = session.device->info();
  session.run.backend = info.backend;
  session.run.profile = info.profile;
  session.run.chip = info.chip;
  session.run.family = info.family;
  return session;
}

void write_last_words(Session& session, ResultFile& results) {
  if (!session.watchdog) return;
  session.watchdog->before_the_end([run = session.run, &results](Status status, const std::string& reason) {
    Record row;
    row.run = run;
    row.phase = status == Status::run_timeout ? "eval" : "compile";
    row.metric = "time";
    row.status = status;
    row.reason = reason;
    results.append({row}, 0);
    results.close(reason);
  });
}

}  // namespace aneval::cli
