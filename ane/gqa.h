// Between G key/value heads and H query heads, on the CPU, in fp32. Query head j belongs to key/value head j / R
// (grouped, as Hugging Face's repeat_interleave) or j mod G (cyclic).
#pragma once

#include <cstdint>
#include <span>

#include "ane/model_shape.h"
#include "ane/variant.h"

namespace aneval::ane {

/// Key/value head of query head j on the CPU: cyclic_fwd counts as grouped, because only sdpaFwd's program is cyclic
/// then.
std::int64_t kv_head_of(const ModelShape& shape, HeadMap map, std::int64_t query_head);

/// [K, S] -> [Q, S]: every query head gets a copy of its key/value head.
void tile_kv(const ModelShape& shape, HeadMap map, std::span<const float> kv, std::span<float> full);

/// [Q, S] -> [K, S]: the sum over the query heads of each key/value head, in ascending order of query heads.
void reduce_kv(const ModelShape& shape, HeadMap map, std::span<const float> full, std::span<float> kv);

}  // namespace aneval::ane
