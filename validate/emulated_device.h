// An emulator under a profile, and what a device is judged as: for the self-test, for tests, and for projects that
// judge kernels.
#pragma once

#include <memory>
#include <string>

#include "ane/emulator/emulator.h"
#include "validate/kernel_check.h"

namespace aneval::validate {

inline std::unique_ptr<ane::Device> make_device(const std::string& profile = "ieee", ThreadPool* pool = nullptr) {
  emulator::EmulatorOptions options;
  options.profile = profile;
  options.pool = pool;
  return emulator::make_emulator(options);
}

/// The device's own profile is what it is judged as.
inline CheckOptions options_for(ane::Device& device, ThreadPool* pool = nullptr) {
  CheckOptions options;
  options.device = &device;
  options.pool = pool;
  options.profile = emulator::find_profile(device.info().profile);
  return options;
}

}  // namespace aneval::validate
