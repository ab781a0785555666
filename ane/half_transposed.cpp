// fp32 matrices to transposed fp16 in one pass, through Highway with run-time dispatch.
//
//            64 rows                                                a surface's rows, `stride` apart
//   source  | block n   | block n+1 | ...   -> scratch, 64 x 64  -> | 64 halves of column c     |
//             64 columns                       halves, twice        | 64 halves of column c + 1 | ...
//
// Three things make it run at the speed of memory (`aneval bench --benchmark_filter=ratio/stage`):
// * The scratch is filled row by row and read in tiles of eight columns. Reading columns of the source directly would
//   meet only a few sets of the first-level cache where its stride is a power of two, as weight matrices' are.
// * Each tile of block n is followed by the conversion of as many elements of block n + 1 and by the prefetch, into the
//   second-level cache, of a block further ahead: shuffles, loads and stores run side by side instead of taking turns,
//   and no processor fetches ahead by itself what is read in pieces of four lines.
// * Whole lines of the surface are stored past the caches (where aligned): nobody reads them before the engine does,
//   and a line that is fully overwritten need not be fetched first.
// Without the second, weights from memory take 1.7 times as long, without the third 1.8 times. The sizes were the
// fastest of those tried: 32 to 256 rows, 16 to 1024 columns, 1 to 8 blocks ahead. With 32 rows, single lines instead
// of pairs, it depends on the surface's width whether memory keeps up: 1.3 times as long at 4352 halves, not at 4416.
#include <algorithm>
#include <cstddef>

#include "ane/half.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/half_transposed.cpp"
#include "hwy/foreach_target.h"
// Only behind foreach_target.
#include "ane/half_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::ane::HWY_NAMESPACE {

[[maybe_unused]] constexpr std::int64_t kRows = 64, kColumns = 64, kBlocksAhead = 2;
[[maybe_unused]] constexpr std::int64_t kLineHalves = 32, kLineFloats = 16;

/// What is made of a source: its transpose, and if `rows` is set its rows as well.
struct Targets {
  HalfRows transposed, rows;
};

/// What becomes of the source's rows.
enum class Rows { dropped, cached, streamed };

#if ANEVAL_EXACT_F16

/// 128-bit blocks of a vector; each block carries one 8x8 transpose. Arm's vectors are used 128 bits at a time.
constexpr std::size_t kBlocks = HWY_ARCH_X86 ? HWY_MAX_BYTES / 16 : 1;
constexpr std::int64_t kTileRows = 8 * kBlocks, kTileElements = 8 * kTileRows;

/// Block b holds 8 halves of row 8b of the scratch.
template <std::size_t Blocks>
HWY_INLINE hn::Vec<hn::FixedTag<half_t, 8 * Blocks>> LoadBlocks(const half_t* p) {
  const hn::FixedTag<half_t, 8 * Blocks> tag;
  if constexpr (Blocks == 1) {
    return hn::Load(tag, p);
  } else {
    return hn::Combine(tag, LoadBlocks<Blocks / 2>(p + 4 * Blocks * kColumns), LoadBlocks<Blocks / 2>(p));
  }
}

/// Columns 0-7 of 8·Blocks scratch rows become 8 runs of 8·Blocks halves in the destination: three rounds of
/// interleaving, of 16, 32 and 64 bits, within each block.
template <std::size_t Blocks, bool Stream>
HWY_INLINE void Tile(const half_t* scratch, half_t* destination, std::int64_t stride) {
  const hn::FixedTag<half_t, 8 * Blocks> d16;
  const hn::Repartition<std::uint32_t, decltype(d16)> d32;
  const hn::Repartition<std::uint64_t, decltype(d16)> d64;
  // Named values, not arrays: vectors of SVE have no size.
  const auto r0 = LoadBlocks<Blocks>(scratch), r1 = LoadBlocks<Blocks>(scratch + kColumns);
  const auto r2 = LoadBlocks<Blocks>(scratch + 2 * kColumns), r3 = LoadBlocks<Blocks>(scratch + 3 * kColumns);
  const auto r4 = LoadBlocks<Blocks>(scratch + 4 * kColumns), r5 = LoadBlocks<Blocks>(scratch + 5 * kColumns);
  const auto r6 = LoadBlocks<Blocks>(scratch + 6 * kColumns), r7 = LoadBlocks<Blocks>(scratch + 7 * kColumns);
  const auto store = [&](auto halves, half_t* out) HWY_ATTR {
    if constexpr (Stream)
      hn::Stream(hn::BitCast(d16, halves), d16, out);
    else
      hn::StoreU(hn::BitCast(d16, halves), d16, out);
  };
  const auto four_columns = [&](auto a, auto b, auto c, auto d, half_t* out) HWY_ATTR {
    const auto a32 = hn::BitCast(d32, a), b32 = hn::BitCast(d32, b);
    const auto c32 = hn::BitCast(d32, c), e32 = hn::BitCast(d32, d);
    const auto low_front = hn::BitCast(d64, hn::InterleaveLower(d32, a32, b32));
    const auto low_back = hn::BitCast(d64, hn::InterleaveLower(d32, c32, e32));
    const auto high_front = hn::BitCast(d64, hn::InterleaveUpper(d32, a32, b32));
    const auto high_back = hn::BitCast(d64, hn::InterleaveUpper(d32, c32, e32));
    store(hn::InterleaveLower(d64, low_front, low_back), out);
    store(hn::InterleaveUpper(d64, low_front, low_back), out + stride);
    store(hn::InterleaveLower(d64, high_front, high_back), out + 2 * stride);
    store(hn::InterleaveUpper(d64, high_front, high_back), out + 3 * stride);
  };
  four_columns(hn::InterleaveLower(d16, r0, r1), hn::InterleaveLower(d16, r2, r3), hn::InterleaveLower(d16, r4, r5),
               hn::InterleaveLower(d16, r6, r7), destination);
  four_columns(hn::InterleaveUpper(d16, r0, r1), hn::InterleaveUpper(d16, r2, r3), hn::InterleaveUpper(d16, r4, r5),
               hn::InterleaveUpper(d16, r6, r7), destination + 4 * stride);
}

