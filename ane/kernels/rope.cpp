// RoPE in two layouts, x·cos + turned·sin in both, with turned = (-second, first) of every pair of lanes.
//
//   pairs   tokens first, [1, heads, S, h]: neighbours are a last axis of 2, [1, heads, S·h/2, 2]
//   planar  lanes first, [1, heads, h, S]: neighbours are an axis of 2 above the tokens, [1, heads·h/2, 2, S]
//
// The engine keeps rows of a last axis 64 bytes apart, so that pairs move 16 to 32 times their data, and their S·h/2
// rows are capped (16384 before h16, which ends Qwen3 at 256 tokens). With lanes first every row is a row of tokens,
// nothing grows but S, no slice begins inside the last axis, where h13 and h14 saturate, and the block that leaves the
// kernel is a reshape of what RoPE made. A product with a constant permutation would do without the axis as well, but
// it costs heads·S·h² multiplications and goes through the accumulator, which on h15 and later rounds to 2^-16; slices
// are exact, so both layouts have the same bits.
#include <cmath>

#include "ane/kernels/attention.h"

namespace aneval::ane {

using mil::Shape;
using mil::Value;

namespace {

enum class Table { cos, sin };

/// A table of RoPE's angles, exact in double, [S, h] or transposed: what a weight file is rounded from. Padded lanes
/// are not turned.
std::vector<double> rope_table(const ModelShape& shape, const Axes& axes, Table table, bool lanes_first) {
  const std::int64_t h = shape.head_dim, padded = axes.head_dim, seq = axes.seq.padded_size();
  std::vector<double> values(static_cast<std::size_t>(seq * padded), table == Table::cos ? 1.0 : 0.0);
  for (std::int64_t position = 0; position < seq; ++position) {
    for (std::int64_t lane = 0; lane < h; ++lane) {
      const bool half = shape.rope_pairing == RopePairing::half;
      const std::int64_t pair = half ? lane % (h / 2) : lane / 2;
      // With half pairing a padded head keeps its two halves padded/2 apart (Axes::of).
      const std::int64_t at = half ? (lane / (h / 2)) * (padded / 2) + pair : lane;
      const double angle = static_cast<double>(position) *
                           std::pow(shape.rope_base, -2.0 * static_cast<double>(pair) / static_cast<double>(h));
      values[static_cast<std::size_t>(lanes_first ? at * seq + position : position * padded + at)] =
          table == Table::cos ? std::cos(angle) : std::sin(angle);
    }
  }
  return values;
}

}  // namespace

Rotated Rotation::rotate(const Value& x, std::string_view name) {
  const std::string base(name);
  const std::int64_t h = parts_.axes().head_dim, heads = x.type.shape[1] / h, tokens = x.type.shape[3];
  if (lanes_first_) {
    const Value lanes = turn(parts_.builder().reshape(x, {1, heads, h, tokens}, base + "_l"), base);
    return {parts_.lanes_first() ? lanes : parts_.turned(lanes, base + "_h"), lanes};
  }
  const Value split = parts_.split_heads(x, name);
  if (!parts_.lanes_first()) return {turn(split, base), {}};
  // The lanes of a pair must lie along the last axis, or beside each other on it.
  return {parts_.turned(turn(parts_.turned(split, base + "_tokens"), base + "_tokens"), base + "_roped"), {}};
}

Value Rotation::block(const Rotated& x, std::string_view name) {
  if (!lanes_first_) return parts_.merge_heads(x.heads, name);
  const Shape& lanes = x.lanes.type.shape;
  return parts_.builder().reshape(x.lanes, {1, lanes[1] * lanes[2], 1, lanes[3]}, name);
}

Value Rotation::turn(const Value& x, const std::string& name) {
  mil::Builder& b = parts_.builder();
  const ModelShape& shape = parts_.config().shape;
  const Shape table = {1, 1, x.type.shape[2], x.type.shape[3]};
  if (cos_.id.empty()) {
    cos_ =
        parts_.weights("rope_cos", table, [&] { return rope_table(shape, parts_.axes(), Table::cos, lanes_first_); });
    sin_ =
        parts_.weights("rope_sin", table, [&] { return rope_table(shape, parts_.axes(), Table::sin, lanes_first_); });
  }
  const Value minus_one = b.scalar(-1, "minus_one");
  const std::size_t axis = lanes_first_ ? 2 : 3;
  // The two halves of `of` along the axis, the second one negated and first.
  const auto turned = [&](const Value& of, const char* first_name, const char* second_name, const char* result) {
    Shape half = of.type.shape, begin(4, 0);
    half[axis] /= 2;
    const Value first = b.slice(of, begin, half, name + first_name);
    begin[axis] = half[axis];
    const Value second = b.slice(of, begin, half, name + second_name);
    return b.concat({b.mul(second, minus_one, name + "_neg"), first}, static_cast<std::int64_t>(axis), false,
                    name + result);
  };
  Value partner;
  if (shape.rope_pairing == RopePairing::interleaved) {
    const Shape& s = x.type.shape;
    const Shape pairs = lanes_first_ ? Shape{1, s[1] * s[2] / 2, 2, s[3]} : Shape{1, s[1], s[2] * s[3] / 2, 2};
    partner = b.reshape(turned(b.reshape(x, pairs, name + "_pairs"), "_even", "_odd", "_turned"), s, name + "_rot");
  } else {
    partner = turned(x, "_first", "_second", "_rot");
  }
  return b.add(b.mul(x, cos_, name + "_cos"), b.mul(partner, sin_, name + "_sin"), name + "_roped");
}

}  // namespace aneval::ane
