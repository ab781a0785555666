// Whether it is the engine that computes. A framework that runs a program on the CPU instead says nothing of it, and
// its times and results would be taken for the engine's: so its arithmetic is asked first (Fingerprint in probe.h).
#pragma once

#include <cstdint>
#include <optional>

#include "ane/device.h"
#include "validate/probe/probe.h"

namespace aneval::validate {

/// One device's proof, for one thread. Once the device has answered, asking costs nothing.
class EngineProof {
 public:
  explicit EngineProof(ane::Device& device) : device_(device) {}

  /// Compiles, loads and twice evaluates one small program, unless that has been answered before.
  /// Errors (ane::DeviceError): `not_on_engine` when the answers are no engine's; the status of the failure when there
  /// are none, and the next call asks again.
  void require();
  /// What asking compiled so far: a part of the device's own count.
  std::int64_t compiles() const { return compiles_; }

 private:
  ane::Device& device_;
  std::optional<Fingerprint> answer_;
  std::int64_t compiles_ = 0;
};

}  // namespace aneval::validate
