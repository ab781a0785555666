// Offsets of slots and blocks, with the checks that make every later index safe.
#include "ane/packed_layout.h"

#include <algorithm>
#include <iterator>

#include "ane/weight_constants.h"
#include "common/error.h"
#include "common/names.h"

namespace aneval::ane {
namespace {

constexpr std::int64_t kPadTo = 32;  // the engine's tile: widths and contractions must be multiples of it

std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  if (n > INT64_MAX - multiple)
    throw input_error("layout", std::to_string(n) + " overflows 64 bits", "use a smaller shape");
  return (n + multiple - 1) / multiple * multiple;
}

Error wrong(std::string_view what, std::string_view name, std::string reason) {
  return input_error("layout: " + std::string(what) + " '" + std::string(name) + "'", std::move(reason),
                     "correct the kernel's layout");
}

/// a + b·c, or an error naming the slot or block.
std::int64_t multiply_add(std::int64_t a, std::int64_t b, std::int64_t c, std::string_view what,
                          std::string_view name) {
  std::int64_t product = 0, sum = 0;
  if (__builtin_mul_overflow(b, c, &product) || __builtin_add_overflow(a, product, &sum))
    throw wrong(what, name, "its size or offset overflows 64 bits");
  return sum;
}

void check_axis(const Axis& axis, std::string_view what, std::string_view name) {
  if (axis.groups < 1 || axis.run < 1)
    throw wrong(what, name, "an axis of " + std::to_string(axis.groups) + " runs of " + std::to_string(axis.run));
  if (axis.padded_run < axis.run) throw wrong(what, name, "an axis is padded to less than it holds");
  multiply_add(0, axis.groups, axis.padded_run, what, name);
}

template <class Part>
void check_parts(const std::vector<Part>& parts, std::string_view what) {
  if (parts.empty()) throw wrong(what, "", "there is none");
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    if (part->name.empty()) throw wrong(what, "", "has no name");
    if (std::any_of(parts.begin(), part, [&](const Part& other) { return other.name == part->name; }))
      throw wrong(what, part->name, "occurs twice");
    check_axis(part->channels, what, part->name);
    check_axis(part->width, what, part->name);
  }
}

void check_staging(const Slot& slot) {
  const bool weight = slot.kind == SlotKind::weight;
  if (weight && slot.weight.empty()) throw wrong("slot", slot.name, "holds a weight but names no model tensor");
  if (!weight && (!slot.weight.empty() || slot.transposed || slot.scale != 1.0))
    throw wrong("slot", slot.name, "is an activation but says how a weight is staged");
}

/// A surface's element count times 2 bytes must fit.
void check_surface(std::int64_t channels, std::int64_t width, std::string_view what) {
  multiply_add(0, multiply_add(0, channels, width, what, "all"), 2, what, "all");
}

template <class Part>
const Part& find(const std::vector<Part>& parts, std::string_view what, std::string_view name) {
  std::vector<std::string> known;
  for (const Part& part : parts) {
    if (part.name == name) return part;
    known.push_back(part.name);
  }
  unknown_name(what, name, known);
}

}  // namespace

Axis make_axis(std::int64_t n, const Variant& variant, std::int64_t groups) {
  return {groups, n, variant.pad == Pad::none ? n : round_up(n, kPadTo)};
}

Axes Axes::of(const ModelShape& shape, const Variant& variant) {
  Axes axes;
  axes.dim = make_axis(shape.dim, variant);
  axes.hidden = make_axis(shape.hidden, variant);
  axes.seq = make_axis(shape.seq, variant);
  axes.head_queries = make_axis(shape.seq, variant, shape.heads);
  axes.head_dim = make_axis(shape.head_dim, variant).padded_run;
  const bool halves = shape.rope_pairing == RopePairing::half;
  const Axis lanes = halves ? Axis{2, shape.head_dim / 2, axes.head_dim / 2} : Axis{1, shape.head_dim, axes.head_dim};
  axes.q = {shape.heads * lanes.groups, lanes.run, lanes.padded_run};
  axes.kv = {shape.kv_heads * lanes.groups, lanes.run, lanes.padded_run};
  return axes;
}

PackedLayout::PackedLayout(std::vector<Slot> slots, std::vector<Block> blocks)
    : slots_(std::move(slots)), blocks_(std::move(blocks)) {
  check_parts(slots_, "slot");
  check_parts(blocks_, "block");
  for (const Slot& slot : slots_) check_staging(slot);
  output_width_ = blocks_.front().width.padded_size();
  for (Block& block : blocks_) {
    if (block.width != blocks_.front().width)
      throw wrong("block", block.name, "has another width than '" + blocks_.front().name + "'");
    block.channel_offset = output_channels_;
    output_channels_ =
        multiply_add(output_channels_, block.channels.groups, block.channels.padded_run, "block", block.name);
  }
  check_surface(output_channels_, output_width_, "block");
}

