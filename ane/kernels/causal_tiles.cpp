// Causal attention without what no query sees. A tile of queries meets the keys before it, all of them, and its own
// under the triangle of the mask; the keys after it are left out: n tiles need (n + 1)/2n of the products of one piece.
// What is left out are zeros in every sum, so that on engines, which sum alike however long a sum is, probabilities and
// gradients have the same bits.
#include <algorithm>

#include "ane/half.h"
#include "ane/kernels/attention.h"

namespace aneval::ane {

using mil::Shape;
using mil::Value;

namespace {

constexpr std::int64_t kQueries = 2, kKeys = 3;  // axes of [1, H, S, S]

/// 0 where a query may see a key, else the largest negative fp16: not -inf, which the engine decodes as a number.
/// Queries and keys [begin, end); keys from `seen` on are padding.
std::vector<double> causal_mask(std::int64_t begin, std::int64_t end, std::int64_t seen) {
  const std::int64_t size = end - begin;
  std::vector<double> mask(static_cast<std::size_t>(size * size), -kHalfMax);
  for (std::int64_t query = 0; query < size; ++query)
    for (std::int64_t key = 0; key <= query && begin + key < seen; ++key)
      mask[static_cast<std::size_t>(query * size + key)] = 0;
  return mask;
}

}  // namespace

CausalTiles::CausalTiles(Parts& parts) : parts_(parts) {
  const std::int64_t seq = parts.axes().seq.padded_size();
  const std::int64_t size = parts.config().variant.causal == Causal::tiles ? kCausalTile : seq;
  for (std::int64_t begin = 0; begin < seq; begin += size) spans_.push_back({begin, std::min(begin + size, seq)});
}

std::int64_t CausalTiles::token_axis() const { return parts_.lanes_first() ? 3 : 2; }

Value CausalTiles::tokens(const Value& heads, std::int64_t begin, std::int64_t end, const std::string& name) {
  const auto axis = static_cast<std::size_t>(token_axis());
  Shape first(4, 0), size = heads.type.shape;
  if (begin == 0 && end == size[axis]) return heads;
  first[axis] = begin;
  size[axis] = end - begin;
  return parts_.builder().slice(heads, first, size, name);
}

Value CausalTiles::mask(const Span& span) {
  const std::int64_t size = span.end - span.begin, seen = parts_.axes().seq.size();
  // Only the last tile may be shorter or padded.
  if (!mask_.id.empty() && mask_.type.shape[kQueries] == size && span.end <= seen) return mask_;
  return mask_ =
             parts_.weights("causal_mask", {1, 1, size, size}, [&] { return causal_mask(span.begin, span.end, seen); });
}

CausalTiles::Tiles CausalTiles::probabilities(const Value& q, const Value& k) {
  mil::Builder& b = parts_.builder();
  Tiles tiles;
  for (const Span& span : spans_) {
    const Value queries = tokens(q, span.begin, span.end, "queries");
    const Value own = tokens(k, span.begin, span.end, "keys_own");
    Value scores = parts_.scaled(parts_.lane_products(queries, own, "scores"), "scores_scaled");
    const Value triangle = mask(span);
    scores = b.add(scores, triangle, "scores_masked");
    if (span.begin > 0) {
      const Value before = tokens(k, 0, span.begin, "keys_before");
      const Value past = parts_.scaled(parts_.lane_products(queries, before, "scores_before"), "scores_before_scaled");
      scores = b.concat({past, scores}, kKeys, false, "scores_seen");
    }
    tiles.push_back(b.softmax(scores, -1, "probabilities"));
  }
  return tiles;
}

CausalTiles::Tiles CausalTiles::products(const Value& x, const Value& y, std::string_view name) {
  const std::string base(name);
  Tiles tiles;
  for (const Span& span : spans_) {
    const Value queries = tokens(x, span.begin, span.end, base + "_x"), seen = tokens(y, 0, span.end, base + "_y");
    tiles.push_back(parts_.lane_products(queries, seen, name));
  }
  return tiles;
}

CausalTiles::Tiles CausalTiles::split(const Value& whole, std::string_view name) {
  if (spans_.size() == 1) return {whole};
  Tiles tiles;
  for (const Span& span : spans_) {
    Shape size = whole.type.shape;
    size[kQueries] = span.end - span.begin;
    size[kKeys] = span.end;
    tiles.push_back(parts_.builder().slice(whole, {0, 0, span.begin, 0}, size, std::string(name) + "_tile"));
  }
  return tiles;
}

Value CausalTiles::whole(const Tiles& tiles, std::string_view name) {
  if (tiles.size() == 1) return tiles.front();
  mil::Builder& b = parts_.builder();
  const std::string base(name);
  const std::int64_t seq = parts_.axes().seq.padded_size();
  if (zeros_.id.empty()) {
    Shape shape = tiles.front().type.shape;
    shape[kKeys] = seq - shape[kKeys];
    zeros_ = parts_.weights(
        "zeros", shape, [&] { return std::vector<double>(static_cast<std::size_t>(*mil::element_count(shape)), 0.0); });
  }
  std::vector<Value> all;
  for (const Value& tile : tiles) {
    Shape rest = tile.type.shape;
    rest[kKeys] = seq - rest[kKeys];
    if (rest[kKeys] == 0) {
      all.push_back(tile);
      continue;
    }
    const Value zeros = rest == zeros_.type.shape ? zeros_ : b.slice(zeros_, {0, 0, 0, 0}, rest, base + "_zeros");
    all.push_back(b.concat({tile, zeros}, kKeys, false, base + "_rows"));
  }
  return b.concat(all, kQueries, false, base + "_whole");
}

Value CausalTiles::over_keys(const Tiles& tiles, const Value& y, std::string_view name) {
  const std::string base(name);
  if (tiles.size() == 1) return parts_.mixed_tokens(tiles.front(), false, y, name);
  std::vector<Value> all;
  for (std::size_t i = 0; i < tiles.size(); ++i)
    all.push_back(parts_.mixed_tokens(tiles[i], false, tokens(y, 0, spans_[i].end, base + "_y"), base + "_rows"));
  return parts_.builder().concat(all, token_axis(), false, name);
}

Value CausalTiles::over_queries(const Value& whole, const Value& y, std::string_view name) {
  mil::Builder& b = parts_.builder();
  const std::string base(name);
  if (spans_.size() == 1) return parts_.mixed_tokens(whole, true, y, name);
  const std::int64_t seq = whole.type.shape[kQueries];
  std::vector<Value> all;
  for (const Span& span : spans_) {
    const Value seen = b.slice(whole, {0, 0, span.begin, span.begin},
                               {1, whole.type.shape[1], seq - span.begin, span.end - span.begin}, base + "_seen");
    all.push_back(parts_.mixed_tokens(seen, true, tokens(y, span.begin, seq, base + "_y"), base + "_keys"));
  }
  return b.concat(all, token_axis(), false, name);
}

}  // namespace aneval::ane
