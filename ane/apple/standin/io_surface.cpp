// The stand-in's IOSurface. Stricter than Apple's: memory may be had only under a lock, and a lock must be undone with
// the options it was taken with.
#include "ane/apple/standin/io_surface.h"

#include <IOSurface/IOSurfaceRef.h>

#include <cstdlib>
#include <cstring>

namespace aneval::standin {
namespace {

constexpr std::size_t kPage = 16384;

std::size_t property(CFDictionaryRef properties, CFStringRef name) {
  const void* number = CFDictionaryGetValue(properties, name);
  std::int64_t value = 0;
  if (number != nullptr) CFNumberGetValue(static_cast<CFNumberRef>(number), kCFNumberSInt64Type, &value);
  return value < 0 ? 0 : static_cast<std::size_t>(value);
}

Surface& surface(IOSurfaceRef of, const char* function) { return require<Surface>(of, function); }

}  // namespace

Surface::Surface(std::size_t asked) : bytes((asked + kPage - 1) / kPage * kPage) {
  memory = static_cast<std::byte*>(std::aligned_alloc(kPage, bytes));
  if (memory != nullptr) std::memset(memory, 0, bytes);
}

Surface::~Surface() {
  if (readers != 0 || writers != 0) misuse("IOSurface", "released while it was locked");
  std::free(memory);
}

}  // namespace aneval::standin

using namespace aneval::standin;

extern "C" {

const CFStringRef kIOSurfaceWidth = constant_string("IOSurfaceWidth"),
                  kIOSurfaceHeight = constant_string("IOSurfaceHeight"),
                  kIOSurfaceBytesPerElement = constant_string("IOSurfaceBytesPerElement"),
                  kIOSurfaceBytesPerRow = constant_string("IOSurfaceBytesPerRow"),
                  kIOSurfaceAllocSize = constant_string("IOSurfaceAllocSize"),
                  kIOSurfacePixelFormat = constant_string("IOSurfacePixelFormat");

IOSurfaceRef IOSurfaceCreate(CFDictionaryRef properties) {
  const std::size_t width = property(properties, kIOSurfaceWidth), height = property(properties, kIOSurfaceHeight);
  const std::size_t row = property(properties, kIOSurfaceBytesPerRow);
  const std::size_t bytes = property(properties, kIOSurfaceAllocSize);
  if (bytes == 0 || bytes > SIZE_MAX / 2) return nullptr;
  // Rows that do not hold their elements, or do not fit: Apple's returns null as well.
  if (width * property(properties, kIOSurfaceBytesPerElement) > row || height * row > bytes) return nullptr;
  auto* made = new Surface(bytes);
  if (made->memory == nullptr) {
    delete made;
    return nullptr;
  }
  return reinterpret_cast<IOSurfaceRef>(make_object(define_class("IOSurface"), made));
}

kern_return_t IOSurfaceLock(IOSurfaceRef of, IOSurfaceLockOptions options, uint32_t* seed) {
  Surface& locked = surface(of, __func__);
  ++((options & kIOSurfaceLockReadOnly) != 0 ? locked.readers : locked.writers);
  if (seed != nullptr) *seed = locked.seed;
  return 0;
}

kern_return_t IOSurfaceUnlock(IOSurfaceRef of, IOSurfaceLockOptions options, uint32_t* seed) {
  Surface& locked = surface(of, __func__);
  const bool reading = (options & kIOSurfaceLockReadOnly) != 0;
  if (--(reading ? locked.readers : locked.writers) < 0) misuse(__func__, "not locked with these options");
  if (!reading) ++locked.seed;
  if (seed != nullptr) *seed = locked.seed;
  return 0;
}

void* IOSurfaceGetBaseAddress(IOSurfaceRef of) {
  Surface& locked = surface(of, __func__);
  if (locked.readers == 0 && locked.writers == 0) misuse(__func__, "the surface is not locked");
  return locked.memory;
}

size_t IOSurfaceGetAllocSize(IOSurfaceRef of) { return surface(of, __func__).bytes; }

}  // extern "C"
