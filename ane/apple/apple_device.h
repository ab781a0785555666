// The engine itself, through Apple's private framework. What is hard about it: calls that fail without a word, a budget
// of compiles per process, failed compiles that slow the next ones, and calls that never return; the last end only with
// their process (common/worker.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ane/device.h"

namespace aneval::apple {

/// About 119 compiles succeed per process; later ones fail without an error (maderix/ANE, training_dynamic/README.md;
/// 119 to 132 on M4, mechramc/Orion docs/ane_constraints.md).
inline constexpr std::int64_t kCompileLimit = 119;

/// Quality of service: 9 background, 17 utility, 21 default, 25 user initiated, 33 user interactive. No effect on
/// times was found on M4 Max and M5 (dev-erik/ANE docs; maderix/ANE training/m5result.md).
inline constexpr unsigned kDefaultQos = 21;

inline constexpr const char* kAppleFramework =
    "/System/Library/PrivateFrameworks/AppleNeuralEngine.framework/AppleNeuralEngine";

struct AppleOptions {
  std::string framework;  // library to open; empty: $ANEVAL_ANE_FRAMEWORK, else Apple's own
  std::string chip;       // for the records
  std::optional<std::int64_t> compile_limit = kCompileLimit;
  unsigned qos = kDefaultQos;
  bool fresh_compiles = false;  // purge what earlier compiles left in the system's cache: for timing compiles
  bool hardware_time = false;   // ask for the engine's own clock
  /// Wait after a failed compile before the next one, on Apple's framework (sbryngelson/ANEForge issue 149 paces 15 s).
  std::chrono::milliseconds pause_after_failure{15'000};
};

/// The library that would be opened.
std::string framework_path(const AppleOptions& options);

/// Its info says `apple`, or `apple-standin` when the library says that it is one. Errors (exit code 3): the library
/// cannot be opened, a class is missing.
std::unique_ptr<ane::Device> make_apple_device(const AppleOptions& options);

}  // namespace aneval::apple
