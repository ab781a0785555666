// Surfaces in ordinary memory, and the poison that shows what an evaluation did not write.
#include "ane/surface.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "common/error.h"
#include "common/hash.h"

namespace aneval::ane {
namespace {

constexpr std::size_t kLineBytes = 64;
constexpr std::size_t kPageBytes = 16384;  // the largest page of the systems we run on (Apple's)

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};

/// Lock state: -1 while writing, else the number of readers.
class HostSurface final : public Surface {
 public:
  explicit HostSurface(std::size_t bytes) : bytes_(bytes) {
    if (bytes == 0) throw std::logic_error("a surface of 0 bytes");
    const std::size_t alignment = bytes < kPageBytes ? kLineBytes : kPageBytes;
    // aligned_alloc wants a multiple of the alignment.
    const std::size_t room = bytes > SIZE_MAX - alignment ? 0 : (bytes + alignment - 1) / alignment * alignment;
    memory_.reset(room ? static_cast<std::byte*>(std::aligned_alloc(alignment, room)) : nullptr);
    if (!memory_)
      throw refusal("surface", "no memory for " + std::to_string(bytes) + " bytes", "use a smaller model or sequence");
    std::memset(memory_.get(), 0, bytes);
  }

  std::size_t bytes() const override { return bytes_; }

 protected:
  std::byte* lock(bool read_only) override {
    int state = state_.load(std::memory_order_relaxed);
    do {
      if (state < 0) throw std::logic_error("surface locked while another lock is writing to it");
      if (!read_only && state > 0) throw std::logic_error("surface locked for writing while others read it");
    } while (!state_.compare_exchange_weak(state, read_only ? state + 1 : -1, std::memory_order_acquire));
    return memory_.get();
  }

  void unlock(bool read_only) noexcept override { state_.fetch_add(read_only ? -1 : 1, std::memory_order_release); }

 private:
  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
  std::atomic<int> state_{0};
};

}  // namespace

std::unique_ptr<Surface> make_host_surface(std::size_t bytes) { return std::make_unique<HostSurface>(bytes); }

void poison(Surface& surface, half_t pattern) {
  const WriteLock lock(surface);
  std::ranges::fill(lock.halves(), pattern);
}

std::int64_t count_poison(Surface& surface, half_t pattern) {
  const ReadLock lock(surface);
  std::span<const half_t> rest = lock.halves();
  std::int64_t total = 0;
  while (!rest.empty()) {
    // 16-bit counters fill whole vectors; a block is small enough that none overflows.
    const auto block = rest.first(std::min<std::size_t>(rest.size(), UINT16_MAX));
    std::uint16_t equal = 0;
    for (const half_t value : block) equal = static_cast<std::uint16_t>(equal + (value == pattern ? 1 : 0));
    total += equal;
    rest = rest.subspan(block.size());
  }
  return total;
}

std::string surface_hash(Surface& surface) {
  const ReadLock lock(surface);
  Hasher hasher;
  hasher.add(lock.bytes().data(), lock.bytes().size());
  return hasher.digest();
}

}  // namespace aneval::ane
