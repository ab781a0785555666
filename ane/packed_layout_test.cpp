// Axes and offsets against hand-computed numbers; every check of a layout.
#include "ane/packed_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"

namespace aneval::ane {
namespace {

using testing::AllOf;
using testing::HasSubstr;

ModelShape tiny_shape() {
  return {.name = "tiny",
          .dim = 12,
          .hidden = 40,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 6,
          .seq = 5,
          .layers = 1,
          .vocab = 9};
}

Variant padded() {
  Variant variant;
  variant.pad = Pad::multiple_of_32;
  return variant;
}

Slot activation(std::string name, Axis channels, Axis width) {
  return {.name = std::move(name), .channels = channels, .width = width};
}

Slot weight(std::string name, Axis channels, Axis width) {
  return {.name = name, .kind = SlotKind::weight, .channels = channels, .width = width, .weight = name};
}

Axis plain(std::int64_t n) { return {1, n, n}; }

template <class Make>
std::string error_of(const Make& make) {
  try {
    make();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  }
  return "accepted";
}

TEST(Axis, PlacesRunsApart) {
  const Axis axis{2, 3, 8};
  EXPECT_EQ(axis.size(), 6);
  EXPECT_EQ(axis.padded_size(), 16);
  EXPECT_TRUE(axis.padded());
  EXPECT_EQ(axis.place(2), 2);
  EXPECT_EQ(axis.place(3), 8);
  EXPECT_EQ(axis.place(5), 10);
}

TEST(Axes, WithoutPadding) {
  const Axes axes = Axes::of(tiny_shape(), {});
  EXPECT_EQ(axes.dim, plain(12));
  EXPECT_EQ(axes.hidden, plain(40));
  EXPECT_EQ(axes.seq, plain(5));
  EXPECT_EQ(axes.q, (Axis{4, 6, 6}));
  EXPECT_EQ(axes.kv, (Axis{2, 6, 6}));
  EXPECT_EQ(axes.head_queries, (Axis{4, 5, 5}));
  EXPECT_EQ(axes.head_dim, 6);
}

TEST(Axes, PaddedToMultiplesOf32) {
  ModelShape shape = tiny_shape();
  const Axes axes = Axes::of(shape, padded());
  EXPECT_EQ(axes.dim, (Axis{1, 12, 32}));
  EXPECT_EQ(axes.hidden, (Axis{1, 40, 64}));
  EXPECT_EQ(axes.seq, (Axis{1, 5, 32}));
  EXPECT_EQ(axes.q, (Axis{4, 6, 32}));
  EXPECT_EQ(axes.kv, (Axis{2, 6, 32}));
  EXPECT_EQ(axes.head_queries, (Axis{4, 5, 32}));
  EXPECT_EQ(axes.head_dim, 32);
  shape.seq = 256;
  EXPECT_EQ(Axes::of(shape, padded()).seq, plain(256));
}

TEST(Axes, HalvesOfAPaddedHeadLieApart) {
  ModelShape shape = tiny_shape();
  shape.rope_pairing = RopePairing::half;
  const Axes axes = Axes::of(shape, padded());
  EXPECT_EQ(axes.q, (Axis{8, 3, 16}));
  EXPECT_EQ(axes.kv, (Axis{4, 3, 16}));
  EXPECT_EQ(axes.head_dim, 32);
  // Lane 3 of head 1 is the partner of its lane 0.
  EXPECT_EQ(axes.q.place(6 + 3) - axes.q.place(6), 16);
  EXPECT_EQ(Axes::of(shape, {}).q.padded_size(), 24);
}

TEST(Axes, SizeBeyond64Bits) {
  EXPECT_THAT(error_of([] { make_axis(INT64_MAX - 3, padded()); }), HasSubstr("overflows"));
}

TEST(PackedLayout, SlotsSideBySide) {
  const auto slots = [] {
    return std::vector{activation("x", plain(12), plain(5)), weight("w", plain(12), plain(7)),
                       activation("z", plain(12), plain(5)), weight("v", plain(12), {2, 3, 4})};
  };
  const std::vector<Block> blocks = {{"a", plain(12), plain(5)}, {"b", {4, 5, 8}, plain(5)}};
  const PackedLayout acts = PackedLayout::along_width(slots(), blocks, {});
  EXPECT_EQ(acts.input_channels(), 12);
  EXPECT_EQ(acts.input_width(), 5 + 5 + 7 + 8);
  EXPECT_EQ(acts.input_bytes(), 2 * 12 * 25);
  EXPECT_EQ(acts.slot("x").width_offset, 0);
  EXPECT_EQ(acts.slot("z").width_offset, 5);
  EXPECT_EQ(acts.slot("w").width_offset, 10);
  EXPECT_EQ(acts.slot("v").width_offset, 17);
  EXPECT_EQ(acts.slot("v").channel_offset, 0);
  EXPECT_EQ(acts.slots()[1].name, "z");
  EXPECT_EQ(acts.block("a").channel_offset, 0);
  EXPECT_EQ(acts.block("b").channel_offset, 12);
  EXPECT_EQ(acts.output_channels(), 12 + 32);
  EXPECT_EQ(acts.output_width(), 5);
  EXPECT_EQ(acts.output_bytes(), 2 * 44 * 5);

  const PackedLayout weights = PackedLayout::along_width(slots(), blocks, {.packing = Packing::weights_first});
  EXPECT_EQ(weights.slot("w").width_offset, 0);
  EXPECT_EQ(weights.slot("v").width_offset, 7);
  EXPECT_EQ(weights.slot("x").width_offset, 15);
  EXPECT_EQ(weights.slot("z").width_offset, 20);

  // Compiled into the program they have no place on the surface, whatever the packing.
  for (const Packing packing : {Packing::acts_first, Packing::weights_first}) {
    const PackedLayout compiled =
        PackedLayout::along_width(slots(), blocks, {.packing = packing, .weights = Weights::compiled});
    EXPECT_EQ(compiled.input_width(), 5 + 5);
    EXPECT_EQ(compiled.slot("z").width_offset, 5);
    ASSERT_EQ(compiled.compiled().size(), 2u);
    EXPECT_EQ(compiled.compiled()[0].name, "w");
    EXPECT_EQ(compiled.compiled()[1].name, "v");
    EXPECT_EQ(compiled.operands().size(), 4u);
    EXPECT_EQ(compiled.output_channels(), acts.output_channels());
  }
  EXPECT_TRUE(acts.compiled().empty());
}

TEST(PackedLayout, SlotsBelowEachOther) {
  const Axis seq{1, 5, 32};
  const PackedLayout layout = PackedLayout::along_channels(
      {activation("q", {4, 6, 32}, seq), activation("probs", {4, 5, 32}, seq)}, {{"a", plain(3), seq}});
  EXPECT_EQ(layout.input_width(), 32);
  EXPECT_EQ(layout.input_channels(), 256);
  EXPECT_EQ(layout.slot("q").channel_offset, 0);
  EXPECT_EQ(layout.slot("probs").channel_offset, 128);
  EXPECT_EQ(layout.slot("probs").width_offset, 0);
  const PackedLayout longer =
      PackedLayout::along_channels({activation("q", {4, 6, 32}, seq)}, {{"a", plain(3), seq}}, 10);
  EXPECT_EQ(longer.input_channels(), 138);
  EXPECT_EQ(longer.input_bytes(), 2 * 138 * 32);
}

TEST(PackedLayout, ColumnsOfSlotsBelowEachOther) {
  const auto make = [](const Variant& variant) {
    return PackedLayout::in_columns({{activation("a", plain(6), plain(5)), activation("b", plain(3), plain(5))},
                                     {activation("short", plain(2), plain(5))},
                                     {weight("wa", plain(6), plain(4)), weight("wb", plain(3), plain(4))}},
                                    {{.name = "out", .channels = plain(4), .width = plain(5)}}, variant);
  };
  const auto places = [](const PackedLayout& layout) {
    std::vector<std::string> all;
    for (const Slot& slot : layout.slots())
      all.push_back(slot.name + "@" + std::to_string(slot.channel_offset) + "," + std::to_string(slot.width_offset));
    return all;
  };
  const PackedLayout layout = make({});
  EXPECT_EQ(layout.input_channels(), 9);  // of the tallest column
  EXPECT_EQ(layout.input_width(), 14);
  EXPECT_THAT(places(layout), testing::ElementsAre("a@0,0", "b@6,0", "short@0,5", "wa@0,10", "wb@6,10"));
  Variant turned;
  turned.packing = Packing::weights_first;
  EXPECT_THAT(places(make(turned)), testing::ElementsAre("wa@0,0", "wb@6,0", "a@0,4", "b@6,4", "short@0,9"));
  Variant compiled;
  compiled.weights = Weights::compiled;
  EXPECT_THAT(places(make(compiled)), testing::ElementsAre("a@0,0", "b@6,0", "short@0,5"));
  EXPECT_EQ(make(compiled).compiled().size(), 2u);
  EXPECT_EQ(make(compiled).input_width(), 10);
}

TEST(PackedLayout, ColumnsOfOneWidthAndKind) {
  const std::vector<Block> blocks = {{.name = "out", .channels = plain(4), .width = plain(5)}};
  const auto error_with = [&](Slot below) {
    return error_of(
        [&] { (void)PackedLayout::in_columns({{activation("a", plain(6), plain(5)), std::move(below)}}, blocks, {}); });
  };
  EXPECT_THAT(error_with(activation("b", plain(3), plain(4))), HasSubstr("'b': has another width than 'a' above it"));
  EXPECT_THAT(error_with(weight("w", plain(3), plain(5))), HasSubstr("'w': is not of the kind of 'a' above it"));
}

TEST(PackedLayout, UnknownNamesAreAnsweredWithTheKnown) {
  const PackedLayout layout =
      PackedLayout::along_channels({activation("query", plain(4), plain(5))}, {{"value", plain(4), plain(5)}});
  EXPECT_THAT(error_of([&] { layout.slot("qeury"); }),
              AllOf(HasSubstr("slot"), HasSubstr("qeury"), HasSubstr("query")));
  EXPECT_THAT(error_of([&] { layout.block("valeu"); }), AllOf(HasSubstr("block"), HasSubstr("value")));
}

TEST(PackedLayout, WrongLayoutsAreRefused) {
  const Axis c = plain(4), w = plain(5);
  const std::vector<Block> blocks = {{"a", c, w}};
  const auto beside = [&](std::vector<Slot> slots, std::vector<Block> b) {
    return error_of([&] { PackedLayout::along_width(std::move(slots), std::move(b), {}); });
  };
  const auto below = [&](std::vector<Slot> slots) {
    return error_of([&] { PackedLayout::along_channels(std::move(slots), blocks); });
  };
  EXPECT_THAT(beside({}, blocks), HasSubstr("there is none"));
  EXPECT_THAT(beside({activation("x", c, w)}, {}), HasSubstr("there is none"));
  EXPECT_THAT(beside({activation("", c, w)}, blocks), HasSubstr("no name"));
  EXPECT_THAT(beside({activation("x", c, w), activation("x", c, w)}, blocks), HasSubstr("'x': occurs twice"));
  EXPECT_THAT(beside({activation("x", c, w)}, {{"a", c, w}, {"a", c, w}}), HasSubstr("block 'a': occurs twice"));
  EXPECT_THAT(beside({activation("x", c, w), activation("z", plain(3), w)}, blocks),
              HasSubstr("'z': has other channels"));
  EXPECT_THAT(beside({activation("x", c, w)}, {{"a", c, w}, {"b", c, plain(6)}}), HasSubstr("'b': has another width"));
  EXPECT_THAT(below({activation("x", c, w), activation("z", c, plain(6))}), HasSubstr("'z': has another width"));
  EXPECT_THAT(beside({activation("x", {0, 4, 4}, w)}, blocks), HasSubstr("0 runs of 4"));
  EXPECT_THAT(beside({activation("x", {1, 4, 3}, w)}, blocks), HasSubstr("padded to less"));
  EXPECT_THAT(beside({{.name = "w", .kind = SlotKind::weight, .channels = c, .width = w}}, blocks),
              HasSubstr("no model tensor"));
  EXPECT_THAT(beside({{.name = "x", .channels = c, .width = w, .scale = 0.5}}, blocks), HasSubstr("is an activation"));
}

TEST(PackedLayout, OverflowNamesTheSlot) {
  const std::int64_t large = std::int64_t{1} << 62;
  const std::vector<Block> blocks = {{"a", plain(4), plain(5)}};
  EXPECT_THAT(error_of([&] {
                PackedLayout::along_width(
                    {activation("x", plain(1), plain(large)), activation("z", plain(1), plain(large))}, blocks, {});
              }),
              HasSubstr("slot 'z': its size or offset overflows"));
  EXPECT_THAT(error_of([&] { PackedLayout::along_channels({activation("x", plain(large), plain(4))}, blocks); }),
              HasSubstr("overflows"));
  EXPECT_THAT(error_of([&] { PackedLayout::along_channels({activation("x", {large, 4, 4}, plain(1))}, blocks); }),
              HasSubstr("slot 'x': its size or offset overflows"));
}

}  // namespace
}  // namespace aneval::ane
