// Staging against a model that places one element at a time, over random shapes, paddings, packings and scales.
// Surfaces start poisoned, so that an element written beside its slot, or one left out, is seen.
#include "ane/staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "common/error.h"

namespace aneval::ane {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr half_t kUntouched = kPoison[0];

class Source {
 public:
  explicit Source(unsigned seed) : generator_(seed) {}
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(generator_() % static_cast<std::uint32_t>(n)); }
  std::vector<float> floats(std::int64_t n) {
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& value : values) value = static_cast<float>(static_cast<std::int32_t>(generator_())) * 0x1p-29F;
    return values;
  }
  Tensor tensor(std::int64_t rows, std::int64_t cols) {
    Tensor result({rows, cols});
    std::ranges::copy(floats(rows * cols), result.data.begin());
    return result;
  }

 private:
  std::mt19937 generator_;
};

struct Model {
  ModelShape shape;
  Variant variant;
  PackedLayout layout;
  NamedTensors weights;
};

/// Two activations and four weights that between them are plain and transposed, scaled and not, with axes of every
/// kind.
Model random_model(Source& source) {
  ModelShape shape{.name = "random",
                   .dim = 1 + source.below(140),
                   .hidden = 1 + source.below(170),
                   .heads = 0,
                   .kv_heads = 1 + source.below(3),
                   .head_dim = 2 * (1 + source.below(20)),
                   .seq = 1 + source.below(70),
                   .layers = 1,
                   .vocab = 3};
  shape.heads = shape.kv_heads * (1 + source.below(3));
  shape.rope_pairing = source.below(2) ? RopePairing::half : RopePairing::interleaved;
  Variant variant;
  variant.pad = source.below(2) ? Pad::multiple_of_32 : Pad::none;
  variant.packing = source.below(2) ? Packing::weights_first : Packing::acts_first;
  const Axes axes = Axes::of(shape, variant);
  const bool by_heads = source.below(2) != 0;  // channels are the lanes of heads, as in woFwd and qBwd
  const Axis channels = by_heads ? axes.q : axes.dim, other = by_heads ? axes.dim : axes.q;
  const double scale = 1 / std::sqrt(static_cast<double>(shape.head_dim));
  const auto slot = [&](const char* name, const char* weight, Axis width, bool transposed, double factor) {
    return Slot{.name = name,
                .kind = SlotKind::weight,
                .channels = channels,
                .width = width,
                .weight = weight,
                .transposed = transposed,
                .scale = factor};
  };
  PackedLayout layout =
      PackedLayout::along_width({{.name = "x", .channels = channels, .width = axes.seq},
                                 slot("a_t", "a", other, true, 1),
                                 slot("b", "b", axes.hidden, false, 1),
                                 slot("c_t", "c", axes.kv, true, scale),
                                 slot("d", "d", other, false, scale),
                                 {.name = "z", .channels = channels, .width = axes.seq}},
                                {{"y", other, axes.seq}, {"p", axes.head_queries, axes.seq}}, variant);
  const std::int64_t n = channels.size();
  NamedTensors weights = {{"a", source.tensor(other.size(), n)},
                          {"b", source.tensor(n, shape.hidden)},
                          {"c", source.tensor(shape.kv_dim(), n)},
                          {"d", source.tensor(n, other.size())}};
  return {shape, variant, std::move(layout), std::move(weights)};
}

std::string describe(const Model& model) {
  return variant_text(model.variant) + " dim " + std::to_string(model.shape.dim) + " heads " +
         std::to_string(model.shape.heads) + " head_dim " + std::to_string(model.shape.head_dim) + " seq " +
         std::to_string(model.shape.seq);
}

std::vector<half_t> contents(Surface& surface) {
  const ReadLock lock(surface);
  return {lock.halves().begin(), lock.halves().end()};
}

std::unique_ptr<Surface> poisoned(std::int64_t bytes) {
  auto surface = make_host_surface(static_cast<std::size_t>(bytes));
  poison(*surface, kUntouched);
  return surface;
}

/// Index on the input surface of element (channel, column) of a slot.
std::size_t index_of(const PackedLayout& layout, const Slot& slot, std::int64_t channel, std::int64_t column) {
  return static_cast<std::size_t>((slot.channel_offset + slot.channels.place(channel)) * layout.input_width() +
                                  slot.width_offset + slot.width.place(column));
}

