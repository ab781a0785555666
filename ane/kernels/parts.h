// The pieces that kernels' programs are made of: slots cut out of the packed input, products with weights, heads.
// Shapes use the padded sizes of the layout: C channels, S tokens, H heads of h lanes.
//
// Two shapes depend on the variant, and only the functions of this file know them. `rows`: what products with weights
// take and give,
//   [1, 1, S, C]  product=matmul, transposes=explicit (the seed's: tokens first)
//   [1, 1, C, S]  product=matmul, transposes=flags
//   [1, C, 1, S]  product=conv
// and `heads`: [1, H, S, h], or [1, H, h, S] with transposes=flags, where a matmul turns what it needs turned.
// Elementwise operations take rows as they are.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ane/kernels/kernel.h"

namespace aneval::ane {

/// Which axis of a weight slot [1, C, 1, N] a product sums over.
enum class SummedAxis { channels, width };

/// A weight as products of the variant take it: a matrix, turned so that its rows are summed over, or with flags as it
/// lies and summed over `summed`; or the [N, C, 1, 1] of a convolution.
struct ProductWeight {
  mil::Value value;
  SummedAxis summed = SummedAxis::channels;
};

/// What holds the transpose of a weight slot: an operation's result, or the constant of a convolution
/// (read_compiled_weight).
std::string turned_name(std::string_view slot);

/// Collects what the functions below need and keeps one copy of each shared constant.
class Parts {
 public:
  Parts(const KernelConfig& config, const PackedLayout& layout);

  /// The slot as it lies on the surface: [1, C, 1, width], or [1, channels, 1, S] for slots along the channels. A
  /// weight that is compiled in is a constant of that shape with the numbers that staging would put there.
  mil::Value slot(std::string_view name);

  /// The value of an activation slot as products with weights read it: weights=w8a8 quantizes it to 8 bits and back,
  /// and the product behind is one of integers. What a program makes itself (g, attn inside a fused kernel) is
  /// multiplied as fp16: no activation of the case says how large it is.
  mil::Value multiplicand(const mil::Value& x, std::string_view activation);

  /// Slots that lie one below the other, as one: [1, ΣC, 1, width].
  mil::Value stack(const std::vector<std::string_view>& slots, std::string_view name);

  /// Weight slots that lie side by side, as one: [1, C, 1, ΣN].
  mil::Value beside(const std::vector<std::string_view>& slots, std::string_view name);

  /// [1, C, 1, S] -> rows and back.
  mil::Value rows(const mil::Value& x, std::string_view name);
  mil::Value channels_first(const mil::Value& rows, std::string_view name);

  ProductWeight weight(std::string_view slot, SummedAxis summed = SummedAxis::channels);
  /// Weight slots that lie one below the other, as one; summed over all their channels.
  ProductWeight stacked_weight(const std::vector<std::string_view>& slots, std::string_view name);

  /// Weight slots that lie side by side, as one of ΣN outputs.
  ProductWeight beside_weight(const std::vector<std::string_view>& slots, std::string_view name);

  /// rows of C channels times a weight summed over C -> rows of N channels.
  mil::Value product(const mil::Value& rows, const ProductWeight& weight, std::string_view name);

  /// An activation slot times a weight slot: activation [C, S], weight [C, N] -> rows of N channels.
  mil::Value project(std::string_view activation, std::string_view weight, std::string_view name);

  /// [1, heads·h, 1, S] -> heads and back.
  mil::Value split_heads(const mil::Value& x, std::string_view name);
  mil::Value merge_heads(const mil::Value& x, std::string_view name);
  /// [1, H, S, S] -> [1, H·S, 1, S] and back.
  mil::Value merge_rows(const mil::Value& x, std::string_view name);
  mil::Value split_rows(const mil::Value& x, std::string_view name);

  /// Whether heads are [1, H, h, S].
  bool lanes_first() const { return by_flags(); }
  /// The last two axes exchanged, by an operation.
  mil::Value turned(const mil::Value& x, std::string_view name);

  /// a·bᵀ of heads, over lanes: [1, H, S, S].
  mil::Value lane_products(const mil::Value& a, const mil::Value& b, std::string_view name);
  /// m·x, or mᵀ·x, of m [1, H, S, S] and heads -> heads.
  mil::Value mixed_tokens(const mil::Value& m, bool transposed, const mil::Value& x, std::string_view name);

  /// Heads of G keys or values -> of H by the variant's head map.
  mil::Value tile_heads(const mil::Value& x, std::string_view name);

  /// The gradient of q·kᵀ, P∘(dp − rowsum(P∘dp))/sqrt(h), of all pairs or of a tile of them.
  mil::Value scores_backward(const mil::Value& probs, const mil::Value& dp);

  /// x / sqrt(h); x itself when the variant folds the scale into Wq.
  mil::Value scaled(const mil::Value& x, std::string_view name);

  /// An fp16 tensor in a weight file of its own; its numbers are asked for unless the configuration wants shapes only.
  mil::Value weights(std::string_view name, const mil::Shape& shape,
                     const std::function<std::vector<double>()>& numbers);

  /// Ends the program with the blocks one below the other, in the order of the layout: output `out`.
  mil::BuiltProgram finish(const std::vector<mil::Value>& blocks);

  mil::Builder& builder() { return builder_; }
  const KernelConfig& config() const { return config_; }
  const Axes& axes() const { return axes_; }

 private:
  const KernelConfig& config_;
  const PackedLayout& layout_;
  mil::Value compiled_weight(const Slot& slot);
  mil::Value in_eight_bits(const mil::Value& x, double scale, const std::string& name);
  const NamedTensors& tensors_of(const Slot& slot) const;
  std::vector<half_t> compiled_bits(const Slot& slot) const;
  mil::Value compiled_filters(const Slot& slot, SummedAxis summed);
  const Slot* compiled_slot(std::string_view name) const;
  bool has_filters(std::string_view slot) const;
  ProductWeight weight_of(const mil::Value& slot, SummedAxis summed);
  /// Weights that are compiled in keep a file each, by which they are found and judged: the program joins them.
  mil::Value joined(const std::vector<std::string_view>& slots, std::int64_t axis, std::string_view name);
  bool by_flags() const { return config_.variant.transposes == Transposes::flags; }
  bool by_conv() const { return config_.variant.product == Product::conv; }

  Axes axes_;
  mil::Builder builder_;
  mil::Value input_;
};

/// Of slots xm, w1_t and w3_t: h1, h3 and the gate silu(h1)∘h3, all rows of F channels.
struct Gate {
  mil::Value h1, h3, g;
};
Gate gate(Parts& parts);

/// A kernel that is a sum of projections: Σ actᵀ·weight over the (activation, weight) slot pairs, to its one block.
mil::BuiltProgram projection_sum(const KernelConfig& config, const PackedLayout& layout,
                                 const std::vector<std::pair<std::string_view, std::string_view>>& terms);

/// Slots by kind, shorter to write.
Slot activation_slot(std::string name, const Axis& channels, const Axis& width);
Slot weight_slot(std::string name, const Axis& channels, const Axis& width, std::string weight, bool transposed,
                 double scale = 1.0);
Block output_block(std::string name, const Axis& channels, const Axis& width);

/// 1/sqrt(h) when the variant folds the score scale into Wq, else 1.
double folded_query_scale(const KernelConfig& config);

}  // namespace aneval::ane
