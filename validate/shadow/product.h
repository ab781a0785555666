// What the accumulators' error bounds share: operands taken apart into floats, and the loop over all pairs.
//
// A bound depends on every pair of operands, on exponents and grids as well as on magnitudes, so it is no matrix
// product: about as many operations per pair as such a product has, times ten. Hence floats, whose loops over the
// columns of a tile the compiler turns into vectors. They are rounded upwards on the way in, everything that is added
// is positive, and upward_margin() makes up for what the sum rounds: a bound may only grow.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "validate/shadow/half_interval.h"
#include "validate/shadow/shadow.h"
#include "validate/shadow/spread.h"

namespace aneval::validate {

/// What the rules need to know of an operand. `low`, `high`, `power`, `least` and `most` are the accumulator's
/// business.
struct Term {
  float magnitude = 0;  // |exact value|
  float bound = 0;      // E
  float reach = 0;      // magnitude + bound
  float low = 0, high = 0;
  float grain = 0;   // the largest power of two that what the device holds is a multiple of; see kNoGrain
  float likely = 0;  // the same of what it is expected to hold, if that is one number
  float centre = 0;  // where the device's value is expected, with its sign
  float power = 0, least = 0, most = 0;
};

/// Grains of a zero (a multiple of anything) and of what is not known to be one number. Their product still is a
/// number that a zero is a multiple of.
inline constexpr float kZeroGrain = 0x1p60F, kNoGrain = 0x1p-60F;

/// An operand is expected within this many standard deviations of its centre: of a billion one is not.
inline constexpr double kFar = 6;

/// A float that is not below; and unless it is 0 not below 2^-60, so that products of two stay normal numbers:
/// subnormal arithmetic is slow, and 2^-60 is far below any bound that matters.
float upwards(double value);

/// The grain of a device value that lies in `held`.
float grain_of(const Interval& held);

/// Sums of n positive floats, each the result of a few roundings: the factor that makes them upper bounds.
inline double upward_margin(std::int64_t n) { return 1 + static_cast<double>(n + 64) * 0x1p-23; }

/// The exact value is a sum of n products in double, of that magnitude in all: where anything is uncertain, its own
/// rounding must not decide over a tie or over the range. Where nothing is, it is exact: all lies on one grid.
inline double double_noise(double magnitude, std::size_t n) { return magnitude * static_cast<double>(n + 2) * 0x1p-52; }

/// Columns of a tile, and the depth that is worked through at once: both operands of a block stay in L1.
inline constexpr std::int64_t kTile = 64, kDepth = 8;

/// kTile operands at one k, member by member.
struct TermRow {
  std::array<float, kTile> magnitude, bound, reach, low, high, grain, likely, centre, power, least, most;

  Term at(std::size_t column) const {
    return {magnitude[column], bound[column],  reach[column], low[column],   high[column], grain[column],
            likely[column],    centre[column], power[column], least[column], most[column]};
  }
  void set(std::size_t column, const Term& term) {
    magnitude[column] = term.magnitude;
    bound[column] = term.bound;
    reach[column] = term.reach;
    low[column] = term.low;
    high[column] = term.high;
    grain[column] = term.grain;
    likely[column] = term.likely;
    centre[column] = term.centre;
    power[column] = term.power;
    least[column] = term.least;
    most[column] = term.most;
  }
};

/// Per element of a row of a tile: Σ of the pairs' bounds, Σ|a||b| (or what the device makes of it), smallest grain;
/// what the accumulator adds to bias and variance.
struct TileSums {
  std::array<float, kTile> error{}, magnitude{}, grain, bias{}, variance{};

