// The pieces of attention's programs that come in several forms, each chosen by one key of the variant: the projections
// of xn (qkv) and RoPE (rope). What the forms trade stands in docs/variants.md.
#pragma once

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
  mil::Value xn_, tokens_;
  mil::Value together_;  // qkv=one: [1, Q + 2K, 1, S]
};

/// What RoPE made: by heads for attention, [1, heads, S, h], and as it was made where lanes come first.
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

/// What sdpaFwd makes, in the order of its blocks: attn, q_rope, k_rope, v, xn.
std::vector<mil::Value> attention_forward(Parts& parts);

}  // namespace aneval::ane
