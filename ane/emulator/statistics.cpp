#include "ane/emulator/statistics.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <mutex>

#include "ane/emulator/device_arithmetic.h"
#include "ane/emulator/evaluator.h"

namespace aneval::emulator {
namespace {

using In = TensorView<const float>;
using Out = TensorView<float>;

// A chip adds products whose exponents sum to −16 or more (M6 study, notes/numerics.md).
constexpr int kLargestDropped = -17;
constexpr int kLowest = -14, kHighest = 16, kExponents = kHighest - kLowest + 1;  // subnormals count as −14

/// Place of a value's exponent in a histogram; fp32's smallest numbers (an ieee tensor's) count as −14 too.
std::size_t exponent_place(float value) {
  const int exponent = static_cast<int>((std::bit_cast<std::uint32_t>(value) >> 23) & 0xFFU) - 127;
  return static_cast<std::size_t>(std::clamp(exponent, kLowest, kHighest) - kLowest);
}

struct Pairs {
  std::int64_t nonzero = 0, dropped = 0;
};

/// Counts pairs x[m, k]·y[k, n] by histograms of exponents: K·(M + N) steps instead of K·M·N.
Pairs count_pairs(const In& x, const In& y, std::int64_t batch, std::int64_t k) {
  const int last = x.shape.rank - 1;
  std::array<std::int64_t, kExponents> left{}, right{};
  const float* a = x.matrix(batch) + k * x.strides[last];
  for (std::int64_t m = 0; m < x.shape[last - 1]; ++m)
    if (const float value = a[m * x.strides[last - 1]]; value != 0) ++left[exponent_place(value)];
  const float* b = y.matrix(batch) + k * y.strides[last - 1];
  for (std::int64_t n = 0; n < y.shape[last]; ++n)
    if (const float value = b[n * y.strides[last]]; value != 0) ++right[exponent_place(value)];
  Pairs pairs;
  for (int i = 0; i < kExponents; ++i)
    for (int j = 0; j < kExponents; ++j) {
      const std::int64_t count = left[static_cast<std::size_t>(i)] * right[static_cast<std::size_t>(j)];
      pairs.nonzero += count;
      if (i + j + 2 * kLowest <= kLargestDropped) pairs.dropped += count;
    }
  return pairs;
}

constexpr std::int64_t kTile = 64;

/// Largest |partial sum| of a row with kTile columns in order of k, in fp32: a peak needs no last bits.
float row_peak(const float* row, std::int64_t step, const float* panel, std::int64_t depth, float bias) {
  std::array<float, kTile> sum, largest{};
  sum.fill(bias);
  for (std::int64_t k = 0; k < depth; ++k) {
    const float left = row[k * step];
    const float* b = panel + k * kTile;
    for (std::size_t n = 0; n < kTile; ++n) {
      sum[n] += left * b[n];
      largest[n] = std::max(largest[n], std::abs(sum[n]));
    }
  }
  return *std::max_element(largest.begin(), largest.end());
}

float product_peak(const In& x, const In& y, const In* bias, ThreadPool* pool) {
  const int last = x.shape.rank - 1;
  const std::int64_t rows = x.shape[last - 1], depth = x.shape[last], cols = y.shape[last];
  const std::int64_t panels = (cols + kTile - 1) / kTile;
  float peak = 0;
  std::mutex mutex;
  parallel_for(pool, x.batches() * panels, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> panel(static_cast<std::size_t>(depth * kTile));
    float mine = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const float* b = y.matrix(i / panels) + (i % panels) * kTile * y.strides[last];
      const std::int64_t width = std::min(kTile, cols - (i % panels) * kTile);
      for (std::int64_t k = 0; k < depth; ++k)
        for (std::int64_t n = 0; n < kTile; ++n)
          panel[static_cast<std::size_t>(k * kTile + n)] =
              n < width ? b[k * y.strides[last - 1] + n * y.strides[last]] : 0.0F;
      for (std::int64_t m = 0; m < rows; ++m)
        mine = std::max(mine, row_peak(x.matrix(i / panels) + m * x.strides[last - 1], x.strides[last], panel.data(),
                                       depth, bias == nullptr ? 0.0F : bias->data[m * bias->strides[0]]));
    }
    const std::lock_guard<std::mutex> lock(mutex);
    peak = std::max(peak, mine);
  });
  return peak;
}

/// Computes as the device does, and looks at every operand on the way.
class StatisticsArithmetic {
 public:
  using Element = float;

  StatisticsArithmetic(const Profile& profile, ProgramStatistics* statistics)
      : device_(profile), statistics_(statistics) {}

  void load_constant(const PlanConstant& constant, std::span<float> to) const { device_.load_constant(constant, to); }
  void slice(const Step& step, const In& x, const Out& out, ThreadPool* pool) {
    note_specials(step, x);
    device_.slice(step, x, out, pool);
  }
  void unary(const Step& step, const In& x, const Out& out, ThreadPool* pool) {
    note_specials(step, x);
    device_.unary(step, x, out, pool);
    if (step.function == Function::quantize) note_clipped(step, x);
  }
  void binary(const Step& step, const In& x, const In& y, const Out& out, ThreadPool* pool) {
    note_specials(step, x);
    note_specials(step, y);
    device_.binary(step, x, y, out, pool);
  }
  void reduce(const Step& step, const In& x, const Out& out, ThreadPool* pool) {
    note_specials(step, x);
    device_.reduce(step, x, out, pool);
  }
  void softmax(const Step& step, const In& x, const Out& out, ThreadPool* pool) {
    note_specials(step, x);
    device_.softmax(step, x, out, pool);
  }
  void matmul(const Step& step, const In& x, const In& y, const In* bias, const Out& out, ThreadPool* pool) {
    note_specials(step, x);
    note_specials(step, y);
    note_product(step, x, y, bias, pool);
    device_.matmul(step, x, y, bias, out, pool);
  }