std::size_t index_of(const PackedLayout& layout, const Block& block, std::int64_t channel, std::int64_t column) {
  return static_cast<std::size_t>((block.channel_offset + block.channels.place(channel)) * layout.output_width() +
                                  block.width.place(column));
}

std::vector<half_t> staged_one_by_one(const Model& model) {
  std::vector<half_t> surface(static_cast<std::size_t>(model.layout.input_bytes() / 2), kUntouched);
  for (const Slot& slot : model.layout.slots()) {
    if (slot.kind != SlotKind::weight) continue;
    const Tensor& tensor = model.weights.at(slot.weight);
    for (std::int64_t c = 0; c < slot.channels.size(); ++c)
      for (std::int64_t w = 0; w < slot.width.size(); ++w) {
        const std::int64_t from = slot.transposed ? w * slot.channels.size() + c : c * slot.width.size() + w;
        const auto value = static_cast<double>(tensor.data[static_cast<std::size_t>(from)]);
        surface[index_of(model.layout, slot, c, w)] = to_half(value * slot.scale);
      }
  }
  return surface;
}

TEST(Staging, WeightsOfRandomModels) {
  for (unsigned seed = 0; seed < 120; ++seed) {
    Source source(seed);
    const Model model = random_model(source);
    SCOPED_TRACE(describe(model));
    const auto surface = poisoned(model.layout.input_bytes());
    stage_weights(model.layout, model.weights, *surface);
    ASSERT_EQ(contents(*surface), staged_one_by_one(model));
  }
}

TEST(Staging, WeightsForAProgramAreThoseOfTheSurface) {
  for (unsigned seed = 0; seed < 120; ++seed) {
    Source source(seed);
    const Model model = random_model(source);
    SCOPED_TRACE(describe(model));
    const auto surface = make_host_surface(static_cast<std::size_t>(model.layout.input_bytes()));
    stage_weights(model.layout, model.weights, *surface);
    const std::vector<half_t> all = contents(*surface);
    for (const Slot& slot : model.layout.slots()) {
      if (slot.kind != SlotKind::weight) continue;
      const std::int64_t rows = slot.channels.padded_size(), width = slot.width.padded_size();
      std::vector<half_t> expected;
      for (std::int64_t row = 0; row < rows; ++row) {
        const auto begin = all.begin() + (slot.channel_offset + row) * model.layout.input_width() + slot.width_offset;
        expected.insert(expected.end(), begin, begin + width);
      }
      ASSERT_EQ(staged_bits(slot, model.weights), expected) << slot.name;
    }
  }
}

TEST(Staging, ThreadsDoNotChangeABit) {
  ThreadPool pool(2);
  for (unsigned seed = 0; seed < 20; ++seed) {
    Source source(seed);
    const Model model = random_model(source);
    const auto alone = poisoned(model.layout.input_bytes()), together = poisoned(model.layout.input_bytes());
    stage_weights(model.layout, model.weights, *alone);
    stage_weights(model.layout, model.weights, *together, &pool);
    ASSERT_EQ(contents(*alone), contents(*together)) << describe(model);
  }
}

TEST(Staging, PaddingOfAFreshSurfaceStaysZero) {
  Source source(5);
  Model model = random_model(source);
  while (model.variant.pad == Pad::none) model = random_model(source);
  const auto surface = make_host_surface(static_cast<std::size_t>(model.layout.input_bytes()));
  stage_weights(model.layout, model.weights, *surface);
  std::vector<half_t> expected = staged_one_by_one(model);
  std::ranges::replace(expected, kUntouched, half_t{0});
  EXPECT_EQ(contents(*surface), expected);
}

TEST(Staging, ScaledWeightsAreRoundedOnce) {
  // Products next to a midpoint of two halves, at the edges of the range, and values that are no numbers.
  std::vector<float> values = {1.0F,  0x1.004p0F, 0x1.00c002p0F, 0x1p-24F, 0x1p-14F, 65504.0F, 1e30F,
                               3e38F, 1e-30F,     0.0F,          -0.0F,    INFINITY, NAN};
  for (int step = -300; step < 300; ++step)
    values.push_back(0x1.002p0F * 1.7320508F + static_cast<float>(step) * 0x1p-22F);
  for (const double scale : {1 / std::sqrt(2.0), 1 / std::sqrt(3.0), 0x1p-13, 3.0, 1e-9}) {
    const auto n = static_cast<std::int64_t>(values.size());
    const Slot slot{.name = "w",
                    .kind = SlotKind::weight,
                    .channels = {1, 1, 1},
                    .width = {1, n, n},
                    .weight = "w",
                    .scale = scale};
    const PackedLayout layout = PackedLayout::along_channels({slot}, {{"y", {1, 1, 1}, {1, 1, 1}}});
    NamedTensors weights;
    weights["w"].shape = {1, n};
    weights["w"].data.assign(values.begin(), values.end());
    const auto surface = poisoned(layout.input_bytes());
    stage_weights(layout, weights, *surface);
    const std::vector<half_t> got = contents(*surface);
    for (std::size_t i = 0; i < values.size(); ++i)
      ASSERT_EQ(got[i], to_half(static_cast<double>(values[i]) * scale)) << values[i] << " times " << scale;
  }
}

