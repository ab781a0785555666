// 8-bit rules of the error shadows. In exact arithmetic quantize and dequantize are a division and a multiplication:
// rounding and clipping are the device's errors, as a store to fp16 is. Products of integers: matmul.cpp.
//
//   quantize     q = clip(round(x/s) + z) is monotone in x: a device that holds a number of [x − E, x + E] gets one of
//                [q(x − E), q(x + E)]; with one number there q is known, B = q − (x/s + z), V = 0; else its rounding
//                adds 1/12. Where s is no power of two nobody knows how an engine divides: x/s is taken to be off by
//                2^-10 of itself.
//   dequantize   (q − z)·s, stored as elementwise results are
#include <algorithm>
#include <cmath>

#include "validate/shadow/parts.h"
#include "validate/shadow/shadow.h"

namespace aneval::validate {

using emulator::Function;
using emulator::Row;
using emulator::RowLoop;
using emulator::Step;

namespace {

struct Range {
  double low, high;
};

Range range_of(mil::DType dtype) { return dtype == mil::DType::int8 ? Range{-128, 127} : Range{0, 255}; }

bool is_power_of_two(double scale) {
  int exponent = 0;
  return std::frexp(scale, &exponent) == 0.5;
}

Shadow quantized(const Shadow& x, double scale, double zero, Range range, emulator::Rounding rounding) {
  const double division = is_power_of_two(scale) ? 0 : 0x1p-10;
  const Interval held = held_by_device(x);
  const auto nearest = [&](double number, double off) {
    const double units = number / scale * (1 + (number < 0 ? -off : off));
    const double q = (rounding == emulator::Rounding::half_away ? std::round(units) : std::nearbyint(units)) + zero;
    return std::clamp(q, range.low, range.high);
  };
  const double low = nearest(held.low, -division), high = nearest(held.high, division);
  Shadow q;
  q.value = x.value / scale + zero;
  q.bound = std::max(std::abs(low - q.value), std::abs(high - q.value));
  if (low == high) {
    q.bias = static_cast<float>(low - q.value);
    return q;
  }
  const double centre = std::clamp(x.centre() / scale + zero, low, high), most = std::max(high - centre, centre - low);
  q.bias = static_cast<float>(centre - q.value);
  q.variance = static_cast<float>(std::min(static_cast<double>(x.variance) / (scale * scale) + 1.0 / 12, most * most));
  for (const SharedError& part : x.shared)
    add_shared(q, static_cast<float>(static_cast<double>(part.amount) / scale), part.row);
  return q;
}

}  // namespace

void ShadowArithmetic::change_units(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  emulator::for_each_row(pool, loop, kPiece, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      const std::int64_t at = row.offset[1] + i * row.step[1];  // the output is contiguous
      const double scale = step.units.scale_of(at), zero = step.units.zero_of(at);
      const Shadow s = read(x.data[row.offset[0] + i * row.step[0]]);
      Shadow& to = out.data[at];
      if (step.function == Function::dequantize) {
        Shadow y = s;
        y.value = (s.value - zero) * scale;
        y.bound *= scale;
        y.bias *= static_cast<float>(scale);
        y.variance *= static_cast<float>(scale * scale);
        for (SharedError& part : y.shared) part.amount *= static_cast<float>(scale);
        to = stored(y, step.output.dtype);
      } else if (model_.profile) {
        to = quantized(s, scale, zero, range_of(step.output.dtype), model_.profile->elementwise_rounding);
        // What may be infinite or NaN is clipped: any number of the range.
        if (s.straddles()) {
          const Range range = range_of(step.output.dtype);
          to.bound = std::max(std::abs(range.low - to.value), std::abs(range.high - to.value));
          to.variance = kUnknownVariance;
        }
      } else {
        to = {s.value / scale + zero, s.bound / scale};
      }
    }
  });
}

}  // namespace aneval::validate