 private:
  void note_product(const Step& step, const In& x, const In& y, const In* bias, ThreadPool* pool) {
    auto& all = statistics_->matmuls;
    if (all.empty() || all.back().result != step.result) all.push_back({.result = step.result});
    MatmulStatistics& matmul = all.back();
    if (step.integers) {
      matmul.acc_peak = std::max(matmul.acc_peak, static_cast<double>(product_peak(x, y, bias, pool)) / kIntegerLimit);
      return;
    }
    Pairs pairs;
    for (std::int64_t batch = 0; batch < x.batches(); ++batch)
      for (std::int64_t k = 0; k < x.shape[x.shape.rank - 1]; ++k) {
        const Pairs here = count_pairs(x, y, batch, k);
        pairs.nonzero += here.nonzero;
        pairs.dropped += here.dropped;
      }
    const double before = matmul.drop_fraction * static_cast<double>(matmul.nonzero_pairs);
    matmul.nonzero_pairs += pairs.nonzero;
    if (matmul.nonzero_pairs > 0)
      matmul.drop_fraction = (before + static_cast<double>(pairs.dropped)) / static_cast<double>(matmul.nonzero_pairs);
    matmul.acc_peak =
        std::max(matmul.acc_peak, static_cast<double>(product_peak(x, y, bias, pool)) / kAccumulatorLimit);
  }

  /// The next integer beyond the range counts as clipped, whatever is rounded to the last one does not.
  void note_clipped(const Step& step, const In& x) {
    const bool is_signed = step.output.dtype == mil::DType::int8;
    const double low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
    const Extents strides = contiguous_strides(x.shape);
    const RowLoop<2> loop(x.shape, {&x.strides, &strides});
    std::int64_t clipped = 0;
    for (std::int64_t r = 0; r < loop.rows(); ++r) {
      const Row<2> row = loop.row(r);
      for (std::int64_t i = 0; i < row.count; ++i) {
        const std::int64_t at = row.offset[1] + i * row.step[1];
        const double value = static_cast<double>(x.data[row.offset[0] + i * row.step[0]]);
        const double q = value / step.units.scale_of(at) + step.units.zero_of(at);
        clipped += q > high + 0.5 || q < low - 0.5 ? 1 : 0;
      }
    }
    statistics_->quantizations.push_back(
        {step.result, static_cast<double>(clipped) / static_cast<double>(x.shape.product())});
  }

  void note_specials(const Step& step, const In& x) {
    Extents shape = x.shape;  // each element once, however often it is broadcast
    for (int axis = 0; axis < shape.rank; ++axis)
      if (x.strides[axis] == 0) shape[axis] = 1;
    const RowLoop<1> loop(shape, {&x.strides});
    SpecialStatistics found{.result = step.result};
    const bool ordinary = device_.profile().specials == Specials::ordinary;
    for (std::int64_t r = 0; r < loop.rows(); ++r) {
      const Row<1> row = loop.row(r);
      for (std::int64_t i = 0; i < row.count; ++i) {
        const float magnitude = std::abs(x.data[row.offset[0] + i * row.step[0]]);
        if (magnitude < kOrdinaryInfinity) continue;
        const bool nan = ordinary ? magnitude > kOrdinaryInfinity : std::isnan(magnitude);
        const bool infinite = ordinary ? magnitude == kOrdinaryInfinity : std::isinf(magnitude);
        found.nan_count += nan ? 1 : 0;
        found.inf_count += infinite ? 1 : 0;
      }
    }
    if (found.nan_count + found.inf_count == 0) return;
    auto& all = statistics_->specials;
    if (all.empty() || all.back().result != found.result) all.push_back({.result = found.result});
    all.back().nan_count += found.nan_count;
    all.back().inf_count += found.inf_count;
  }

  DeviceArithmetic device_;
  ProgramStatistics* statistics_;
};

}  // namespace

double MatmulStatistics::headroom() const { return -std::log2(acc_peak); }

ProgramStatistics measure_program(const std::shared_ptr<const Plan>& plan, const Profile& profile,
                                  std::span<const ane::half_t> input, ThreadPool* pool) {
  require_rules(*plan, profile);
  ProgramStatistics statistics;
  Evaluator<StatisticsArithmetic> evaluator(plan, StatisticsArithmetic(profile, &statistics), pool, Sharing::none);
  const auto values = evaluator.input(0);
  decode_halves(profile.specials, input.data(), values.data(), static_cast<std::int64_t>(values.size()));
  evaluator.run();
  // Nothing is shared: buffers keep their values to the end of the run.
  for (const LastAxisSlice& slice : plan->slices) {
    SliceStatistics found{.result = slice.result};
    const In x = evaluator.const_view(slice.operand);
    const RowLoop<1> loop(x.shape, {&x.strides});
    for (std::int64_t r = 0; r < loop.rows(); ++r) {
      const Row<1> row = loop.row(r);
      for (std::int64_t i = 0; i < row.count; ++i) {
        const float magnitude = std::abs(x.data[row.offset[0] + i * row.step[0]]);
        if (std::isfinite(magnitude)) found.peak = std::max(found.peak, static_cast<double>(magnitude));
      }
    }
    statistics.slices.push_back(found);
  }
  return statistics;
}

}  // namespace aneval::emulator
