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

namespace {

/// Angle tables [S, h] of RoPE, exact in double: what cos and sin blobs are rounded from.
struct RopeTables {
  std::vector<double> cos, sin;
};

RopeTables rope_tables(const ModelShape& shape, const Axes& axes) {
  const std::int64_t h = shape.head_dim, padded = axes.head_dim, seq = axes.seq.padded_size();
  RopeTables tables{std::vector<double>(static_cast<std::size_t>(seq * padded), 1.0),
                    std::vector<double>(static_cast<std::size_t>(seq * padded), 0.0)};
  for (std::int64_t position = 0; position < seq; ++position) {
    for (std::int64_t lane = 0; lane < h; ++lane) {
      const bool half = shape.rope_pairing == RopePairing::half;
      const std::int64_t pair = half ? lane % (h / 2) : lane / 2;
      // With half pairing a padded head keeps its two halves padded/2 apart (Axes::of).
      const std::int64_t at = half ? (lane / (h / 2)) * (padded / 2) + pair : lane;
      const double angle = static_cast<double>(position) *
                           std::pow(shape.rope_base, -2.0 * static_cast<double>(pair) / static_cast<double>(h));
      tables.cos[static_cast<std::size_t>(position * padded + at)] = std::cos(angle);
      tables.sin[static_cast<std::size_t>(position * padded + at)] = std::sin(angle);
    }
  }
  return tables;
}

/// 0 where a query may see a key, else the largest negative fp16: not -inf, which the engine decodes as a number.
std::vector<double> causal_mask(const Axis& seq) {
  const std::int64_t size = seq.padded_size();
  std::vector<double> mask(static_cast<std::size_t>(size * size), -kHalfMax);
  for (std::int64_t query = 0; query < size; ++query)
    for (std::int64_t key = 0; key <= query && key < seq.size(); ++key)
      mask[static_cast<std::size_t>(query * size + key)] = 0;
  return mask;
}

}  // namespace

Parts::Parts(const KernelConfig& config, const PackedLayout& layout)
    : config_(config), layout_(layout), axes_(Axes::of(config.shape, config.variant)) {
  input_ = builder_.input("x", {1, layout.input_channels(), 1, layout.input_width()});
}

Value Parts::compiled_weight(const Slot& slot) {
  const Shape shape = {1, slot.channels.padded_size(), 1, slot.width.padded_size()};
  if (config_.shapes_only) return builder_.absent_weights(slot.name, shape);
  if (config_.weights == nullptr)
    throw input_error("variant " + variant_text({.weights = config_.variant.weights}),
                      "compiles '" + slot.weight + "' into the program, and there is none",
                      "choose weights=dynamic here; validate, bench, train and whole layers of run know the weights");
  if (!slot.eight_bits) return builder_.weight_bits(slot.name, shape, staged_bits(slot, *config_.weights));
  const std::vector<float> numbers = staged_numbers(slot, *config_.weights);
  const EightBitWeight weight = eight_bit_weight(slot, numbers);
  return builder_.eight_bit_weights(slot.name, shape, weight.axis, weight.values, weight.scales, numbers);
}

Value Parts::multiplicand(const Value& x, std::string_view activation) {
  const bool integers = config_.variant.weights == Weights::w8a8 &&
                        std::ranges::any_of(layout_.compiled(), [](const Slot& s) { return s.eight_bits; });
  if (!integers || config_.shapes_only) return x;
  const std::string name(activation);
  const NamedTensors* known = config_.activations;
  if (known == nullptr || !known->contains(activation))
    throw input_error("variant weights=w8a8", "chooses the scale of '" + name + "' by its numbers, and there are none",
                      "choose weights=int8 here; validate, bench, train and whole layers of run know activations");
  const auto scale = static_cast<double>(activation_scale(known->find(activation)->second.data));
  return builder_.dequantize(builder_.quantize(x, scale, name + "_q"), scale, name + "_dq");
}

Value Parts::slot(std::string_view name) {
  for (const Slot& compiled : layout_.compiled())
    if (compiled.name == name) return compiled_weight(compiled);
  const Slot& slot = layout_.slot(name);
  return builder_.slice(input_, {0, slot.channel_offset, 0, slot.width_offset},
                        {1, slot.channels.padded_size(), 1, slot.width.padded_size()}, name);
}

