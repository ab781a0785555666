#include "ane/apple/model_folder.h"

#include <system_error>

#include "ane/apple/objc.h"
#include "common/error.h"
#include "common/files.h"

namespace aneval::apple {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kModelPath = "@model_path/";  // what BLOBFILE paths begin with

/// Errors without the temporary folder's path: they become reasons of rows, which hold no paths.
template <class Function>
auto in_temporary_folder(const Function& function) {
  try {
    return function();
  } catch (const Error& error) {
    throw CallError("the temporary folder", "takes no program: " + error.reason());
  }
}

}  // namespace

FileLock ModelFolder::guard() const {
  return in_temporary_folder([&] { return FileLock(path_.string() + ".lock"); });
}

void ModelFolder::write(std::string_view mil, const ane::WeightFiles& weights) {
  in_temporary_folder([&] {
    if (!use_ || !use_->in_place()) use_.emplace(path_);
    write_file(path_ / "model.mil", mil);
    for (const auto& [name, bytes] : weights) {
      const fs::path file = path_ / (name.starts_with(kModelPath) ? name.substr(kModelPath.size()) : name);
      std::error_code error;
      fs::create_directories(file.parent_path(), error);
      if (error) throw refusal(name, "its folder cannot be made: " + error.message(), "");
      write_file(file, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
  });
}

ModelFolder::~ModelFolder() {
  if (!use_) return;
  try {
    const FileLock lock = guard();
    std::error_code ignored;  // files in the temporary folder are the system's to remove in the end
    if (use_->alone()) fs::remove_all(path_, ignored);
  } catch (const CallError&) {
    // Then nobody else can come in either, and nothing is lost but room.
  }
}

}  // namespace aneval::apple