/// destination[c * stride + r] = scratch[r * kColumns + c] for rows x cols of the scratch.
void WriteTransposed(const half_t* scratch, std::int64_t rows, std::int64_t cols, const HalfRows& to) {
  std::int64_t c = 0;
  for (; c + 8 <= cols; c += 8) {
    std::int64_t r = 0;
    for (; r + kTileRows <= rows; r += kTileRows)
      Tile<kBlocks, false>(scratch + r * kColumns + c, to.data + c * to.stride + r, to.stride);
    for (; r + 8 <= rows; r += 8) Tile<1, false>(scratch + r * kColumns + c, to.data + c * to.stride + r, to.stride);
    for (std::int64_t column = c; column < c + 8; ++column)
      for (std::int64_t row = r; row < rows; ++row)
        to.data[column * to.stride + row] = scratch[row * kColumns + column];
  }
  for (; c < cols; ++c)
    for (std::int64_t row = 0; row < rows; ++row) to.data[c * to.stride + row] = scratch[row * kColumns + c];
}

/// Rows of a block that are converted beside one tile.
constexpr std::int64_t kStepRows = kTileElements / kColumns;

/// kStepRows rows of a block into the scratch, and as they are if wanted; all three move on to the next rows.
template <Rows kRowStores>
HWY_INLINE void ConvertStep(std::int64_t stride, const float*& source, half_t*& scratch, HalfRows& rows) {
  const hn::FixedTag<float, 4 * kBlocks> floats;
  const hn::Rebind<half_t, decltype(floats)> bits;
  for (std::int64_t r = 0; r < kStepRows; ++r) {
    for (std::int64_t c = 0; c < kColumns; c += static_cast<std::int64_t>(4 * kBlocks)) {
      const auto halves = HalfBits(floats, hn::LoadU(floats, source + c));
      hn::Store(halves, bits, scratch + c);
      if constexpr (kRowStores == Rows::cached) hn::StoreU(halves, bits, rows.data + c);
      if constexpr (kRowStores == Rows::streamed) hn::Stream(halves, bits, rows.data + c);
    }
    source += stride;
    scratch += kColumns;
    if constexpr (kRowStores != Rows::dropped) rows.data += rows.stride;
  }
}

HWY_INLINE void PrefetchStep(const float* source, std::int64_t stride) {
  constexpr int kForReading = 0, kSecondLevel = 2;
  for (std::int64_t r = 0; r < kStepRows; ++r)
    for (std::int64_t c = 0; c < kColumns; c += kLineFloats)
      __builtin_prefetch(source + r * stride + c, kForReading, kSecondLevel);
}

/// rows x cols of the source, both multiples of a block's.
template <bool Stream, Rows kRowStores>
void WholeBlocks(const FloatMatrix& source, const Targets& to) {
  HWY_ALIGN half_t scratch[2][kRows * kColumns];
  const std::int64_t across = source.cols / kColumns, blocks = source.rows / kRows * across;
  const std::int64_t stride = source.stride, to_stride = to.transposed.stride;
  if (blocks == 0) return;
  struct Begin {
    const float* source;
    half_t* transposed;
    HalfRows rows;
  };
  const auto begin = [&](std::int64_t block) {
    const std::int64_t row = block / across * kRows, col = block % across * kColumns;
    half_t* rows = kRowStores == Rows::dropped ? nullptr : to.rows.data + row * to.rows.stride + col;
    return Begin{source.data + row * stride + col, to.transposed.data + col * to_stride + row, {rows, to.rows.stride}};
  };
  Begin at = begin(0), next = at;
  half_t* filled = scratch[0];
  for (std::int64_t r = 0; r < kRows; r += kStepRows) ConvertStep<kRowStores>(stride, next.source, filled, next.rows);
  for (std::int64_t block = 0; block < blocks; ++block) {
    const half_t* tile = scratch[block % 2];
    filled = scratch[(block + 1) % 2];
    next = begin(std::min(block + 1, blocks - 1));  // the last block is converted twice: cheaper than a branch
    half_t* const destination = at.transposed;
    at = next;
    const float* ahead = begin(std::min(block + kBlocksAhead, blocks - 1)).source;
    for (std::int64_t c = 0; c < kColumns; c += 8)
      for (std::int64_t r = 0; r < kRows; r += kTileRows) {
        Tile<kBlocks, Stream>(tile + r * kColumns + c, destination + c * to_stride + r, to_stride);
        ConvertStep<kRowStores>(stride, next.source, filled, next.rows);
        PrefetchStep(ahead, stride);
        ahead += kStepRows * stride;
      }
  }
}

