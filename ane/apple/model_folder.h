// The folder that the framework wants a program's text and weights in, <temporary>/<identifier>. Equal programs have
// one folder, those of other processes too, and unloading one takes the files away: so whoever needs them there, or
// takes them away, holds the guard meanwhile.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "ane/weight_blob.h"
#include "common/file_lock.h"

namespace aneval::apple {

class ModelFolder {
 public:
  explicit ModelFolder(std::filesystem::path path) : path_(std::move(path)) {}
  /// Removes the folder, unless a model of another process has it as well.
  ~ModelFolder();
  ModelFolder(const ModelFolder&) = delete;
  ModelFolder& operator=(const ModelFolder&) = delete;

  /// Waits for other processes. Nobody waits for a process that has ended, however it did. Errors (CallError): the
  /// temporary folder takes no files.
  FileLock guard() const;
  /// Under the guard, before every compile. Errors: as guard().
  void write(std::string_view mil, const ane::WeightFiles& weights);

 private:
  std::filesystem::path path_;
  std::optional<FolderUse> use_;
};

}  // namespace aneval::apple
