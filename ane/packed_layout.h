// Where every tensor of a kernel lies on its surfaces: the slots of the packed input and the blocks of the output.
// The only place that knows offsets and padding. Staging, MIL slices, reading and the reference's inputs all come from
// here, so they cannot disagree.
//
//   input surface  fp16 [1, C, 1, W]       slots along the width                    or along the channels
//   row d:         | xn: S | wq_t: Q | wk_t: K | wv_t: K |                           q / k_tiled / v_tiled / da, W = S
//                  or both: columns of slots, as | dq / dk / dv: S | wq / wk / wv: D |
//   output surface fp16 [1, C', 1, S]      blocks along the channels: attn / q_rope / k_rope / v / xn
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ane/model_shape.h"
#include "ane/variant.h"

namespace aneval::ane {

/// A logical axis of `groups` runs of `run` elements each, stored with every run padded to `padded_run`. A plain axis
/// is one run; the channels of Q are `heads` runs of head_dim lanes, because padding a head pads its lanes.
struct Axis {
  std::int64_t groups = 1;
  std::int64_t run = 0;
  std::int64_t padded_run = 0;

  std::int64_t size() const { return groups * run; }                // logical elements
  std::int64_t padded_size() const { return groups * padded_run; }  // elements on the surface
  bool padded() const { return run != padded_run; }
  /// Position on the surface of logical element i.
  std::int64_t place(std::int64_t i) const { return (i / run) * padded_run + i % run; }

  bool operator==(const Axis&) const = default;
};

/// The axes of a model under a variant. The lanes of a head are one run when RoPE rotates neighbours (the lanes 2i and
/// 2i+1 stay neighbours in a padded head), and two runs of h/2 when it rotates halves: q is then {2H, h/2, h'/2}, so
/// that partners lie h'/2 apart in a padded head as the program rotates it.
struct Axes {
  Axis dim, hidden, q, kv, seq;
  Axis head_queries;          // the H·S rows of probs and dp
  std::int64_t head_dim = 0;  // padded lanes of one head

  static Axes of(const ModelShape& shape, const Variant& variant);
};

/// An axis of n elements, padded as the variant says.
Axis make_axis(std::int64_t n, const Variant& variant, std::int64_t groups = 1);

enum class SlotKind { activation, weight };

/// One slot of an input surface, or a weight that is compiled into the program in the same form: a logical matrix
/// [channels, width]. A weight slot also says which model tensor it is staged from: that tensor in its natural
/// orientation, transposed when the slot holds its transpose, times `scale`.
struct Slot {
  std::string name;
  SlotKind kind = SlotKind::activation;
  Axis channels = {}, width = {};
  std::string weight = {};  // "wq"; empty for activations
  bool transposed = false;
  double scale = 1.0;  // 1/sqrt(h) for a folded Wq, rounded once, from fp32
  /// Along which axis the outputs of the product lie that a weight is for: one scale each when it has 8 bits.
  enum class Outputs { columns, rows } outputs = Outputs::columns;
  bool eight_bits = false;                            // compiled in as int8 (weight_constants.h), set by PackedLayout
  std::int64_t channel_offset = 0, width_offset = 0;  // on the surface, set by PackedLayout
};

/// One block of an output surface: a logical matrix [channels, S].
struct Block {
  std::string name;
  Axis channels, width;
  std::int64_t channel_offset = 0;
};

class PackedLayout {
 public:
  /// Where element [channel, token] of a block lies on the output surface.
  std::size_t output_place(const Block& block, std::int64_t channel, std::int64_t token) const {
    return static_cast<std::size_t>((block.channel_offset + block.channels.place(channel)) * output_width() +
                                    block.width.place(token));
  }

  /// Slots side by side along the last axis; all have the same channels. The variant's packing orders activations and
  /// weights, each kind keeping the order given; with static weights these are compiled() instead.
  static PackedLayout along_width(std::vector<Slot> slots, std::vector<Block> blocks, const Variant& variant);
  /// Columns side by side; the slots of a column lie one below the other and have the same width. A column holds
  /// activations or weights; packing and static weights treat columns as along_width treats slots. The rows below a
  /// column that is not the tallest belong to no slot.
  static PackedLayout in_columns(std::vector<std::vector<Slot>> columns, std::vector<Block> blocks,
                                 const Variant& variant);
  /// Slots one below the other along the channels; all have the same width. The surface may be the output of another
  /// kernel that leaves more below them: `rows_below` rows that belong to no slot.
  static PackedLayout along_channels(std::vector<Slot> slots, std::vector<Block> blocks, std::int64_t rows_below = 0);

  const std::vector<Slot>& slots() const { return slots_; }  // in the order of the surface
  const std::vector<Block>& blocks() const { return blocks_; }
  /// Weights that the program holds as constants; they have no place on the surface.
  const std::vector<Slot>& compiled() const { return compiled_; }
  /// All that the kernel computes from: slots() and compiled().
  std::vector<Slot> operands() const;
  /// Errors: an unknown name, with the names that exist.
  const Slot& slot(std::string_view name) const;
  const Block& block(std::string_view name) const;

  std::int64_t input_channels() const { return input_channels_; }
  std::int64_t input_width() const { return input_width_; }
  std::int64_t output_channels() const { return output_channels_; }
  std::int64_t output_width() const { return output_width_; }
  std::int64_t input_bytes() const { return 2 * input_channels_ * input_width_; }
  std::int64_t output_bytes() const { return 2 * output_channels_ * output_width_; }

 private:
  PackedLayout(std::vector<Slot> slots, std::vector<Block> blocks);

  std::vector<Slot> slots_, compiled_;
  std::vector<Block> blocks_;
  std::int64_t input_channels_ = 0, input_width_ = 0, output_channels_ = 0, output_width_ = 0;
};

}  // namespace aneval::ane
