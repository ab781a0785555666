// macOS: sysctl, dyld, notify(3) and pmset (platform.h).
#include <fmt/format.h>
#include <mach-o/dyld.h>
#include <notify.h>
#include <sys/sysctl.h>

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "common/error.h"
#include "common/platform.h"
#include "common/worker.h"

namespace aneval {
namespace {

std::string sysctl_text(const char* name) {
  std::size_t bytes = 0;
  if (::sysctlbyname(name, nullptr, &bytes, nullptr, 0) != 0 || bytes == 0) return "unknown";
  std::string text(bytes, '\0');
  if (::sysctlbyname(name, text.data(), &bytes, nullptr, 0) != 0) return "unknown";
  return text.c_str();  // the length counts the closing NUL
}

/// Integers come in 4 or 8 bytes, depending on the name.
std::int64_t sysctl_integer(const char* name) {
  std::int64_t value = 0;
  std::size_t bytes = sizeof value;
  if (::sysctlbyname(name, &value, &bytes, nullptr, 0) != 0) return 0;
  return bytes == sizeof value ? value : static_cast<std::int32_t>(value & 0xFFFFFFFF);
}

}  // namespace

PlatformFacts platform_facts() {
  PlatformFacts facts;
  facts.chip = sysctl_text("machdep.cpu.brand_string");
  facts.os = fmt::format("macOS {} ({})", sysctl_text("kern.osproductversion"), sysctl_text("kern.osversion"));
  facts.memory_gib = static_cast<double>(sysctl_integer("hw.memsize")) / (1 << 30);
  facts.virtual_machine = sysctl_integer("kern.hv_vmm_present") != 0;
  return facts;
}

PowerState power_state() {
  PowerState state;
  // pmset needs no rights and no Objective-C; a system without it tells nothing.
  const auto pmset = [](const char* what) {
    try {
      return run_process({"pmset", "-g", what}, std::chrono::seconds(5)).out;
    } catch (const Error&) {
      return std::string();
    }
  };
  const std::string source = pmset("batt");
  if (source.find("'AC Power'") != std::string::npos) state.source = "ac";
  if (source.find("'Battery Power'") != std::string::npos) state.source = "battery";
  const std::string settings = pmset("live");
  if (const auto at = settings.find("lowpowermode"); at != std::string::npos) {
    const auto digit = settings.find_first_of("0123456789", at);
    if (digit != std::string::npos) state.low_power = settings[digit] != '0';
  }
  // The key is what macOS posts thermal pressure under: 0 nominal, 1 moderate, 2 heavy, 3 trapping, 4 sleeping.
  int token = 0;
  std::uint64_t level = 0;
  if (::notify_register_check("com.apple.system.thermalpressurelevel", &token) == NOTIFY_STATUS_OK) {
    if (::notify_get_state(token, &level) == NOTIFY_STATUS_OK) state.thermal = static_cast<int>(level);
    ::notify_cancel(token);
  }
  return state;
}

std::filesystem::path configuration_folder_in_home() {
  return std::filesystem::path("Library") / "Application Support";
}

std::string executable_path() {
  std::uint32_t bytes = 0;
  ::_NSGetExecutablePath(nullptr, &bytes);
  std::string path(bytes, '\0');
  if (::_NSGetExecutablePath(path.data(), &bytes) != 0)
    throw refusal("executable", "its path is unknown", "start it by its full path");
  std::error_code error;
  const std::filesystem::path resolved = std::filesystem::canonical(path.c_str(), error);
  return error ? std::string(path.c_str()) : resolved.string();
}

}  // namespace aneval
