// For tests: an emulator under a profile, and what a device is judged as.
#pragma once

#include <memory>
#include <string>

#include "ane/emulator/emulator.h"
#include "validate/kernel_check.h"

namespace aneval::validate {

inline std::unique_ptr<ane::Device> make_device(const std::string& profile = "ieee") {
  emulator::EmulatorOptions options;
  options.profile = profile;
  return emulator::make_emulator(options);
}

/// The device's own profile is what it is judged as.
inline CheckOptions options_for(ane::Device& device) {
  CheckOptions options;
  options.device = &device;
  options.profile = emulator::find_profile(device.info().profile);
  return options;
}

}  // namespace aneval::validate
