// Queries, keys and values of xn. Their weights lie side by side in every packing, so that one slice holds all three
// and one product makes them: fewer operations, and a wider product. It leaves channels first, where the three are
// slices along the channels: a slice inside the last axis saturates on h13 and h14.
#include "ane/kernels/attention.h"

namespace aneval::ane {

using mil::Value;

Projections::Projections(Parts& parts)
    : parts_(parts), xn_(parts.slot("xn")), rows_(parts.rows(parts.multiplicand(xn_, "xn"), "xn")) {
  if (parts.config().variant.qkv != QkvProducts::one) return;
  const ProductWeight weights = parts.beside_weight({"wq_t", "wk_t", "wv_t"}, "wqkv_t");
  together_ = parts.channels_first(parts.product(rows_, weights, "qkv_s"), "qkv");
}

Value Projections::product(std::string_view weight, std::string_view name) {
  if (together_.id.empty())
    return parts_.channels_first(parts_.product(rows_, parts_.weight(weight), std::string(name) + "_s"), name);
  const std::int64_t q = parts_.axes().q.padded_size(), kv = parts_.axes().kv.padded_size();
  const bool queries = weight == "wq_t";
  return parts_.builder().slice(together_,
                                {0,
                                 queries            ? 0
                                 : weight == "wk_t" ? q
                                                    : q + kv,
                                 0, 0},
                                {1, queries ? q : kv, 1, together_.type.shape[3]}, name);
}

}  // namespace aneval::ane
