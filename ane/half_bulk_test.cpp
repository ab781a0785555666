// Rows and transposed blocks on every SIMD target of this machine, bit for bit against the portable conversions.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>
#include <vector>

#include "ane/every_target.h"
#include "ane/half.h"
#include "common/thread_pool.h"
#include "hwy/highway.h"

#ifdef __F16C__
#include <immintrin.h>
#endif

namespace aneval::ane {
namespace {

constexpr std::int64_t kChunk = 1 << 16;  // floats that share their upper 16 bits

// Every chunk is checked in optimised builds; others would take minutes.
constexpr std::int64_t kSampleStep = 61;  // a prime: meets every exponent and both signs
constexpr std::int64_t kEveryStep = kSlowBuild ? kSampleStep : 1;

/// The first of a chunk's floats for which the portable conversion and `convert` disagree, or -1.
template <class Convert>
std::int64_t first_difference(std::int64_t upper, const Convert& convert) {
  std::vector<float> values(kChunk);
  std::vector<half_t> expected(kChunk), got(kChunk);
  for (std::int64_t i = 0; i < kChunk; ++i) {
    const auto index = static_cast<std::size_t>(i);
    values[index] = std::bit_cast<float>(static_cast<std::uint32_t>(upper * kChunk + i));
    expected[index] = to_half(values[index]);
  }
  convert(values.data(), got.data());
  const auto differ = std::mismatch(got.begin(), got.end(), expected.begin()).first;
  return differ == got.end() ? -1 : differ - got.begin();
}

/// All floats, or those of every `step`-th chunk.
template <class Convert>
void expect_equal_for_all_floats(const Convert& convert, std::int64_t step = kEveryStep) {
  ThreadPool pool;
  std::vector<std::int64_t> differences(kChunk, -1);  // per chunk; there are as many chunks as floats in one
  pool.parallel_for(kChunk, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t upper = (begin + step - 1) / step * step; upper < end; upper += step)
      differences[static_cast<std::size_t>(upper)] = first_difference(upper, convert);
  });
  for (std::size_t upper = 0; upper < differences.size(); ++upper)
    ASSERT_EQ(differences[upper], -1) << "float with the bits " << upper << " · 65536 + " << differences[upper];
}

TEST(HalfBulk, EveryFloatOnEveryTarget) {
  on_every_target([] {
    // Where the target has no exact instruction, the portable conversion is compared with itself: a sample will do.
    const std::int64_t step = simd_target() == "portable" ? kSampleStep : kEveryStep;
    expect_equal_for_all_floats([](const float* values, half_t* out) { to_half(values, out, kChunk); }, step);
  });
}

#ifdef __F16C__
TEST(HalfBulk, EveryFloatAsTheProcessorRoundsIt) {
  expect_equal_for_all_floats([](const float* values, half_t* out) {
    for (std::int64_t i = 0; i < kChunk; i += 8)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                       _mm256_cvtps_ph(_mm256_loadu_ps(values + i), _MM_FROUND_TO_NEAREST_INT));
  });
}
#endif

TEST(HalfBulk, EveryHalfWidensOnEveryTarget) {
  std::vector<half_t> halves(1 << 16);
  std::iota(halves.begin(), halves.end(), half_t{0});
  on_every_target([&] {
    std::vector<float> wide(halves.size());
    to_float(halves.data(), wide.data(), static_cast<std::int64_t>(wide.size()));
    for (std::size_t i = 0; i < wide.size(); ++i)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(wide[i]), std::bit_cast<std::uint32_t>(to_float(halves[i]))) << i;
  });
}

/// Values that round in both directions; the bits are those of a multiplicative hash of the index.
std::vector<float> some_floats(std::int64_t n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  std::uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-22F;
  }
  return values;
}