PackedLayout PackedLayout::along_width(std::vector<Slot> slots, std::vector<Block> blocks, const Variant& variant) {
  std::vector<std::vector<Slot>> columns;
  for (Slot& slot : slots) columns.push_back({std::move(slot)});
  PackedLayout layout = in_columns(std::move(columns), std::move(blocks), variant);
  for (const Slot& slot : layout.slots_)
    if (slot.channels != layout.slots_.front().channels)
      throw wrong("slot", slot.name, "has other channels than '" + layout.slots_.front().name + "' beside it");
  return layout;
}

PackedLayout PackedLayout::in_columns(std::vector<std::vector<Slot>> columns, std::vector<Block> blocks,
                                      const Variant& variant) {
  std::vector<Slot> all;
  for (const auto& column : columns) all.insert(all.end(), column.begin(), column.end());
  // What is wrong with a slot is wrong wherever it lies.
  PackedLayout layout(std::move(all), std::move(blocks));
  std::erase_if(columns, [](const auto& column) { return column.empty(); });
  for (const auto& column : columns)
    for (const Slot& slot : column) {
      if (slot.width != column.front().width)
        throw wrong("slot", slot.name, "has another width than '" + column.front().name + "' above it");
      if (slot.kind != column.front().kind)
        throw wrong("slot", slot.name, "is not of the kind of '" + column.front().name + "' above it");
    }
  const bool compiled = are_constants(variant.weights);
  // A slot that begins with d holds a gradient: kernels of the backward pass keep fp16 weights.
  const bool forward = std::ranges::none_of(columns, [](const auto& column) {
    return column.front().kind == SlotKind::activation && column.front().name.starts_with('d');
  });
  const SlotKind first = compiled || variant.packing == Packing::acts_first ? SlotKind::activation : SlotKind::weight;
  std::ranges::stable_partition(columns, [&](const auto& column) { return column.front().kind == first; });
  layout.slots_.clear();
  for (auto& column : columns) {
    if (compiled && column.front().kind == SlotKind::weight) {
      for (Slot& slot : column) {
        slot.eight_bits = forward && have_8_bits(variant.weights);
        layout.compiled_.push_back(std::move(slot));
      }
      continue;
    }
    std::int64_t height = 0;
    for (Slot& slot : column) {
      slot.channel_offset = height;
      slot.width_offset = layout.input_width_;
      height = multiply_add(height, slot.channels.groups, slot.channels.padded_run, "slot", slot.name);
      layout.slots_.push_back(slot);
    }
    const Slot& top = column.front();
    layout.input_channels_ = std::max(layout.input_channels_, height);
    layout.input_width_ = multiply_add(layout.input_width_, top.width.groups, top.width.padded_run, "slot", top.name);
  }
  if (layout.slots_.empty()) throw wrong("slot", "", "there is none but weights that are compiled in");
  check_surface(layout.input_channels_, layout.input_width_, "slot");
  return layout;
}

PackedLayout PackedLayout::along_channels(std::vector<Slot> slots, std::vector<Block> blocks, std::int64_t rows_below) {
  PackedLayout layout(std::move(slots), std::move(blocks));
  layout.input_width_ = layout.slots_.front().width.padded_size();
  for (Slot& slot : layout.slots_) {
    if (slot.width != layout.slots_.front().width)
      throw wrong("slot", slot.name, "has another width than '" + layout.slots_.front().name + "' above it");
    slot.width_offset = 0;
    slot.channel_offset = layout.input_channels_;
    layout.input_channels_ =
        multiply_add(layout.input_channels_, slot.channels.groups, slot.channels.padded_run, "slot", slot.name);
  }
  layout.input_channels_ = multiply_add(layout.input_channels_, 1, rows_below, "slot", "rows below");
  check_surface(layout.input_channels_, layout.input_width_, "slot");
  return layout;
}

std::vector<Slot> PackedLayout::operands() const {
  std::vector<Slot> all = slots_;
  all.insert(all.end(), compiled_.begin(), compiled_.end());
  return all;
}

const Slot& PackedLayout::slot(std::string_view name) const { return find(slots_, "slot", name); }
const Block& PackedLayout::block(std::string_view name) const { return find(blocks_, "block", name); }

}  // namespace aneval::ane
