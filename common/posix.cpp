// POSIX calls with interruptions repeated (posix.h).
#include "common/posix.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <system_error>

namespace aneval {

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    descriptor_ = other.release();
  }
  return *this;
}

void Descriptor::reset() {
  if (descriptor_ < 0) return;
  const int error = errno;
  ::close(release());
  errno = error;
}

// strerror is not safe with threads; the category's message is, and is the same text.
std::string errno_text(int error) { return std::generic_category().message(error); }

int open_retrying(const char* file, int flags, mode_t mode) {
  int descriptor;
  do descriptor = ::open(file, flags | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

ssize_t read_retrying(int descriptor, void* buffer, std::size_t bytes) {
  ssize_t count;
  // macOS refuses single transfers above INT_MAX bytes.
  do count = ::read(descriptor, buffer, std::min<std::size_t>(bytes, INT_MAX));
  while (count < 0 && errno == EINTR);
  return count;
}

bool write_fully(int descriptor, const void* data, std::size_t bytes) {
  const char* position = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t count = ::write(descriptor, position, std::min<std::size_t>(bytes, INT_MAX));
    if (count < 0 && errno != EINTR) return false;
    if (count <= 0) continue;
    position += count;
    bytes -= static_cast<std::size_t>(count);
  }
  return true;
}

bool sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(open_retrying(folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (!descriptor) return errno == EACCES;  // a folder may be writable but not readable
  return ::fsync(descriptor.get()) == 0 || errno == EINVAL || errno == ENOTSUP;
}

}  // namespace aneval
