// Copies and sums of whole heads, block by block.
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

/// Elements that are handled at a time: 16 KiB of a key/value head stay in the first-level cache until every query head
/// has met them.
constexpr std::size_t kBlock = 4096;

/// Calls body(part of the key/value head, same part of each of its query heads in ascending order) for all of them.
template <class Full, class Kv, class Body>
void for_blocks(const ModelShape& shape, HeadMap map, std::span<Full> full, std::span<Kv> kv, const Body& body) {
  const std::size_t n = head_elements(shape, full, kv);
  std::vector<Full*> parts;
  for (std::int64_t g = 0; g < shape.kv_heads; ++g) {
    for (std::size_t begin = 0; begin < n; begin += kBlock) {
      parts.clear();
      for (std::int64_t j = 0; j < shape.heads; ++j)
        if (kv_head_of(shape, map, j) == g) parts.push_back(full.data() + static_cast<std::size_t>(j) * n + begin);
      body(kv.subspan(static_cast<std::size_t>(g) * n + begin, std::min(kBlock, n - begin)), parts);
    }
  }
}

}  // namespace

std::int64_t kv_head_of(const ModelShape& shape, HeadMap map, std::int64_t query_head) {
  return map == HeadMap::cyclic ? query_head % shape.kv_heads : query_head / shape.ratio();
}

void tile_kv(const ModelShape& shape, HeadMap map, std::span<const float> kv, std::span<float> full) {
  for_blocks(shape, map, full, kv, [](std::span<const float> part, const std::vector<float*>& copies) {
    for (float* copy : copies) std::copy(part.begin(), part.end(), copy);
  });
}

void reduce_kv(const ModelShape& shape, HeadMap map, std::span<const float> full, std::span<float> kv) {
  for_blocks(shape, map, full, kv, [](std::span<float> sum, const std::vector<const float*>& terms) {
    if (terms.size() == 1) std::copy_n(terms.front(), sum.size(), sum.begin());
    for (std::size_t k = 1; k < terms.size(); ++k) {
      const float *left = k == 1 ? terms.front() : sum.data(), *right = terms[k];
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = left[i] + right[i];
    }
  });
}

}  // namespace aneval::ane