/// Halves before the first 64-byte line of the destination.
HWY_INLINE std::int64_t BeforeLine(const HalfRows& to) {
  return static_cast<std::int64_t>((0 - reinterpret_cast<std::uintptr_t>(to.data)) % 64 / sizeof(half_t));
}

using Whole = void (*)(const FloatMatrix&, const Targets&);

template <bool Stream>
Whole ChooseWholeBlocks(const HalfRows& rows) {
  if (rows.data == nullptr) return WholeBlocks<Stream, Rows::dropped>;
  const bool aligned = BeforeLine(rows) == 0 && rows.stride % kLineHalves == 0;
  return Stream && aligned ? WholeBlocks<Stream, Rows::streamed> : WholeBlocks<Stream, Rows::cached>;
}

#else

void WriteTransposed(const half_t* scratch, std::int64_t rows, std::int64_t cols, const HalfRows& to) {
  for (std::int64_t c = 0; c < cols; ++c)
    for (std::int64_t r = 0; r < rows; ++r) to.data[c * to.stride + r] = scratch[r * kColumns + c];
}

#endif

/// The part of a matrix from [row, col] on, of rows x cols.
FloatMatrix Part(const FloatMatrix& m, std::int64_t row, std::int64_t col, std::int64_t rows, std::int64_t cols) {
  return {m.data + row * m.stride + col, rows, cols, m.stride};
}

/// The targets of that part.
Targets Part(const Targets& to, std::int64_t row, std::int64_t col) {
  Targets part = to;
  part.transposed.data += col * to.transposed.stride + row;
  if (to.rows.data != nullptr) part.rows.data += row * to.rows.stride + col;
  return part;
}

/// Any part, block by block without pipelining.
void AnyBlocks(const FloatMatrix& source, const Targets& to) {
  HWY_ALIGN half_t scratch[kRows * kColumns];
  for (std::int64_t r = 0; r < source.rows; r += kRows) {
    for (std::int64_t c = 0; c < source.cols; c += kColumns) {
      const std::int64_t m = std::min(kRows, source.rows - r), n = std::min(kColumns, source.cols - c);
      const Targets part = Part(to, r, c);
      for (std::int64_t i = 0; i < m; ++i) {
        RowToHalf(source.data + (r + i) * source.stride + c, scratch + i * kColumns, n);
        if (to.rows.data != nullptr) std::copy_n(scratch + i * kColumns, n, part.rows.data + i * part.rows.stride);
      }
      WriteTransposed(scratch, m, n, part.transposed);
    }
  }
}

void TransposedToHalf(const FloatMatrix& source, const HalfRows& transposed, const HalfRows& rows, Stores stores) {
  const Targets to{transposed, rows};
#if ANEVAL_EXACT_F16
  // Whole blocks begin where the destination's lines begin, if they begin at the same row in every column.
  const bool aligned = transposed.stride % kLineHalves == 0;
  const bool stream = aligned && stores == Stores::streaming;
  const std::int64_t first = aligned ? std::min(BeforeLine(transposed), source.rows) : 0;
  const std::int64_t whole_rows = (source.rows - first) / kRows * kRows, whole_cols = source.cols / kColumns * kColumns;
  const FloatMatrix middle = Part(source, first, 0, whole_rows, whole_cols);
  const Targets targets = Part(to, first, 0);
  (stream ? ChooseWholeBlocks<true>(targets.rows) : ChooseWholeBlocks<false>(targets.rows))(middle, targets);
  const auto rest = [&](std::int64_t row, std::int64_t col, std::int64_t m, std::int64_t n) {
    AnyBlocks(Part(source, row, col, m, n), Part(to, row, col));
  };
  rest(0, 0, first, source.cols);
  rest(first, whole_cols, whole_rows, source.cols - whole_cols);
  rest(first + whole_rows, 0, source.rows - first - whole_rows, source.cols);
  if (stream) hwy::FlushStream();
#else
  (void)stores;
  AnyBlocks(source, to);
#endif
}

}  // namespace aneval::ane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::ane {

HWY_EXPORT(TransposedToHalf);

void to_half_transposed(const FloatMatrix& source, const HalfRows& transposed, Stores stores) {
  HWY_DYNAMIC_DISPATCH(TransposedToHalf)(source, transposed, {}, stores);
}

void to_half_both(const FloatMatrix& source, const HalfRows& rows, const HalfRows& transposed, Stores stores) {
  HWY_DYNAMIC_DISPATCH(TransposedToHalf)(source, transposed, rows, stores);
}

}  // namespace aneval::ane
#endif
