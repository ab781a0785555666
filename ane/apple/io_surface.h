// Surfaces that the engine reads and writes: IOSurfaces, flat runs of bytes.
#pragma once

#include <IOSurface/IOSurfaceRef.h>

#include "ane/apple/objc.h"
#include "ane/surface.h"

namespace aneval::apple {

class IoSurface final : public ane::Surface {
 public:
  /// Errors (exit code 3): the system has no memory for it.
  explicit IoSurface(std::size_t bytes);

  std::size_t bytes() const override { return bytes_; }
  IOSurfaceRef get() const { return surface_.get(); }

 protected:
  std::byte* lock(bool read_only) override;
  void unlock(bool read_only) noexcept override;

 private:
  std::size_t bytes_;
  Ref<IOSurfaceRef> surface_;
};

}  // namespace aneval::apple
