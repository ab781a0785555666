// What only the operating system knows: platform_linux.cpp or platform_macos.cpp, chosen by CMake. For environment.cpp;
// executable_path (worker.h) is defined in the same files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace aneval {

struct PlatformFacts {
  std::string chip;  // "unknown" when the system does not tell
  std::string os;
  double memory_gib = 0;
  bool virtual_machine = false;
};

PlatformFacts platform_facts();

/// What decides how fast a machine runs right now. Empty where the system does not tell.
struct PowerState {
  std::string source;             // "ac" or "battery"
  std::optional<bool> low_power;  // macOS: the user's low power mode
  std::optional<int> thermal;     // macOS: pressure, 0 nominal to 4 sleeping
  std::optional<double> celsius;  // Linux: the hottest zone
  std::string governor;           // Linux: of the first CPU's clock
};

PowerState power_state();

/// Where a user's configuration lies, relative to the home folder.
std::filesystem::path configuration_folder_in_home();

}  // namespace aneval
