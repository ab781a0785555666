// The emulator as a device: executes the same MIL text that the engine would get, under a numerics profile.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ane/device.h"
#include "ane/emulator/profile.h"
#include "ane/mil/program.h"
#include "common/safetensors.h"
#include "common/thread_pool.h"

namespace aneval::emulator {

struct EmulatorOptions {
  std::string profile{kDefaultProfile};
  std::string chip;                           // this machine's CPU, for the records
  std::optional<std::int64_t> compile_limit;  // none unless the user asks
  ThreadPool* pool = nullptr;                 // not owned; null means the calling thread
};

std::unique_ptr<ane::Device> make_emulator(const EmulatorOptions& options);

/// Runs any program of any signature: inputs by parameter name (F16 bit for bit, F32 rounded to nearest even where the
/// parameter is fp16), outputs by name, widened. Errors: a missing input, a wrong shape or type.
NamedTensors run_program(const mil::Program& program, const ane::WeightFiles& weights, const StoredTensors& inputs,
                         const Profile& profile, ThreadPool* pool);

}  // namespace aneval::emulator
