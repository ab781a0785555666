#include "ane/kernels/parts.h"

#include <algorithm>
#include <cmath>

#include "ane/staging.h"
#include "ane/weight_constants.h"
#include "common/error.h"
#include "common/tensor.h"

namespace aneval::ane {

using mil::Shape;
using mil::Value;

Parts::Parts(const KernelConfig& config, const PackedLayout& layout)
    : config_(config), layout_(layout), axes_(Axes::of(config.shape, config.variant)) {
  input_ = builder_.input("x", {1, layout.input_channels(), 1, layout.input_width()});
}

/// The slot of that name if the program holds it, else null.
const Slot* Parts::compiled_slot(std::string_view name) const {
  const auto found = std::ranges::find(layout_.compiled(), name, &Slot::name);
  return found == layout_.compiled().end() ? nullptr : &*found;
}

/// The layer's tensors, of which the slot's is compiled in.
const NamedTensors& Parts::tensors_of(const Slot& slot) const {
  if (config_.weights == nullptr)
    throw input_error("variant " + variant_text({.weights = config_.variant.weights}),
                      "compiles '" + slot.weight + "' into the program, and there is none",
                      "choose weights=dynamic here; validate, bench, train and whole layers of run know the weights");
  return *config_.weights;
}

/// What staging would write into the slot.
std::vector<half_t> Parts::compiled_bits(const Slot& slot) const { return staged_bits(slot, tensors_of(slot)); }

Value Parts::compiled_weight(const Slot& slot) {
  const Shape shape = {1, slot.channels.padded_size(), 1, slot.width.padded_size()};
  if (config_.shapes_only)
    return slot.eight_bits ? builder_.absent_eight_bit_weights(slot.name, shape, eight_bit_axis(slot))
                           : builder_.absent_weights(slot.name, shape);
  if (!slot.eight_bits) return builder_.weight_bits(slot.name, shape, compiled_bits(slot));
  const std::vector<float> numbers = staged_numbers(slot, tensors_of(slot));
  const EightBitWeight weight = eight_bit_weight(slot, numbers);
  return builder_.eight_bit_weights(slot.name, shape, weight.axis, weight.values, weight.scales, numbers);
}

Value Parts::multiplicand(const Value& x, std::string_view activation) {
  if (!quantizes_activations(config_.variant, layout_)) return x;
  const std::string name(activation);
  if (config_.shapes_only) return in_eight_bits(x, 0x1p-7, name);  // any scale: it changes no shape
  const NamedTensors* known = config_.activations;
  if (known == nullptr || !known->contains(activation))
    throw input_error("variant weights=w8a8", "chooses the scale of '" + name + "' by its numbers, and there are none",
                      "choose weights=int8 here; validate, bench, train and whole layers of run know activations");
  const auto scale = static_cast<double>(activation_scale(known->find(activation)->second.data));
  return in_eight_bits(x, scale, name);
}

Value Parts::in_eight_bits(const Value& x, double scale, const std::string& name) {
  return builder_.dequantize(builder_.quantize(x, scale, name + "_q"), scale, name + "_dq");
}

Value Parts::slot(std::string_view name) {
  if (const Slot* compiled = compiled_slot(name)) return compiled_weight(*compiled);
  const Slot& slot = layout_.slot(name);
  return builder_.slice(input_, {0, slot.channel_offset, 0, slot.width_offset},
                        {1, slot.channels.padded_size(), 1, slot.width.padded_size()}, name);
}

Value Parts::joined(const std::vector<std::string_view>& slots, std::int64_t axis, std::string_view name) {
  std::vector<Value> parts;
  for (const std::string_view one : slots) parts.push_back(slot(one));
  return builder_.concat(parts, axis, false, name);
}

Value Parts::stack(const std::vector<std::string_view>& slots, std::string_view name) {
  if (compiled_slot(slots.front()) != nullptr) return joined(slots, 1, name);
  const Slot& top = layout_.slot(slots.front());
  std::int64_t height = 0;
  for (const std::string_view one : slots) {
    const Slot& next = layout_.slot(one);
    if (next.width_offset != top.width_offset || next.channel_offset != top.channel_offset + height)
      throw std::logic_error("slot '" + next.name + "' does not lie below the one before it");
    height += next.channels.padded_size();
  }
  return builder_.slice(input_, {0, top.channel_offset, 0, top.width_offset}, {1, height, 1, top.width.padded_size()},
                        name);
}

Value Parts::beside(const std::vector<std::string_view>& slots, std::string_view name) {
  if (compiled_slot(slots.front()) != nullptr) return joined(slots, 3, name);
  const Slot& left = layout_.slot(slots.front());
  std::int64_t width = 0;
  for (const std::string_view one : slots) {
    const Slot& next = layout_.slot(one);
    if (next.channel_offset != left.channel_offset || next.width_offset != left.width_offset + width)
      throw std::logic_error("slot '" + next.name + "' does not lie beside the one before it");
    width += next.width.padded_size();
  }
  return builder_.slice(input_, {0, left.channel_offset, 0, left.width_offset},
                        {1, left.channels.padded_size(), 1, width}, name);
}

Value Parts::turned(const Value& x, std::string_view name) { return builder_.transpose(x, {0, 1, 3, 2}, name); }

Value Parts::split_heads(const Value& x, std::string_view name) {
  const std::int64_t h = axes_.head_dim, heads = x.type.shape[1] / h, tokens = x.type.shape[3];
  const std::string base(name);
  if (by_flags()) return builder_.reshape(x, {1, heads, h, tokens}, base + "_h");
  return turned(builder_.reshape(x, {1, heads, h, tokens}, base + "_l"), base + "_h");
}

Value Parts::merge_heads(const Value& x, std::string_view name) {
  const Value lanes = by_flags() ? x : turned(x, std::string(name) + "_l");
  const Shape& shape = lanes.type.shape;
  return builder_.reshape(lanes, {1, shape[1] * shape[2], 1, shape[3]}, name);
}

Value Parts::lane_products(const Value& a, const Value& b, std::string_view name) {
  return builder_.matmul(a, b, by_flags(), !by_flags(), name);
}

Value Parts::mixed_tokens(const Value& m, bool transposed, const Value& x, std::string_view name) {
  if (by_flags()) return builder_.matmul(x, m, false, !transposed, name);  // (m·x)ᵀ = xᵀ·mᵀ
  return builder_.matmul(m, x, transposed, false, name);
}

Value Parts::merge_rows(const Value& x, std::string_view name) {
  return builder_.reshape(x, {1, x.type.shape[1] * x.type.shape[2], 1, x.type.shape[3]}, name);
}

Value Parts::split_rows(const Value& x, std::string_view name) {
  const std::int64_t tokens = x.type.shape[3];
  return builder_.reshape(x, {1, x.type.shape[1] / tokens, tokens, tokens}, std::string(name) + "_h");
}

Value Parts::tile_heads(const Value& x, std::string_view name) {
  const std::int64_t ratio = config_.shape.ratio();
  if (ratio == 1) return x;
  std::vector<Value> tiles;
  if (config_.variant.head_map == HeadMap::grouped) {
    // Head by head: slices and concats along the channels are what the engine is known to run; reshapes that move
    // heads into the batch axis, and concat's interleave flag, are not.
    for (std::int64_t head = 0; head < x.type.shape[1]; ++head) {
      const Value one = builder_.slice(x, {0, head, 0, 0}, {1, 1, x.type.shape[2], x.type.shape[3]},
                                       std::string(name) + "_head" + std::to_string(head));
      tiles.insert(tiles.end(), static_cast<std::size_t>(ratio), one);
    }
  } else {
    tiles.assign(static_cast<std::size_t>(ratio), x);
  }
  return builder_.concat(tiles, 1, false, std::string(name) + "_tiled");
}

Value Parts::scaled(const Value& x, std::string_view name) {
  if (config_.variant.score_scale == ScoreScale::folded) return x;
  const double factor = 1.0 / std::sqrt(static_cast<double>(config_.shape.head_dim));
  return builder_.mul(x, builder_.scalar(factor, "score_scale"), name);
}

Value Parts::scores_backward(const Value& probs, const Value& dp) {
  const Value products = builder_.mul(probs, dp, "p_dp");
  Value row_sum;
  if (config_.variant.row_sum == RowSum::reduce) {
    row_sum = builder_.reduce_sum(products, {-1}, true, "row_sum");
  } else {
    const std::int64_t keys = products.type.shape[3];
    const auto ones = [&] { return std::vector<double>(static_cast<std::size_t>(keys), 1.0); };
    row_sum = builder_.matmul(products, weights("ones", {1, 1, keys, 1}, ones), false, false, "row_sum");
  }
  return scaled(builder_.mul(builder_.sub(dp, row_sum, "dp_centred"), probs, "ds"), "ds_scaled");
}

Value Parts::weights(std::string_view name, const Shape& shape, const std::function<std::vector<double>()>& numbers) {
  return config_.shapes_only ? builder_.absent_weights(name, shape) : builder_.weights(name, shape, numbers());
}

mil::BuiltProgram Parts::finish(const std::vector<Value>& blocks) {
  if (blocks.size() != layout_.blocks().size()) throw std::logic_error("a block of the layout has no value");
  const Value result = blocks.size() == 1 ? blocks.front() : builder_.concat(blocks, 1, false, "out");
  const Shape expected = {1, layout_.output_channels(), 1, layout_.output_width()};
  if (result.type.shape != expected)
    throw std::logic_error("the program's output " + shape_text(result.type.shape) + " is not the layout's " +
                           shape_text(expected));
  return builder_.finish(result, "out");
}

Gate gate(Parts& p) {
  mil::Builder& b = p.builder();
  const Value xm = p.rows(p.multiplicand(p.slot("xm"), "xm"), "xm");
  const Value h1 = p.product(xm, p.weight("w1_t"), "h1_s");
  const Value h3 = p.product(xm, p.weight("w3_t"), "h3_s");
  const Value silu = b.mul(h1, b.sigmoid(h1, "sigma"), "silu");
  return {h1, h3, b.mul(silu, h3, "g_s")};
}

mil::BuiltProgram projection_sum(const KernelConfig& config, const PackedLayout& layout,
                                 const std::vector<std::pair<std::string_view, std::string_view>>& terms) {
  Parts parts(config, layout);
  Value sum;
  for (const auto& [activation, weight] : terms) {
    const Value term = parts.project(activation, weight, std::string(weight) + "_product");
    sum = sum.id.empty() ? term : parts.builder().add(sum, term, "sum");
  }
  return parts.finish({parts.channels_first(sum, layout.blocks().front().name)});
}

Slot activation_slot(std::string name, const Axis& channels, const Axis& width) {
  Slot slot;
  slot.name = std::move(name);
  slot.kind = SlotKind::activation;
  slot.channels = channels;
  slot.width = width;
  return slot;
}

Slot weight_slot(std::string name, const Axis& channels, const Axis& width, std::string weight, bool transposed,
                 double scale) {
  Slot slot = activation_slot(std::move(name), channels, width);
  slot.kind = SlotKind::weight;
  slot.weight = std::move(weight);
  slot.transposed = transposed;
  slot.scale = scale;
  slot.outputs = transposed ? Slot::Outputs::columns : Slot::Outputs::rows;  // of natural weights they are the rows
  return slot;
}

Block output_block(std::string name, const Axis& channels, const Axis& width) {
  Block block;
  block.name = std::move(name);
  block.channels = channels;
  block.width = width;
  return block;
}

double folded_query_scale(const KernelConfig& config) {
  const bool folded = config.variant.score_scale == ScoreScale::folded;
  return folded ? 1.0 / std::sqrt(static_cast<double>(config.shape.head_dim)) : 1.0;
}

}  // namespace aneval::ane
