// The few POSIX calls that every module with a file descriptor needs, with interrupted calls repeated. For the .cpp
// files of common/ only.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

namespace aneval {

/// An owned file descriptor, closed at the end of its scope. False when there is none (-1).
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;

  explicit operator bool() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }
  void reset();  // keeps errno

 private:
  int descriptor_ = -1;
};

std::string errno_text(int error = errno);

/// open() with O_CLOEXEC, so that child processes inherit nothing.
int open_retrying(const char* file, int flags, mode_t mode = 0);
/// read(): bytes, 0 at the end, -1 with errno.
ssize_t read_retrying(int descriptor, void* buffer, std::size_t bytes);
/// Writes everything; false with errno when that fails.
bool write_fully(int descriptor, const void* data, std::size_t bytes);
/// Size of a file up to its last line feed, 0 without one, -1 with errno. The offset is at the beginning afterwards.
off_t end_of_last_line(int descriptor);
/// Puts a folder's entries (creations, renames) on the disk. File systems that cannot do that count as done.
bool sync_folder(const std::filesystem::path& folder);

}  // namespace aneval
