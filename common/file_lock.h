// Locks among processes. Both are the system's: it releases them when a process ends, however it ends.
#pragma once

#include <filesystem>

namespace aneval {

/// One holder at a time: a file that is there only meanwhile. One that a killed process left behind locks nobody out.
class FileLock {
 public:
  /// Waits until nobody else holds it. A refusal (exit code 3): the file cannot be made.
  explicit FileLock(std::filesystem::path file);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_;
};

/// A folder that several processes use and that the last of them removes. Whoever makes, asks and removes holds a
/// FileLock meanwhile: the answers are true only as long as nobody else may do so.
class FolderUse {
 public:
  /// Makes the folder when there is none. A refusal (exit code 3): it cannot be made.
  explicit FolderUse(std::filesystem::path folder);
  ~FolderUse();
  FolderUse(const FolderUse&) = delete;
  FolderUse& operator=(const FolderUse&) = delete;

  /// Whether that folder is still there, and not gone or another one by that name.
  bool in_place() const;
  /// Whether it is in place and no other object of any process uses it. Ask at the end: the use may end with it.
  bool alone();

 private:
  std::filesystem::path folder_;
  int descriptor_;
};

}  // namespace aneval
