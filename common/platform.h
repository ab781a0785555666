// What only the operating system knows: platform_linux.cpp or platform_macos.cpp, chosen by CMake. For environment.cpp;
// executable_path (worker.h) is defined in the same files.
#pragma once

#include <filesystem>
#include <string>

namespace aneval {

struct PlatformFacts {
  std::string chip;  // "unknown" when the system does not tell
  std::string os;
  double memory_gib = 0;
  bool virtual_machine = false;
};

PlatformFacts platform_facts();

/// Where a user's configuration lies, relative to the home folder.
std::filesystem::path configuration_folder_in_home();

}  // namespace aneval
