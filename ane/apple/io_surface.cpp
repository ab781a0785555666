#include "ane/apple/io_surface.h"

#include <fmt/format.h>

#include <cstring>

#include "common/error.h"

namespace aneval::apple {
namespace {

/// One row of single bytes: the engine reads a surface as packed, whatever its rows are said to be.
Ref<IOSurfaceRef> create(std::size_t bytes) {
  const auto size = make_number(static_cast<std::int64_t>(bytes)), one = make_number(1), zero = make_number(0);
  const auto properties = make_dictionary({kIOSurfaceWidth, kIOSurfaceHeight, kIOSurfaceBytesPerElement,
                                           kIOSurfaceBytesPerRow, kIOSurfaceAllocSize, kIOSurfacePixelFormat},
                                          {size.get(), one.get(), one.get(), size.get(), size.get(), zero.get()});
  return Ref<IOSurfaceRef>(IOSurfaceCreate(properties.get()));
}

IOSurfaceLockOptions options(bool read_only) { return read_only ? kIOSurfaceLockReadOnly : 0; }

}  // namespace

IoSurface::IoSurface(std::size_t bytes) : bytes_(bytes), surface_(create(bytes)) {
  if (!surface_ || IOSurfaceGetAllocSize(surface_.get()) < bytes)
    throw refusal("surface", fmt::format("the system made none of {} bytes", bytes), "use a smaller model or sequence");
  // The promise of Surface; new pages are zero, but nothing says that a surface's memory is new.
  const ane::WriteLock zeros(*this);
  std::memset(zeros.bytes().data(), 0, bytes);
}

std::byte* IoSurface::lock(bool read_only) {
  if (const kern_return_t code = IOSurfaceLock(surface_.get(), options(read_only), nullptr); code != 0)
    throw refusal("surface", fmt::format("IOSurfaceLock gave {:#x}", static_cast<unsigned>(code)),
                  "run it again; if it stays, report the macOS build (`aneval doctor`)");
  return static_cast<std::byte*>(IOSurfaceGetBaseAddress(surface_.get()));
}

void IoSurface::unlock(bool read_only) noexcept { IOSurfaceUnlock(surface_.get(), options(read_only), nullptr); }

}  // namespace aneval::apple
