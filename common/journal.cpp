// One open descriptor with O_APPEND and an flock (journal.h).
#include "common/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

#include "common/error.h"
#include "common/names.h"
#include "common/posix.h"

namespace aneval {
namespace {

std::string read_rest(int descriptor, const std::filesystem::path& file) {
  std::string content;
  for (char buffer[1 << 16];;) {
    const ssize_t count = read_retrying(descriptor, buffer, sizeof buffer);
    if (count < 0) throw input_error(file.string(), "cannot read: " + errno_text(), "check the disk");
    if (count == 0) return content;
    content.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace

Journal::Journal(std::filesystem::path file, Lines lines) : file_(std::move(file)) {
  const auto unusable = [&](const char* step) {
    return input_error(file_.string(), fmt::format("cannot {}: {}", step, errno_text()),
                       "check that the folder exists and that it and the file are writable");
  };
  Descriptor descriptor(open_retrying(file_.c_str(), O_RDWR | O_CREAT | O_APPEND, 0666));
  if (!descriptor) throw unusable("open");
  struct stat info{};
  if (::fstat(descriptor.get(), &info) != 0) throw unusable("inspect");
  if (!S_ISREG(info.st_mode)) throw input_error(file_.string(), "is not a regular file", "name another file");
  if (::flock(descriptor.get(), LOCK_EX | LOCK_NB) != 0)
    throw refusal(file_.string(), errno == EWOULDBLOCK ? "in use by another process" : "cannot lock: " + errno_text(),
                  "wait for it to end, or choose another file");

  const off_t complete = end_of_last_line(descriptor.get());
  if (complete < 0 || ::fstat(descriptor.get(), &info) != 0) throw unusable("read");  // its size under the lock
  if (complete != info.st_size) {
    if (::ftruncate(descriptor.get(), complete) != 0 || ::fsync(descriptor.get()) != 0)
      throw unusable("cut off the broken last line");
    repaired_ = true;
  }
  if (lines == Lines::kept && complete > 0) {
    const std::string content = read_rest(descriptor.get(), file_);
    lines_ = split(std::string_view(content).substr(0, content.size() - 1), '\n');
    if (content.size() == 1) lines_ = {""};  // split sees no part in an empty text
  }
  // A new file must not vanish with its lines.
  if (!sync_folder(file_.has_parent_path() ? file_.parent_path() : ".")) throw unusable("flush the folder of");
  descriptor_ = descriptor.release();
}

Journal::~Journal() { ::close(descriptor_); }

void Journal::append(std::string_view line) {
  if (line.find('\n') != std::string_view::npos) throw std::logic_error("Journal: a line feed inside a line");
  std::string text(line);
  text += '\n';
  append_lines(text);
}

void Journal::clear() {
  if (::ftruncate(descriptor_, 0) != 0 || ::fsync(descriptor_) != 0)
    throw refusal(file_.string(), "cannot empty: " + errno_text(), "check the disk");
  lines_.clear();
}

void Journal::append_lines(std::string_view text) {
  if (!text.ends_with('\n')) throw std::logic_error("Journal: the last line has no line feed");
  const off_t end = ::lseek(descriptor_, 0, SEEK_END);
  // One write in the usual case; the rest of a short one follows, or its beginning is taken back.
  if (end < 0 || !write_fully(descriptor_, text.data(), text.size()) || ::fsync(descriptor_) != 0) {
    const std::string reason = "cannot append: " + errno_text();
    if (end >= 0 && ::ftruncate(descriptor_, end) != 0) {
      // The next Journal on the file cuts the incomplete line off.
    }
    throw refusal(file_.string(), reason, "free space on the disk or check it");
  }
}

}  // namespace aneval