TEST(HalfBulk, RowsOfEveryLengthTouchNothingElse) {
  constexpr half_t kGuard = 0x1234;
  constexpr std::int64_t kLongest = 200;
  const std::vector<float> values = some_floats(kLongest + 3);
  on_every_target([&] {
    for (std::int64_t n = 0; n <= kLongest; ++n)
      for (std::int64_t shift = 0; shift < 3; ++shift) {
        std::vector<half_t> out(kLongest + 8, kGuard);
        to_half(values.data() + shift, out.data() + shift, n);
        std::vector<float> wide(kLongest + 8, 0.5F);
        to_float(out.data() + shift, wide.data() + shift, n);
        for (std::int64_t i = 0; i < kLongest + 8; ++i) {
          const auto index = static_cast<std::size_t>(i);
          const bool inside = i >= shift && i < shift + n;
          ASSERT_EQ(out[index], inside ? to_half(values[index]) : kGuard) << n << " " << i;
          ASSERT_EQ(wide[index], inside ? to_float(to_half(values[index])) : 0.5F) << n << " " << i;
        }
      }
  });
}

struct Block {
  std::int64_t rows, cols, source_stride, destination_stride, shift;
};

/// Streaming or not, alone or with the rows beside it: the same halves, and nothing else is touched.
void expect_transposed(const Block& block) {
  constexpr half_t kGuard = 0x1234;
  const std::vector<float> source = some_floats(block.rows * block.source_stride);
  const FloatMatrix matrix{source.data(), block.rows, block.cols, block.source_stride};
  const std::int64_t row_stride = block.cols + block.shift;
  std::vector<half_t> columns(static_cast<std::size_t>(block.cols * block.destination_stride + 64), kGuard);
  std::vector<half_t> rows(static_cast<std::size_t>(block.rows * row_stride + 64), kGuard);
  const std::vector<half_t> no_rows = rows, empty = columns;
  for (std::int64_t r = 0; r < block.rows; ++r)
    for (std::int64_t c = 0; c < block.cols; ++c) {
      const half_t value = to_half(source[static_cast<std::size_t>(r * block.source_stride + c)]);
      columns[static_cast<std::size_t>(block.shift + c * block.destination_stride + r)] = value;
      rows[static_cast<std::size_t>(block.shift + r * row_stride + c)] = value;
    }
  for (const Stores stores : {Stores::cached, Stores::streaming}) {
    std::vector<half_t> out = empty, out_rows = no_rows;
    const HalfRows to{out.data() + block.shift, block.destination_stride};
    const HalfRows to_rows{out_rows.data() + block.shift, row_stride};
    to_half_transposed(matrix, to, stores);
    ASSERT_EQ(out, columns) << block.rows << " x " << block.cols << ", strides " << block.source_stride << " and "
                            << block.destination_stride << ", shift " << block.shift;
    out = empty;
    to_half_both(matrix, to_rows, to, stores);
    ASSERT_EQ(out, columns) << "with rows: " << block.rows << " x " << block.cols;
    ASSERT_EQ(out_rows, rows) << "rows: " << block.rows << " x " << block.cols;
    out_rows = no_rows;
    to_half_rows(matrix, to_rows, stores);
    ASSERT_EQ(out_rows, rows) << "rows alone: " << block.rows << " x " << block.cols << ", shift " << block.shift;
  }
}

TEST(HalfBulk, TransposedBlocksOfEveryRemainder) {
  on_every_target([] {
    for (const std::int64_t rows : {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 63, 64, 65, 100})
      for (const std::int64_t cols : {0, 1, 3, 7, 8, 9, 15, 16, 17, 33, 127, 128, 129, 260}) {
        expect_transposed({rows, cols, cols + 5, rows + 3, 1});
        expect_transposed({rows, cols, cols, rows, 0});
        expect_transposed({rows, cols, cols, 128, 0});
        if (testing::Test::HasFatalFailure()) return;
      }
  });
}

TEST(HalfBulk, TransposedBlocksOfEveryAlignment) {
  // Strides that are multiples of a cache line take the path that aligns whole lines first.
  on_every_target([] {
    for (std::int64_t shift = 0; shift < 34; ++shift) {
      expect_transposed({70, 24, 32, 128, shift});
      expect_transposed({20, 16, 16, 64, shift});
      expect_transposed({200, 260, 300, 256, shift});
      if (testing::Test::HasFatalFailure()) return;
    }
  });
}

TEST(HalfBulk, TargetHasAName) {
  on_every_target([] { EXPECT_FALSE(simd_target().empty()); });
}

}  // namespace
}  // namespace aneval::ane
