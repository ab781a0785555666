// An append-only file of lines, each on the disk before append() returns: what was finished is never lost or repeated,
// whatever kills the process. One process at a time (advisory lock).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace aneval {

class Journal {
 public:
  /// Who only appends to a long file need not have its lines in memory.
  enum class Lines { kept, left };

  /// Opens or creates the file and locks it. A last line without its line feed is the trace of a crash: it is cut off,
  /// and repaired() tells. Errors: locked by another process, not writable.
  explicit Journal(std::filesystem::path file, Lines lines = Lines::kept);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// The complete lines the file had when it was opened; none when they were left there.
  const std::vector<std::string>& lines() const { return lines_; }
  bool repaired() const { return repaired_; }
  /// One line without a line feed in it. Written with one write() and fsynced.
  void append(std::string_view line);
  /// Several lines, each with its line feed, in one write. A crash can leave the first few of them.
  void append_lines(std::string_view text);
  /// Forgets all lines, those on the disk too.
  void clear();

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
  std::vector<std::string> lines_;
  bool repaired_ = false;
};

}  // namespace aneval
