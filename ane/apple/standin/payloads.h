// What the objects of the stand-in's framework hold: descriptors, surfaces, requests, statistics, models.
#pragma once

#include <CoreFoundation/CoreFoundation.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ane/apple/standin/executor.h"
#include "ane/apple/standin/object.h"

extern "C" CFStringRef NSTemporaryDirectory(void);

namespace aneval::standin {

/// A retained reference.
template <class T>
struct Kept {
  explicit Kept(const void* of) : object(static_cast<T>(const_cast<void*>(of))) {
    if (of != nullptr) CFRetain(of);
  }
  ~Kept() {
    if (object != nullptr) CFRelease(object);
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  T object;
};

inline std::string text_of(CFStringRef string) {
  std::string text(static_cast<std::size_t>(CFStringGetLength(string)) * 3 + 1, '\0');
  CFStringGetCString(string, text.data(), static_cast<CFIndex>(text.size()), kCFStringEncodingUTF8);
  return text.c_str();
}

inline std::string_view content(CFDataRef data) {
  return {reinterpret_cast<const char*>(CFDataGetBytePtr(data)), static_cast<std::size_t>(CFDataGetLength(data))};
}

inline CFStringRef make_string(std::string_view text) {
  return CFStringCreateWithBytes(kCFAllocatorDefault, reinterpret_cast<const std::uint8_t*>(text.data()),
                                 static_cast<CFIndex>(text.size()), kCFStringEncodingUTF8, false);
}
struct Descriptor : Payload {
  Descriptor(const void* mil, const void* dictionary) : text(mil), weights(dictionary) {}
  Kept<CFDataRef> text;
  Kept<CFDictionaryRef> weights;

  /// Throws std::runtime_error on a dictionary of another form.
  ane::WeightFiles files() const {
    static const CFStringRef data = constant_string("data"), offset = constant_string("offset");
    const auto count = static_cast<std::size_t>(CFDictionaryGetCount(weights.object));
    std::vector<const void*> keys(count), values(count);
    CFDictionaryGetKeysAndValues(weights.object, keys.data(), values.data());
    ane::WeightFiles files;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string path = text_of(static_cast<CFStringRef>(keys[i]));
      const auto* entry = static_cast<CFDictionaryRef>(values[i]);
      const void *bytes = CFDictionaryGetValue(entry, data), *begin = CFDictionaryGetValue(entry, offset);
      if (bytes == nullptr || begin == nullptr) throw std::runtime_error(path + " has no data or no offset");
      const std::string_view view = content(static_cast<CFDataRef>(bytes));
      auto& file = files[path];
      file.resize(view.size());
      std::memcpy(file.data(), view.data(), view.size());
    }
    return files;
  }
};

struct SurfaceObject : Payload {
  explicit SurfaceObject(const void* surface) : io_surface(surface) {}
  Kept<const void*> io_surface;
};

struct Statistics : Payload {
  std::atomic<std::uint64_t> nanoseconds{0};
};

struct Request : Payload {
  Request(const void* in, const void* out, const void* stats) : inputs(in), outputs(out), statistics(stats) {}
  Kept<CFArrayRef> inputs, outputs;
  Kept<const void*> statistics;
};

enum class State { made, compiled, loaded };

struct Model : Payload {
  Model(const void* of, std::string hex) : descriptor(of), identifier(std::move(hex)) {}
  Kept<const void*> descriptor;
  std::string identifier;
  std::mutex mutex;
  State state = State::made;
  unsigned statistics_mask = 0;
  std::unique_ptr<Executor> executor;

  const Descriptor& described() const { return require<Descriptor>(descriptor.object, "model"); }
  std::filesystem::path folder() const { return std::filesystem::path(text_of(NSTemporaryDirectory())) / identifier; }
};

}  // namespace aneval::standin
