// The pieces of attention's programs that come in several forms, each chosen by one key of the variant: the projections
// of xn (qkv), RoPE (rope), and the products of queries and keys (causal). What the forms trade stands in
// docs/variants.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ane/kernels/parts.h"

namespace aneval::ane {

/// The products of xn with Wq, Wk and Wv: three, or parts of one over the weights side by side.
class Projections {
 public:
  explicit Projections(Parts& parts);

  /// The slot xn as it lies on the surface.
  const mil::Value& xn() const { return xn_; }
  /// The product with a weight slot, wq_t, wk_t or wv_t: [1, N, 1, S].
  mil::Value product(std::string_view weight, std::string_view name);

 private:
  Parts& parts_;
  mil::Value xn_, rows_;
  mil::Value together_;  // qkv=one: [1, Q + 2K, 1, S]
};

/// What RoPE made: heads for attention (Parts), and as it was made where lanes come first.
struct Rotated {
  mil::Value heads;
  mil::Value lanes;  // [1, heads, h, S]; none with rope=pairs
};

/// RoPE with the model's pairing and base, in the variant's layout. One per program: its tables are made on first use.
class Rotation {
 public:
  explicit Rotation(Parts& parts) : parts_(parts), lanes_first_(parts.config().variant.rope == Rope::planar) {}

  /// Rotates [1, heads·h, 1, S].
  Rotated rotate(const mil::Value& x, std::string_view name);
  /// The rotated as [1, heads·h, 1, S], a block of the output.
  mil::Value block(const Rotated& x, std::string_view name);

 private:
  mil::Value turn(const mil::Value& x, const std::string& name);

  Parts& parts_;
  bool lanes_first_;
  mil::Value cos_, sin_;
};

/// Queries of a tile of causal=tiles. Its ends are where softmaxes end: 128 makes those of 256 tokens powers of two,
/// which softmax was reported to want on M3 (`mil check`, softmax-extent), and its products wide enough to be worth a
/// dispatch.
inline constexpr std::int64_t kCausalTile = 128;

/// What queries and keys have to do with each other, in one piece [1, H, S, S] (causal=mask), or in tiles of
/// kCausalTile queries with the keys up to their end (causal=tiles). Pairs after the end of a query's tile are not
/// computed: in what leaves a kernel they are zeros. One per program: it keeps its constants.
class CausalTiles {
 public:
  explicit CausalTiles(Parts& parts);

  /// [1, H, queries of the tile, keys up to its end] each.
  using Tiles = std::vector<mil::Value>;

  /// softmax(q·kᵀ/sqrt(h) + mask) of q and k as heads.
  Tiles probabilities(const mil::Value& q, const mil::Value& k);
  /// x·yᵀ of heads, over their lanes.
  Tiles products(const mil::Value& x, const mil::Value& y, std::string_view name);

  /// [1, H, S, S], with zeros for pairs that no tile has, and back.
  mil::Value whole(const Tiles& tiles, std::string_view name);
  Tiles split(const mil::Value& whole, std::string_view name);

  /// Per query the sum over keys, tiles·y: heads.
  mil::Value over_keys(const Tiles& tiles, const mil::Value& y, std::string_view name);
  /// Per key the sum over the queries from its own tile on, wholeᵀ·y: heads. Slices `whole` inside its last
  /// axis, which saturates at 4094 on h13 and h14.
  mil::Value over_queries(const mil::Value& whole, const mil::Value& y, std::string_view name);

 private:
  struct Span {
    std::int64_t begin, end;
  };

  mil::Value mask(const Span& span);
  /// Tokens [begin, end) of heads; all of them are the value itself. With transposes=flags tokens are the last axis,
  /// inside which slices saturate at 4094 on h13 and h14.
  mil::Value tokens(const mil::Value& heads, std::int64_t begin, std::int64_t end, const std::string& name);
  std::int64_t token_axis() const;

  Parts& parts_;
  std::vector<Span> spans_;
  mil::Value mask_, zeros_;  // made on first use
};

/// attn [1, H·h, 1, S] of H heads of queries, G heads of keys, and values [1, G·h, 1, S].
mil::Value attend(Parts& parts, const mil::Value& q, const mil::Value& k, const mil::Value& v);

/// What sdpaFwd makes, in the order of its blocks: attn, q_rope, k_rope, v, xn.
std::vector<mil::Value> attention_forward(Parts& parts);

}  // namespace aneval::ane