TEST(Staging, ActivationsGoInAndComeBack) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    Source source(seed);
    const Model model = random_model(source);
    SCOPED_TRACE(describe(model));
    const Slot& slot = model.layout.slot("z");
    const std::int64_t n = slot.channels.size() * slot.width.size();
    const std::vector<float> values = source.floats(n);
    std::vector<half_t> expected(static_cast<std::size_t>(model.layout.input_bytes() / 2), kUntouched),
        bits(values.size());
    for (std::int64_t i = 0; i < n; ++i) {
      const auto index = static_cast<std::size_t>(i);
      bits[index] = to_half(values[index]);
      expected[index_of(model.layout, slot, i / slot.width.size(), i % slot.width.size())] = bits[index];
    }
    const auto from_floats = poisoned(model.layout.input_bytes()), from_bits = poisoned(model.layout.input_bytes());
    write_slot(model.layout, "z", values, *from_floats);
    write_slot_bits(model.layout, "z", bits, *from_bits);
    ASSERT_EQ(contents(*from_floats), expected);
    ASSERT_EQ(contents(*from_bits), expected);
    std::vector<float> back(values.size());
    read_slot(model.layout, "z", *from_bits, back);
    for (std::size_t i = 0; i < back.size(); ++i) ASSERT_EQ(back[i], to_float(bits[i]));
  }
}

TEST(Staging, BlocksAreReadCropped) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    Source source(seed);
    const Model model = random_model(source);
    SCOPED_TRACE(describe(model));
    const auto surface = make_host_surface(static_cast<std::size_t>(model.layout.output_bytes()));
    std::vector<half_t> everything(surface->bytes() / 2);
    for (half_t& bits : everything) bits = static_cast<half_t>(source.below(0x7C00));
    std::ranges::copy(everything, WriteLock(*surface).halves().begin());
    for (const Block& block : model.layout.blocks()) {
      const std::int64_t width = block.width.size(), n = block.channels.size() * width;
      std::vector<half_t> bits(static_cast<std::size_t>(n));
      std::vector<float> values(bits.size());
      read_block_bits(model.layout, block.name, *surface, bits);
      read_block(model.layout, block.name, *surface, values);
      for (std::int64_t i = 0; i < n; ++i) {
        const half_t expected = everything[index_of(model.layout, block, i / width, i % width)];
        ASSERT_EQ(bits[static_cast<std::size_t>(i)], expected) << block.name << " " << i;
        ASSERT_EQ(values[static_cast<std::size_t>(i)], to_float(expected)) << block.name << " " << i;
      }
    }
  }
}

TEST(Staging, CopyEqualsReadAndWrite) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    Source source(seed);
    const Model model = random_model(source);
    // The target takes probabilities in a surface of its own padding: the runs of both sides differ.
    Variant other;
    other.pad = source.below(2) ? Pad::multiple_of_32 : Pad::none;
    const Axes axes = Axes::of(model.shape, other);
    const PackedLayout target =
        PackedLayout::along_channels({{.name = "q", .channels = axes.q, .width = axes.seq},
                                      {.name = "probs", .channels = axes.head_queries, .width = axes.seq}},
                                     {{"y", axes.q, axes.seq}});
    const auto output = make_host_surface(static_cast<std::size_t>(model.layout.output_bytes()));
    for (half_t& bits : WriteLock(*output).halves()) bits = static_cast<half_t>(source.below(0x7C00));
    const auto copied = poisoned(target.input_bytes()), written = poisoned(target.input_bytes());
    copy_block(model.layout, "p", *output, target, "probs", *copied);
    std::vector<half_t> bits(static_cast<std::size_t>(axes.head_queries.size() * axes.seq.size()));
    read_block_bits(model.layout, "p", *output, bits);
    write_slot_bits(target, "probs", bits, *written);
    ASSERT_EQ(contents(*copied), contents(*written)) << describe(model) << " into " << variant_text(other);
  }
}

