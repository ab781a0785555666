// What stands in for the engine: the emulator, on the memory of surfaces.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ane/weight_blob.h"

namespace aneval::standin {

/// A program made from its text. Not for two threads at once.
class Executor {
 public:
  /// Under the profile that ANEVAL_STANDIN_PROFILE names (default h16). Errors: as the emulator's.
  static std::unique_ptr<Executor> make(std::string_view mil, const ane::WeightFiles& weights);
  virtual ~Executor() = default;

  virtual std::size_t input_bytes() const = 0;
  virtual std::size_t output_bytes() const = 0;
  virtual void run(std::span<std::byte> input, std::span<std::byte> output) = 0;
};

/// The profile's name.
std::string profile_name();

}  // namespace aneval::standin
