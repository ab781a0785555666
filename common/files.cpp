// Whole files in and out over POSIX calls: iostreams report neither why they failed nor whether the disk has the data.
#include "common/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/error.h"
#include "common/posix.h"

namespace aneval {
namespace {

namespace fs = std::filesystem;

/// Reads to the end, whatever the descriptor is: a pipe has no size.
template <typename Buffer>
Buffer read_all(const fs::path& file, std::uintmax_t limit_bytes) {
  const Descriptor in(open_retrying(file.c_str(), O_RDONLY));
  if (!in) throw input_error(file.string(), "cannot open: " + errno_text(), "check the path and its permissions");
  struct stat info{};
  if (::fstat(in.get(), &info) != 0)
    throw input_error(file.string(), "cannot inspect: " + errno_text(), "check the file system");
  if (S_ISDIR(info.st_mode)) throw input_error(file.string(), "is a folder", "name a file");
  const auto too_large = [&](std::uintmax_t bytes) {
    return input_error(file.string(),
                       fmt::format("larger than the {} bytes allowed here (at least {})", limit_bytes, bytes),
                       "check that this is the intended file");
  };
  const auto expected = static_cast<std::uintmax_t>(info.st_size);
  if (expected > limit_bytes) throw too_large(expected);

  // One byte more than expected, so that the end is seen without growing.
  Buffer content(static_cast<std::size_t>(expected) + 1, typename Buffer::value_type{});
  for (std::size_t used = 0;;) {
    if (used == content.size()) content.resize(content.size() * 2);
    const ssize_t count = read_retrying(in.get(), content.data() + used, content.size() - used);
    if (count < 0) throw input_error(file.string(), "cannot read: " + errno_text(), "check the disk");
    used += static_cast<std::size_t>(count);
    if (used > limit_bytes) throw too_large(used);
    if (count == 0) {
      content.resize(used);
      return content;
    }
  }
}

fs::path folder_of(const fs::path& file) { return file.has_parent_path() ? file.parent_path() : fs::path("."); }

/// A temporary file beside its target. Removed with this object unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& target) {
    // The process id and a count keep processes and threads apart; a leftover of a killed process is stepped over.
    static std::atomic<unsigned> count{0};
    do {
      path_ = folder_of(target) / fmt::format(".aneval-{}-{}.tmp", ::getpid(), count++);
      // 0666 is narrowed by the umask, as for a file made by any other program; mkstemp would give 0600.
      descriptor_ = Descriptor(open_retrying(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666));
    } while (!descriptor_ && errno == EEXIST);
  }
  ~TemporaryFile() {
    if (descriptor_ && !renamed_) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  explicit operator bool() const { return static_cast<bool>(descriptor_); }
  int descriptor() const { return descriptor_.get(); }
  bool rename_to(const fs::path& target) { return renamed_ = std::rename(path_.c_str(), target.c_str()) == 0; }

 private:
  fs::path path_;
  Descriptor descriptor_;
  bool renamed_ = false;
};

Error write_refusal(const fs::path& file, const char* step) {
  const int error = errno;
  return refusal(
      file.string(), fmt::format("cannot {}: {}", step, errno_text(error)),
      error == ENOSPC || error == EDQUOT ? "free space on the disk" : "check that the folder exists and is writable");
}

/// Devices, pipes and sockets are written in place: renaming over /dev/null would replace the device.
bool is_special(const fs::path& file) {
  std::error_code error;
  const fs::file_status status = fs::status(file, error);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

/// A link stays a link: what it points to is replaced.
fs::path resolve_link(const fs::path& file) {
  std::error_code error;
  if (!fs::is_symlink(fs::symlink_status(file, error))) return file;
  const fs::path target = fs::weakly_canonical(file, error);
  return error ? file : target;
}

void write_in_place(const fs::path& file, std::span<const std::byte> content) {
  const Descriptor out(open_retrying(file.c_str(), O_WRONLY));
  if (!out) throw write_refusal(file, "open");
  if (!write_fully(out.get(), content.data(), content.size())) throw write_refusal(file, "write");
}

}  // namespace

std::vector<std::byte> read_file(const fs::path& file, std::uintmax_t limit_bytes) {
  return read_all<std::vector<std::byte>>(file, limit_bytes);
}

std::string read_text_file(const fs::path& file, std::uintmax_t limit_bytes) {
  return read_all<std::string>(file, limit_bytes);
}

void write_file(const fs::path& file, std::span<const std::byte> content) {
  if (file == "-") {
    // What the program printed before stands before it.
    std::fflush(stdout);
    if (!write_fully(STDOUT_FILENO, content.data(), content.size())) throw write_refusal("standard output", "write");
    return;
  }
  if (is_special(file)) return write_in_place(file, content);
  const fs::path target = resolve_link(file);
  TemporaryFile temporary(target);
  if (!temporary) throw write_refusal(file, "create");
  if (!write_fully(temporary.descriptor(), content.data(), content.size())) throw write_refusal(file, "write");
  if (::fsync(temporary.descriptor()) != 0) throw write_refusal(file, "flush");
  if (!temporary.rename_to(target)) throw write_refusal(file, "replace");
  if (!sync_folder(folder_of(target))) throw write_refusal(file, "flush the folder of");
}

void write_file(const fs::path& file, std::string_view content) { write_file(file, std::as_bytes(std::span(content))); }

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  // "a/." has been made although nothing is left to make at its end.
  std::error_code unreadable;
  if (fs::is_directory(folder, unreadable)) return;
  throw input_error(folder.string(), "cannot be made a folder" + (error ? ": " + error.message() : std::string()),
                    "choose another one");
}

void check_writable(const fs::path& file) {
  if (file == "-") return;
  const auto wrong = [&](std::string reason, std::string remedy) {
    return input_error(file.string(), std::move(reason), std::move(remedy));
  };
  if (!file.has_filename()) throw wrong("is not the name of a file", "name a file");
  std::error_code error;
  if (fs::is_directory(file, error)) throw wrong("is a folder", "name a file in it");
  if (is_special(file)) {
    if (::access(file.c_str(), W_OK) != 0) throw wrong("cannot be written: " + errno_text(), "name another file");
    return;
  }
  const fs::path target = resolve_link(file);
  const std::string folder = folder_of(target).string();
  if (!fs::is_directory(folder, error))
    throw wrong(fmt::format("folder '{}' does not exist", folder), "create it first");
  // Permissions, read-only disks and special file systems all show only when one tries.
  const TemporaryFile attempt(target);
  if (!attempt)
    throw wrong(fmt::format("folder '{}' is not writable: {}", folder, errno_text()), "choose another folder");
}

}  // namespace aneval
