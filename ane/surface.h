// Memory shared with the engine. It may be touched only under a lock, because IOSurface needs the lock to keep CPU
// caches and the engine's DMA coherent; a lock is a scope, so that no path forgets to unlock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "ane/half.h"

namespace aneval::ane {

/// One surface: a flat run of bytes, zeroed when it is created (padding is read as +0 for ever after).
class Surface {
 public:
  virtual ~Surface() = default;
  virtual std::size_t bytes() const = 0;

 protected:
  friend class SurfaceLock;
  virtual std::byte* lock(bool read_only) = 0;
  virtual void unlock(bool read_only) noexcept = 0;
};

/// Base of both locks; not used directly.
class SurfaceLock {
 public:
  SurfaceLock(const SurfaceLock&) = delete;
  SurfaceLock& operator=(const SurfaceLock&) = delete;

 protected:
  SurfaceLock(Surface& surface, bool read_only)
      : surface_(surface), base_(surface.lock(read_only)), read_only_(read_only) {}
  ~SurfaceLock() { surface_.unlock(read_only_); }

  Surface& surface_;
  std::byte* base_;
  bool read_only_;
};

/// Shared access for reading. Several may exist at once.
class ReadLock : public SurfaceLock {
 public:
  explicit ReadLock(Surface& surface) : SurfaceLock(surface, true) {}
  std::span<const std::byte> bytes() const { return {base_, surface_.bytes()}; }
  std::span<const half_t> halves() const {
    return {reinterpret_cast<const half_t*>(base_), surface_.bytes() / sizeof(half_t)};
  }
};

/// Exclusive access for writing.
class WriteLock : public SurfaceLock {
 public:
  explicit WriteLock(Surface& surface) : SurfaceLock(surface, false) {}
  std::span<std::byte> bytes() const { return {base_, surface_.bytes()}; }
  std::span<half_t> halves() const { return {reinterpret_cast<half_t*>(base_), surface_.bytes() / sizeof(half_t)}; }
};

/// A surface in ordinary memory (64-byte aligned): the emulator's, and that of tests. Locking twice for writing,
/// reading while locked for writing and the like throw std::logic_error, so that misuse shows on any machine.
std::unique_ptr<Surface> make_host_surface(std::size_t bytes);

/// NaN patterns that no profile produces: an output element still equal to the poison was not written. The two
/// alternate between evaluations, so that a stale output cannot pass for a fresh one.
inline constexpr half_t kPoison[2] = {0x7D5A, 0xFD5A};

void poison(Surface& surface, half_t pattern);
/// Number of elements that still equal the pattern.
std::int64_t count_poison(Surface& surface, half_t pattern);

/// Identifies the surface's content: 16 hexadecimal digits.
std::string surface_hash(Surface& surface);

}  // namespace aneval::ane
