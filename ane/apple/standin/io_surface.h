// The stand-in's surfaces, and what the framework's stand-in may know of them.
#pragma once

#include <CoreFoundation/CoreFoundation.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ane/apple/standin/object.h"

namespace aneval::standin {

struct Surface : Payload {
  explicit Surface(std::size_t bytes);
  ~Surface() override;
  Surface(const Surface&) = delete;
  Surface& operator=(const Surface&) = delete;

  std::byte* memory = nullptr;
  std::size_t bytes = 0;  // allocated: whole pages, as on Apple's systems
  std::atomic<int> readers{0}, writers{0};
  std::atomic<std::uint32_t> seed{0};  // counts changes by the CPU
};

/// A string that lives as long as the process and counts as no object.
CFStringRef constant_string(const char* text);

}  // namespace aneval::standin