  TileSums() { grain.fill(kZeroGrain); }
};

/// One element of a product: its row of terms, its column, and what their sums came to.
struct ProductElement {
  std::int64_t batch, row, column;
  std::span<const Term> left;
  std::span<const TermRow> right;
  std::size_t place;  // of the column in its tile
  double error, magnitude, grain;
  float bias, variance;
};

/// Calls add(left, right, count, sums) for `count` ≤ kDepth consecutive k of every row and tile, and then
/// finish(element) for every element of x·y. `term` makes a Term of a shadow that was read.
template <class MakeTerm, class Add, class Finish>
void for_each_pair(const ShadowArithmetic::In& x, const ShadowArithmetic::In& y, ThreadPool* pool, const MakeTerm& term,
                   const Add& add, const Finish& finish) {
  const int last = x.shape.rank - 1;
  const std::int64_t rows = x.shape[last - 1], depth = x.shape[last], columns = y.shape[last];
  std::int64_t batches = 1;
  for (int axis = 0; axis < last - 1; ++axis) batches *= x.shape[axis];
  const std::int64_t tiles = (columns + kTile - 1) / kTile;
  const auto each_depth = static_cast<std::size_t>(depth);

  std::vector<Term> left(static_cast<std::size_t>(batches * rows * depth));
  parallel_for(pool, batches * rows, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Shadow* from = x.matrix(i / rows) + i % rows * x.strides[last - 1];
      for (std::int64_t k = 0; k < depth; ++k)
        left[static_cast<std::size_t>(i * depth + k)] = term(from[k * x.strides[last]]);
    }
  });
  parallel_for(pool, batches * tiles, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<TermRow> right(each_depth);
    std::vector<TileSums> sums;
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t batch = task / tiles, at = task % tiles * kTile, width = std::min(kTile, columns - at);
      for (std::int64_t k = 0; k < depth; ++k) {
        const Shadow* from = y.matrix(batch) + k * y.strides[last - 1] + at * y.strides[last];
        for (std::int64_t j = 0; j < kTile; ++j)
          right[static_cast<std::size_t>(k)].set(static_cast<std::size_t>(j),
                                                 term(j < width ? from[j * y.strides[last]] : Shadow{}));
      }
      sums.assign(static_cast<std::size_t>(rows), {});
      const Term* terms = left.data() + batch * rows * depth;
      for (std::int64_t k = 0; k < depth; k += kDepth)
        for (std::int64_t row = 0; row < rows; ++row)
          add(terms + row * depth + k, right.data() + k, std::min(kDepth, depth - k),
              sums[static_cast<std::size_t>(row)]);
      const double margin = upward_margin(depth);
      for (std::int64_t row = 0; row < rows; ++row) {
        const TileSums& sum = sums[static_cast<std::size_t>(row)];
        for (std::int64_t j = 0; j < width; ++j) {
          const auto place = static_cast<std::size_t>(j);
          finish(ProductElement{batch, row, at + j, std::span(terms + row * depth, each_depth), right, place,
                                static_cast<double>(sum.error[place]) * margin,
                                static_cast<double>(sum.magnitude[place]) * margin,
                                static_cast<double>(sum.grain[place]), sum.bias[place], sum.variance[place]});
        }
      }
    }
  });
}

/// Writes `out` from the exact values of x·y (row-major) under one of the engine's accumulators. Operands are read
/// already; `bias` is empty or has one shadow per row.
struct ProductRule {
  ShadowArithmetic::In x, y;
  std::span<const Shadow> bias;
  ShadowArithmetic::Out out;
  std::span<const double> values;
  emulator::Rounding rounding;
  ThreadPool* pool;
  const ProductSpread& spread;

  Shadow bias_of(std::int64_t row) const { return bias.empty() ? Shadow{} : bias[static_cast<std::size_t>(row)]; }
  double value(const ProductElement& e) const {
    const int last = out.shape.rank - 1;
    return values[static_cast<std::size_t>((e.batch * out.shape[last - 1] + e.row) * out.shape[last] + e.column)];
  }
  /// Value and bias term of an element, with what the operands' errors and the accumulator spread.
  Shadow expected(const ProductElement& e) const {
    Shadow result = bias_of(e.row);
    result.value += value(e);
    result.bias += e.bias;
    result.variance += e.variance * spread.weight(e.batch);
    spread.add_to(e.batch, e.row, e.column, result);
    return result;
  }
  Shadow& target(const ProductElement& e) const {
    const int last = out.shape.rank - 1;
    return out.matrix(e.batch)[e.row * out.strides[last - 1] + e.column * out.strides[last]];
  }
};

/// How the fixed-point accumulator rounds one product of uncertain operands: two drawings within its unit.
inline constexpr double kProductRounding = 0x1p-32 / 6;

void fixed_point_shadows(const ProductRule& rule);
void four_lane_shadows(const ProductRule& rule);

}  // namespace aneval::validate
