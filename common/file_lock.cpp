#include "common/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/posix.h"

namespace aneval {
namespace {

/// Whether the name still leads to what was opened.
bool same_file(int descriptor, const std::filesystem::path& name) {
  struct stat opened{}, named{};
  return ::fstat(descriptor, &opened) == 0 && ::stat(name.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

bool lock(int descriptor, int operation) {
  int result;
  do result = ::flock(descriptor, operation);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

}  // namespace

FileLock::FileLock(std::filesystem::path file) : file_(std::move(file)) {
  for (;;) {
    Descriptor descriptor(open_retrying(file_.c_str(), O_RDWR | O_CREAT, 0666));
    if (!descriptor || !lock(descriptor.get(), LOCK_EX))
      throw refusal(file_.string(), "cannot lock: " + errno_text(), "check that its folder exists and is writable");
    // Whoever held it has removed the file: what was waited for is not what others will find.
    if (!same_file(descriptor.get(), file_)) continue;
    descriptor_ = descriptor.release();
    return;
  }
}

FileLock::~FileLock() {
  ::unlink(file_.c_str());  // before the lock goes
  ::close(descriptor_);
}

FolderUse::FolderUse(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) throw refusal(folder_.string(), "cannot be made: " + error.message(), "check the folder that it lies in");
  Descriptor descriptor(open_retrying(folder_.c_str(), O_RDONLY | O_DIRECTORY));
  if (!descriptor || !lock(descriptor.get(), LOCK_SH))
    throw refusal(folder_.string(), "cannot lock: " + errno_text(), "check its permissions");
  descriptor_ = descriptor.release();
}

FolderUse::~FolderUse() { ::close(descriptor_); }

bool FolderUse::in_place() const { return same_file(descriptor_, folder_); }

bool FolderUse::alone() { return in_place() && lock(descriptor_, LOCK_EX | LOCK_NB); }

}  // namespace aneval