template <class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  }
  return "accepted";
}

TEST(Staging, WrongWeightsAreNamedAndNothingIsWritten) {
  Source source(3);
  const Model model = random_model(source);
  const auto surface = poisoned(model.layout.input_bytes());
  const auto stage = [&](const NamedTensors& weights) {
    return error_of([&] { stage_weights(model.layout, weights, *surface); });
  };
  NamedTensors weights = model.weights;
  weights.erase("d");
  EXPECT_THAT(stage(weights), AllOf(HasSubstr("weight 'd': missing"), HasSubstr("slot 'd'")));
  weights = model.weights;
  weights["c"] = source.tensor(weights["c"].shape[0] + 1, weights["c"].shape[1]);
  EXPECT_THAT(stage(weights),
              AllOf(HasSubstr("weight 'c': has shape"), HasSubstr(shape_text(model.weights.at("c").shape))));
  weights = model.weights;
  weights["d"].data.pop_back();
  EXPECT_THAT(stage(weights), HasSubstr("weight 'd': has shape"));
  EXPECT_THAT(error_of([&] { staged_bits(model.layout.slot("d"), weights); }), HasSubstr("weight 'd': has shape"));
  EXPECT_EQ(count_poison(*surface, kUntouched), model.layout.input_bytes() / 2);
}

TEST(Staging, SurfacesTooSmallAreRefused) {
  Source source(4);
  const Model model = random_model(source);
  const PackedLayout& layout = model.layout;
  const auto input = poisoned(layout.input_bytes() - 2), output = poisoned(layout.output_bytes() - 2);
  const Slot& slot = layout.slot("x");
  std::vector<float> values(static_cast<std::size_t>(slot.channels.size() * slot.width.size()));
  std::vector<half_t> bits(values.size());
  const Block& block = layout.block("p");
  std::vector<float> block_values(static_cast<std::size_t>(block.channels.size() * block.width.size()));
  std::vector<half_t> block_bits(block_values.size());
  for (const std::string& error : {error_of([&] { stage_weights(layout, model.weights, *input); }),
                                   error_of([&] { write_slot(layout, "x", values, *input); }),
                                   error_of([&] { write_slot_bits(layout, "x", bits, *input); }),
                                   error_of([&] { read_slot(layout, "x", *input, values); }),
                                   error_of([&] { read_block(layout, "p", *output, block_values); }),
                                   error_of([&] { read_block_bits(layout, "p", *output, block_bits); })})
    EXPECT_THAT(error, AllOf(HasSubstr("surface"), HasSubstr("bytes")));
  EXPECT_EQ(count_poison(*input, kUntouched), layout.input_bytes() / 2 - 1);
}

TEST(Staging, WrongSizesAndNamesAreAnswered) {
  Source source(6);
  const Model model = random_model(source);
  const auto input = poisoned(model.layout.input_bytes()), output = poisoned(model.layout.output_bytes());
  std::vector<float> three(3);
  std::vector<half_t> three_bits(3);
  EXPECT_THAT(error_of([&] { write_slot(model.layout, "x", three, *input); }), HasSubstr("'x': given 3 values"));
  EXPECT_THAT(error_of([&] { write_slot_bits(model.layout, "x", three_bits, *input); }),
              HasSubstr("'x': given 3 values"));
  EXPECT_THAT(error_of([&] { read_slot(model.layout, "x", *input, three); }), HasSubstr("'x': given 3 values"));
  EXPECT_THAT(error_of([&] { read_block(model.layout, "p", *output, three); }), HasSubstr("'p': given 3 values"));
  EXPECT_THAT(error_of([&] { read_block_bits(model.layout, "p", *output, three_bits); }),
              HasSubstr("'p': given 3 values"));
  EXPECT_THAT(error_of([&] { write_slot(model.layout, "xx", three, *input); }), HasSubstr("slot"));
  EXPECT_THAT(error_of([&] { copy_block(model.layout, "p", *output, model.layout, "b", *input); }),
              HasSubstr("slot 'b' is"));
  EXPECT_EQ(count_poison(*input, kUntouched), model.layout.input_bytes() / 2);
}

}  // namespace
}  // namespace aneval::ane
