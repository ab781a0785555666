// POSIX calls with interruptions repeated (posix.h).
#include "common/posix.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <string_view>
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

off_t end_of_last_line(int descriptor) {
  off_t end = ::lseek(descriptor, 0, SEEK_END);
  if (end < 0 || ::lseek(descriptor, 0, SEEK_SET) < 0) return -1;
  for (char block[1 << 16]; end > 0;) {
    const auto size = std::min<off_t>(end, sizeof block);
    const ssize_t count = ::pread(descriptor, block, static_cast<std::size_t>(size), end - size);
    if (count < 0 && errno == EINTR) continue;
    if (count != size) return -1;
    const auto feed = std::string_view(block, static_cast<std::size_t>(count)).find_last_of('\n');
    if (feed != std::string_view::npos) return end - size + static_cast<off_t>(feed) + 1;
    end -= size;
  }
  return 0;
}

bool sync_folder(const std::filesystem::path& folder) {
  const Descriptor descriptor(open_retrying(folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (!descriptor) return errno == EACCES;  // a folder may be writable but not readable
  return ::fsync(descriptor.get()) == 0 || errno == EINVAL || errno == ENOTSUP;
}

}  // namespace aneval
