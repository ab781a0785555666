// A thin owner of the state that xxHash streams through (hash.h).
#include "common/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cstdint>
#include <new>

namespace aneval {

struct Hasher::State {
  XXH3_state_t* xxh = XXH3_createState();
  ~State() { XXH3_freeState(xxh); }
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  if (state_->xxh == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(state_->xxh);
}

Hasher::~Hasher() = default;

void Hasher::add(const void* data, std::size_t bytes) {
  const std::uint64_t length = bytes;
  XXH3_64bits_update(state_->xxh, &length, sizeof length);
  XXH3_64bits_update(state_->xxh, data, bytes);
}

std::string Hasher::digest() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_->xxh)); }

}  // namespace aneval
