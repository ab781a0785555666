// Copies and sums of whole heads.
#include "ane/gqa.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

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

/// The heads of `full` that read key/value head g, in ascending order.
std::vector<const float*> sources_of(const ModelShape& shape, HeadMap map, std::int64_t g,
                                     std::span<const float> full) {
  std::vector<const float*> sources;
  for (std::int64_t j = 0; j < shape.heads; ++j)
    if (kv_head_of(shape, map, j) == g) sources.push_back(full.data() + j * shape.head_dim * shape.seq);
  return sources;
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
  constexpr std::size_t kBlock = 4096;  // 16 KiB: a sum stays in the first-level cache until it is complete
  for (std::int64_t g = 0; g < shape.kv_heads; ++g) {
    const std::vector<const float*> sources = sources_of(shape, map, g, full);
    for (std::size_t begin = 0; begin < n; begin += kBlock) {
      const std::size_t size = std::min(kBlock, n - begin);
      float* sum = kv.data() + static_cast<std::size_t>(g) * n + begin;
      std::copy_n(sources.front() + begin, size, sum);
      for (std::size_t k = 1; k < sources.size(); ++k)
        for (std::size_t i = 0; i < size; ++i) sum[i] += sources[k][begin + i];
    }
  }
}

}  // namespace aneval::ane
