// Calls the fuzz targets with the inputs that are kept, in every build and with any compiler:
//
//   fuzz_replay TARGET FOLDER     all files of FOLDER/corpus/TARGET and FOLDER/regressions/TARGET
//
// Exit code 1 for an exception, for an allocation beyond the bound of docs/fuzzing.md, and when the corpus is missing
// or empty; what does not hold aborts. The file is named before it is tried, so that a crash tells whose it was.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#define FUZZ_TARGET(name) extern "C" int fuzz_one_##name(const std::uint8_t* data, std::size_t size);
#include "fuzz_targets.inc"
#undef FUZZ_TARGET

namespace {

namespace fs = std::filesystem;

/// Of one allocation, as -malloc_limit_mb of .ci/fuzz.
constexpr std::size_t kMaxAllocationBytes = std::size_t{64} << 20;

/// Null when there is none left.
void* checked_memory(std::size_t bytes, std::size_t alignment) {
  if (bytes > kMaxAllocationBytes) {
    std::fprintf(stderr, "FINDING: an allocation of %zu bytes\n", bytes);
    std::_Exit(1);
  }
  bytes = std::max(bytes, std::size_t{1});
  void* memory = nullptr;
  if (alignment <= alignof(std::max_align_t))
    memory = std::malloc(bytes);
  else if (::posix_memalign(&memory, alignment, bytes) != 0)
    memory = nullptr;
  return memory;
}

void* memory_or_throw(std::size_t bytes, std::size_t alignment) {
  void* memory = checked_memory(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// Containers and strings end here, whoever asks for them. The form without exceptions belongs to the set: a sanitizer's
// own would hand out memory that the operators below must not free.
void* operator new(std::size_t bytes) { return memory_or_throw(bytes, 1); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return checked_memory(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return memory_or_throw(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

namespace {

using Target = int (*)(const std::uint8_t* data, std::size_t size);

/// For the tests of this program: what it must notice.
int throw_exception(const std::uint8_t*, std::size_t) { throw std::out_of_range("on purpose"); }
int allocate_much(const std::uint8_t*, std::size_t) {
  return static_cast<int>(std::vector<char>(kMaxAllocationBytes + 1, 'x').back());
}

std::map<std::string, Target> targets() {
  return {
#define FUZZ_TARGET(name) {#name, fuzz_one_##name},
#include "fuzz_targets.inc"
#undef FUZZ_TARGET
      {"--exception", throw_exception},
      {"--allocation", allocate_much},
  };
}

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// False when it throws.
bool holds(Target target, const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::vector<char> content{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  std::printf("%s\n", file.c_str());
  std::fflush(stdout);
  try {
    target(reinterpret_cast<const std::uint8_t*>(content.data()), content.size());
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "FINDING: %s: an exception that is no aneval::Error: %s\n", file.c_str(), error.what());
    return false;
  }
}

}  // namespace

int main(int count, char** arguments) {
  const auto all = targets();
  const auto found = count == 3 ? all.find(arguments[1]) : all.end();
  if (found == all.end()) {
    std::fprintf(stderr, "usage: fuzz_replay TARGET FOLDER\n");
    return 2;
  }
  const bool on_purpose = found->first.starts_with("--");
  const std::string name = on_purpose ? "mil" : found->first;
  const fs::path folder = arguments[2];
  std::vector<fs::path> files = files_of(folder / "corpus" / name);
  if (files.empty()) {
    std::fprintf(stderr, "%s has no inputs\n", (folder / "corpus" / name).c_str());
    return 1;
  }
  const std::vector<fs::path> regressions = files_of(folder / "regressions" / name);
  files.insert(files.end(), regressions.begin(), regressions.end());
  std::size_t findings = 0;
  for (const fs::path& file : files) findings += holds(found->second, file) ? 0 : 1;
  std::printf("%s: %zu inputs, %zu findings\n", found->first.c_str(), files.size(), findings);
  return findings == 0 ? 0 : 1;
}
