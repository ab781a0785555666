// 8-bit numbers under a profile: quantize, dequantize, and products of integers (eight_bits.h). Integers are carried as
// floats like everything else.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/matrix_product.h"

namespace aneval::emulator {
namespace {

/// to[element] = compute(x, index of the element in the output, row-major).
template <class Compute>
void each_element(const TensorView<const float>& x, const TensorView<float>& out, ThreadPool* pool,
                  const Compute& compute) {
  const RowLoop<2> loop(out.shape, {&x.strides, &out.strides});
  for_each_row(pool, loop, 4096, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) {
      const std::int64_t at = row.offset[1] + i * row.step[1];  // the output is contiguous
      out.data[at] = compute(x.data[row.offset[0] + i * row.step[0]], at);
    }
  });
}

/// Sums of so many products of two 8-bit numbers are exact in fp32, in any order: 2^14·1024 = 2^24.
constexpr std::int64_t kExactDepth = 1024;

}  // namespace

void DeviceArithmetic::quantize(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  const bool is_signed = step.output.dtype == mil::DType::int8;
  const double low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
  const bool away = profile_.elementwise_rounding == Rounding::half_away;
  each_element(x, out, pool, [&](float value, std::int64_t at) {
    const double units = static_cast<double>(value) / step.units.scale_of(at);
    if (std::isnan(units)) return static_cast<float>(step.units.zero_of(at));
    const double q = (away ? std::round(units) : std::nearbyint(units)) + step.units.zero_of(at);
    return static_cast<float>(std::clamp(q, low, high));
  });
}

void DeviceArithmetic::dequantize(const Step& step, const In& x, const Out& out, ThreadPool* pool) const {
  each_element(x, out, pool, [&](float q, std::int64_t at) {
    const double number = (static_cast<double>(q) - step.units.zero_of(at)) * step.units.scale_of(at);
    return step.output.dtype == mil::DType::fp16 ? round_to_half(format_, number) : static_cast<float>(number);
  });
}

void DeviceArithmetic::matmul_of_integers(const Step& step, const In& x, const In& y, const Out& out,
                                          ThreadPool* pool) const {
  const int last = out.shape.rank - 1;
  const std::int64_t depth = x.shape[last], rows = out.shape[last - 1], columns = out.shape[last];
  std::vector<double> sums;  // what fp32 cannot hold
  const auto each_row_of = [&](const auto& use) {
    const std::int64_t lines = out.batches() * rows;
    parallel_for(pool, lines, std::max<std::int64_t>(1, 16384 / columns), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t line = begin; line < end; ++line)
        use(line, out.matrix(line / rows) + line % rows * out.strides[last - 1]);
    });
  };
  for (std::int64_t k = 0; k < depth; k += kExactDepth) {
    In left = x, right = y;
    left.data += k * x.strides[last];
    right.data += k * y.strides[last - 1];
    left.shape[last] = right.shape[last - 1] = std::min(kExactDepth, depth - k);
    matrix_product(left, right, out, pool);
    if (depth <= kExactDepth) break;
    sums.resize(static_cast<std::size_t>(out.batches() * rows * columns));
    each_row_of([&](std::int64_t line, const float* row) {
      double* const to = sums.data() + line * columns;
      for (std::int64_t n = 0; n < columns; ++n) to[n] += static_cast<double>(row[n]);
    });
  }
  const HalfFormat format{profile_.matmul_rounding, profile_.specials};
  const bool half = step.output.dtype == mil::DType::fp16;
  const double infinity = profile_.specials == Specials::ordinary ? static_cast<double>(kOrdinaryInfinity) : INFINITY;
  each_row_of([&](std::int64_t line, float* row) {
    for (std::int64_t n = 0; n < columns; ++n) {
      const double sum =
          sums.empty() ? static_cast<double>(row[n]) : sums[static_cast<std::size_t>(line * columns + n)];
      const double scaled = sum * step.integers->scale(line % rows, n);
      row[n] = std::abs(sum) < kIntegerLimit ? (half ? narrow(scaled) : static_cast<float>(scaled))
                                             : static_cast<float>(std::copysign(infinity, sum));
    }
    if (half) round_to_half(format, row, columns);
  });
}

}  // namespace aneval::emulator