Value Parts::stack(const std::vector<std::string_view>& slots, std::string_view name) {
  const bool compiled = std::ranges::any_of(layout_.compiled(), [&](const Slot& s) { return s.name == slots.front(); });
  if (compiled) {
    std::vector<Value> weights;
    for (const std::string_view weight : slots) weights.push_back(slot(weight));
    return builder_.concat(weights, 1, false, name);
  }
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

Value Parts::matrix(std::string_view slot_name) {
  const Value w = slot(slot_name);
  return builder_.reshape(w, {1, 1, w.type.shape[1], w.type.shape[3]}, std::string(slot_name) + "_m");
}

Value Parts::tokens_first(const Value& x, std::string_view name) {
  const std::int64_t channels = x.type.shape[1], tokens = x.type.shape[3];
  const std::string base(name);
  return builder_.transpose(builder_.reshape(x, {1, 1, channels, tokens}, base + "_rows"), {0, 1, 3, 2}, base + "_t");
}

Value Parts::channels_first(const Value& x, std::string_view name) {
  const std::int64_t tokens = x.type.shape[2], channels = x.type.shape[3];
  const Value turned = builder_.transpose(x, {0, 1, 3, 2}, std::string(name) + "_c");
  return builder_.reshape(turned, {1, channels, 1, tokens}, name);
}

Value Parts::project(std::string_view activation, std::string_view weight, std::string_view name) {
  const Value act = tokens_first(multiplicand(slot(activation), activation), activation);
  return builder_.matmul(act, matrix(weight), false, false, name);
}

Value Parts::split_heads(const Value& x, std::string_view name) {
  const std::int64_t h = axes_.head_dim, heads = x.type.shape[1] / h, tokens = x.type.shape[3];
  const Value lanes = builder_.reshape(x, {1, heads, h, tokens}, std::string(name) + "_l");
  return builder_.transpose(lanes, {0, 1, 3, 2}, std::string(name) + "_h");
}

Value Parts::merge_heads(const Value& x, std::string_view name) {
  const std::int64_t heads = x.type.shape[1], tokens = x.type.shape[2], h = x.type.shape[3];
  const Value lanes = builder_.transpose(x, {0, 1, 3, 2}, std::string(name) + "_l");
  return builder_.reshape(lanes, {1, heads * h, 1, tokens}, name);
}

Value Parts::merge_rows(const Value& x, std::string_view name) {
  return builder_.reshape(x, {1, x.type.shape[1] * x.type.shape[2], 1, x.type.shape[3]}, name);
}

Value Parts::split_rows(const Value& x, std::string_view name) {
  const std::int64_t tokens = x.type.shape[3];
  return builder_.reshape(x, {1, x.type.shape[1] / tokens, tokens, tokens}, std::string(name) + "_h");
}

Value Parts::rope(const Value& x, std::string_view name) {
  const std::int64_t heads = x.type.shape[1], tokens = x.type.shape[2], h = x.type.shape[3];
  const std::string base(name);
  if (cos_.id.empty()) {
    RopeTables tables;
    if (!config_.shapes_only) tables = rope_tables(config_.shape, axes_);
    cos_ = weights("rope_cos", {1, 1, tokens, h}, [&] { return std::move(tables.cos); });
    sin_ = weights("rope_sin", {1, 1, tokens, h}, [&] { return std::move(tables.sin); });
  }
  const Value minus_one = builder_.scalar(-1, "minus_one");
  // rotated = (-second, first) of every pair, so that rope(x) = x·cos + rotated·sin.
  Value rotated;
  if (config_.shape.rope_pairing == RopePairing::interleaved) {
    const std::int64_t pairs = tokens * h / 2;
    const Value paired = builder_.reshape(x, {1, heads, pairs, 2}, base + "_pairs");
    const Value first = builder_.slice(paired, {0, 0, 0, 0}, {1, heads, pairs, 1}, base + "_even");
    const Value second = builder_.slice(paired, {0, 0, 0, 1}, {1, heads, pairs, 1}, base + "_odd");
    const Value turned =
        builder_.concat({builder_.mul(second, minus_one, base + "_neg"), first}, 3, false, base + "_turned");
    rotated = builder_.reshape(turned, x.type.shape, base + "_rot");
  } else {
    const Value first = builder_.slice(x, {0, 0, 0, 0}, {1, heads, tokens, h / 2}, base + "_first");
    const Value second = builder_.slice(x, {0, 0, 0, h / 2}, {1, heads, tokens, h / 2}, base + "_second");
    rotated = builder_.concat({builder_.mul(second, minus_one, base + "_neg"), first}, 3, false, base + "_rot");
  }
  return builder_.add(builder_.mul(x, cos_, base + "_cos"), builder_.mul(rotated, sin_, base + "_sin"),
                      base + "_roped");
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

Value Parts::attention(const Value& q, const Value& k) {
  const Value scores = scaled(builder_.matmul(q, k, false, true, "scores"), "scores_scaled");
  const std::int64_t seq = axes_.seq.padded_size();
  const Value mask = weights("causal_mask", {1, 1, seq, seq}, [&] { return causal_mask(axes_.seq); });
  return builder_.softmax(builder_.add(scores, mask, "scores_masked"), -1, "probabilities");
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
  const Value tokens = p.tokens_first(p.multiplicand(p.slot("xm"), "xm"), "xm");
  const Value h1 = b.matmul(tokens, p.matrix("w1_t"), false, false, "h1_s");
  const Value h3 = b.matmul(tokens, p.matrix("w3_t"), false, false, "h3_s");
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
