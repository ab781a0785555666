// The pieces that kernels' programs are made of: slots cut out of the packed input, projections, heads, RoPE, causal
// scores. Shapes use the padded sizes of the layout: C channels, S tokens, H heads of h lanes.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "ane/kernels/kernel.h"

namespace aneval::ane {

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

  /// A weight or activation slot multiplied: activation [C, S], weight [C, N] -> [1, 1, S, N] = actᵀ·weight.
  mil::Value project(std::string_view activation, std::string_view weight, std::string_view name);

  /// Slots that lie one below the other, as one: [1, ΣC, 1, width].
  mil::Value stack(const std::vector<std::string_view>& slots, std::string_view name);

  /// A weight slot [1, C, 1, N] -> [1, 1, C, N].
  mil::Value matrix(std::string_view slot);

  /// [1, C, 1, S] -> [1, 1, S, C] and back.
  mil::Value tokens_first(const mil::Value& x, std::string_view name);
  mil::Value channels_first(const mil::Value& x, std::string_view name);

  /// [1, heads·h, 1, S] -> [1, heads, S, h] and back.
  mil::Value split_heads(const mil::Value& x, std::string_view name);
  mil::Value merge_heads(const mil::Value& x, std::string_view name);
  /// [1, H, S, S] -> [1, H·S, 1, S] and back.
  mil::Value merge_rows(const mil::Value& x, std::string_view name);
  mil::Value split_rows(const mil::Value& x, std::string_view name);

  /// RoPE on [1, heads, S, h], with the model's pairing and base.
  mil::Value rope(const mil::Value& x, std::string_view name);

  /// [1, G, S, h] -> [1, H, S, h] by the variant's head map.
  mil::Value tile_heads(const mil::Value& x, std::string_view name);

  /// softmax(q·kᵀ/sqrt(h) + causal mask): [1, H, S, S].
  mil::Value attention(const mil::Value& q, const mil::Value& k);

  /// The gradient of q·kᵀ, P∘(dp − rowsum(P∘dp))/sqrt(h): [1, H, S, S].
  mil::Value scores_backward(const mil::Value& probs, const mil::Value& dp);

  /// x / sqrt(h); x itself when the variant folds the scale into Wq.
  mil::Value scaled(const mil::Value& x, std::string_view name);

  /// An fp16 tensor in a weight file of its own; its numbers are asked for unless the configuration wants shapes only.
  mil::Value weights(std::string_view name, const mil::Shape& shape,
                     const std::function<std::vector<double>()>& numbers);

  /// Ends the program with the blocks one below the other, in the order of the layout: output `out`.
  mil::BuiltProgram finish(const std::vector<mil::Value>& blocks);

  mil::Builder& builder() { return builder_; }

 private:
  const KernelConfig& config_;
  const PackedLayout& layout_;
  mil::Value compiled_weight(const Slot& slot);

  Axes axes_;
  mil::Builder builder_;
  mil::Value input_;
  mil::Value cos_, sin_;  // made on first use
};

/// Of slots xm, w1_t and w3_t: h1, h3 and the gate silu(h1)∘h3, all [1, 1, S, F].
struct Gate {
  mil::Value h1, h3, g;
};
Gate gate(Parts& parts);

/// What sdpaFwd makes, in the order of its blocks: attn, q_rope, k_rope, v, xn.
std::vector<mil::Value> attention_forward(Parts& parts);

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
