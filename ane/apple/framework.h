// The private framework: its library, and the classes that the backend needs. Names and signatures: maderix/ANE,
// training_dynamic/io.h, and the class listings of tmc/apple, private/appleneuralengine.
#pragma once

#include <string>

#include "ane/apple/objc.h"

namespace aneval::apple {

/// Exported by the library that stands in for Apple's in tests.
inline constexpr const char* kStandInSymbol = "aneval_standin";

class Framework {
 public:
  /// Opens the library. Errors (exit code 3): it cannot be opened, a class is missing.
  explicit Framework(const std::string& path);

  Class descriptor() const { return descriptor_; }  // _ANEInMemoryModelDescriptor
  Class model() const { return model_; }            // _ANEInMemoryModel
  Class request() const { return request_; }        // _ANERequest
  Class surface() const { return surface_; }        // _ANEIOSurfaceObject
  Class statistics() const { return statistics_; }  // _ANEPerformanceStats; null where there is none

  /// Whether this is the library of the tests and not Apple's: it says so itself.
  bool stand_in() const { return stand_in_; }
  /// "h16" from the device's own "h16g" (_ANEDeviceInfo aneSubType); empty where it does not tell.
  std::string family() const;

 private:
  Class descriptor_, model_, request_, surface_, statistics_;
  bool stand_in_;
};

}  // namespace aneval::apple
