// What the fuzz targets share: what they hold parsers to, and files for those that read files.
//
// Every target is one call of LLVMFuzzerTestOneInput. Whatever the bytes, a parser takes them or throws aneval::Error
// of exit code 2 on one line; any other exception, a crash, a leak, a time or an allocation beyond the bounds of
// docs/fuzzing.md is a finding. So nothing but aneval::Error is caught here.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "common/error.h"

namespace aneval::fuzz {

/// Ends the process, which is what a fuzzer calls a crash, when something that must hold of every input does not.
inline void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

/// Whether `use` takes its input. A refusal must be one that a user can read: bad input, on one line.
template <class Use>
bool accepted(Use use) {
  try {
    use();
    return true;
  } catch (const Error& error) {
    const std::string_view what = error.what();
    require(error.code() == ExitCode::bad_input, "a refused input has exit code 2");
    require(!error.reason().empty() && !error.remedy().empty(), "an error has a reason and a remedy");
    require(std::none_of(what.begin(), what.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; }),
            "an error is one line without control characters");
    return false;
  }
}

/// What was accepted or written once must be accepted again: `use` may not throw.
template <class Use>
void must_accept(std::string_view what, Use use) {
  try {
    use();
  } catch (const Error& error) {
    std::fprintf(stderr, "fuzz: refused: %s\n", error.what());
    require(false, what);
  }
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return size == 0 ? std::string_view() : std::string_view(reinterpret_cast<const char*>(data), size);
}

/// A place of this process, in memory where the system has such a folder. The name is fixed in a process, so that
/// messages do not depend on what ran before.
inline std::filesystem::path temporary_path(std::string_view suffix) {
  std::error_code error;
  const std::filesystem::path folder =
      std::filesystem::is_directory("/dev/shm", error) ? "/dev/shm" : std::filesystem::temp_directory_path();
  return folder / ("aneval-fuzz-" + std::to_string(::getpid()) + std::string(suffix));
}

inline void write_input(const std::filesystem::path& file, std::string_view content) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  require(!out.fail(), "the input can be written to a temporary file");
}

/// The input as a file, removed with this object.
class InputFile {
 public:
  InputFile(std::string_view content, std::string_view suffix) : path_(temporary_path(suffix)) {
    write_input(path_, content);
  }
  ~InputFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace aneval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
