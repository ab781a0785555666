// Copies and sums of whole heads.
#include "ane/gqa.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace aneval::ane {
namespace {

/// Elements of one head; also checks both spans.
std::size_t head_elements(const ModelShape& shape, std::span<const float> full, std::span<const float> kv) {
  const auto elements = static_cast<std::size_t>(shape.head_dim * shape.seq);
  const std::size_t full_size = elements * static_cast<std::size_t>(shape.heads);
  const std::size_t kv_size = elements * static_cast<std::size_t>(shape.kv_heads);
  if (full.size() != full_size || kv.size() != kv_size)
    throw std::logic_error("heads of " + std::to_string(full.size()) + " and " + std::to_string(kv.size()) +
                           " elements, expected " + std::to_string(full_size) + " and " + std::to_string(kv_size));
  return elements;
}

}  // namespace

std::int64_t kv_head_of(const ModelShape& shape, HeadMap map, std::int64_t query_head) {
  return map == HeadMap::cyclic ? query_head % shape.kv_heads : query_head / shape.ratio();
}

void tile_kv(const ModelShape& shape, HeadMap map, std::span<const float> kv, std::span<float> full) {
  const std::size_t n = head_elements(shape, full, kv);
  for (std::int64_t j = 0; j < shape.heads; ++j) {
    const auto source = kv.subspan(static_cast<std::size_t>(kv_head_of(shape, map, j)) * n, n);
    std::copy(source.begin(), source.end(), full.subspan(static_cast<std::size_t>(j) * n, n).begin());
  }
}

void reduce_kv(const ModelShape& shape, HeadMap map, std::span<const float> full, std::span<float> kv) {
  const std::size_t n = head_elements(shape, full, kv);
  std::fill(kv.begin(), kv.end(), 0.0F);
  for (std::int64_t j = 0; j < shape.heads; ++j) {
    const float* source = full.data() + static_cast<std::size_t>(j) * n;
    float* sum = kv.data() + static_cast<std::size_t>(kv_head_of(shape, map, j)) * n;
    for (std::size_t i = 0; i < n; ++i) sum[i] += source[i];
  }
}

}  // namespace aneval::ane
