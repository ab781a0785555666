#include "ane/emulator/device_rows.h"

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/emulator/device_rows.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "ane/emulator/copy_rows-inl.h"
#include "ane/emulator/half_rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::emulator::HWY_NAMESPACE {

void BinaryRow(Function function, HalfFormat format, mil::DType dtype, const float* x, std::int64_t x_step,
               const float* y, std::int64_t y_step, float* out, std::int64_t n) {
  WithRounding(format, dtype, [&](const auto& round) HWY_ATTR {
    const auto each = [&](const auto& f) HWY_ATTR {
      MapPairs(x, x_step, y, y_step, out, n, [&](auto d, auto a, auto b) HWY_ATTR { return round(d, f(a, b)); });
    };
    switch (function) {
      case Function::add:
        return each([](auto a, auto b) HWY_ATTR { return hn::Add(a, b); });
      case Function::sub:
        return each([](auto a, auto b) HWY_ATTR { return hn::Sub(a, b); });
      case Function::mul:
        return each([](auto a, auto b) HWY_ATTR { return hn::Mul(a, b); });
      case Function::real_div:
        return each([](auto a, auto b) HWY_ATTR { return hn::Div(a, b); });
      case Function::maximum:
        return each([](auto a, auto b) HWY_ATTR { return hn::IfThenElse(hn::Or(hn::Gt(a, b), hn::IsNaN(a)), a, b); });
      case Function::minimum:
        return each([](auto a, auto b) HWY_ATTR { return hn::IfThenElse(hn::Or(hn::Lt(a, b), hn::IsNaN(a)), a, b); });
      default:
        throw std::logic_error("not a binary function of rows");
    }
  });
}

void GainRow(const float* x, float* out, std::int64_t n) {
  MapRow(x, out, n, [](auto d, auto value) HWY_ATTR {
    const auto lost = hn::Gt(hn::Abs(value), hn::Set(d, static_cast<float>(kSliceLimit)));
    return hn::IfThenElse(lost, hn::CopySign(hn::Set(d, kOrdinaryInfinity), value), value);
  });
}

float LargestOf(const float* x, std::int64_t n, float largest) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto most = hn::Set(d, largest);
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto value = hn::LoadU(d, x + i);
    most = hn::IfThenElse(hn::Gt(value, most), value, most);
  }
  HWY_ALIGN float each[hn::MaxLanes(d)];
  hn::Store(most, d, each);
  for (std::int64_t lane = 0; lane < lanes; ++lane) largest = std::max(largest, each[lane]);
  for (; i < n; ++i) largest = std::max(largest, x[i]);
  return largest;
}

/// Calls use(row, count) with rows of kColumnsReduced floats each, in order: the terms, zero beyond their columns.
template <class Use>
HWY_INLINE void EachStaged(const Matrix& terms, const Use& use) {
  constexpr std::int64_t kRows = 64;
  HWY_ALIGN float staged[kRows * kColumnsReduced];
  for (std::int64_t row = 0; row < terms.rows; row += kRows) {
    const Matrix block = terms.block(row, 0, kRows, kColumnsReduced);
    CopyRows(block, kColumnsReduced, staged);
    use(staged, block.rows);
  }
}

/// totals[c] = next(d, totals[c], row[c]) for all rows in order. The columns of a few vectors are taken side by side.
template <class Next>
HWY_INLINE void FoldRows(const float* HWY_RESTRICT rows, std::int64_t count, float* HWY_RESTRICT totals,
                         const Next& next) {
  const hn::CappedTag<float, 16> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  static_assert(kColumnsReduced % 64 == 0, "four vectors of 16");
  for (std::int64_t c = 0; c < kColumnsReduced; c += 4 * lanes) {
    auto a = hn::Load(d, totals + c), b = hn::Load(d, totals + c + lanes);
    auto e = hn::Load(d, totals + c + 2 * lanes), f = hn::Load(d, totals + c + 3 * lanes);
    for (std::int64_t r = 0; r < count; ++r) {
      const float* row = rows + r * kColumnsReduced + c;
      a = next(d, a, hn::Load(d, row));
      b = next(d, b, hn::Load(d, row + lanes));
      e = next(d, e, hn::Load(d, row + 2 * lanes));
      f = next(d, f, hn::Load(d, row + 3 * lanes));
    }
    hn::Store(a, d, totals + c);
    hn::Store(b, d, totals + c + lanes);
    hn::Store(e, d, totals + c + 2 * lanes);
    hn::Store(f, d, totals + c + 3 * lanes);
  }
}

void AddRows(Summation kind, HalfFormat format, const Matrix& terms, ColumnSums& sums) {
  if (kind == Summation::wide) {
    return EachStaged(terms, [&](const float* rows, std::int64_t count) HWY_ATTR {
      for (std::int64_t r = 0; r < count; ++r)
        for (std::int64_t c = 0; c < kColumnsReduced; ++c)
          sums.wide[c] += static_cast<double>(rows[r * kColumnsReduced + c]);
    });
  }
  // Of two fp16 numbers' sum, what fp32 rounds lies far from fp16's ties: rounding it again is rounding once.
  WithRounding(format, kind == Summation::fp16 ? mil::DType::fp16 : mil::DType::fp32, [&](const auto& round) HWY_ATTR {
    EachStaged(terms, [&](const float* rows, std::int64_t count) HWY_ATTR {
      FoldRows(rows, count, sums.narrow,
               [&](auto d, auto sum, auto term) HWY_ATTR { return round(d, hn::Add(sum, term)); });
    });
  });
}

void LargestOfRows(const Matrix& terms, float* largest) {
  HWY_ALIGN float most[kColumnsReduced] = {};
  std::copy(largest, largest + terms.columns, most);
  EachStaged(terms, [&](const float* rows, std::int64_t count) HWY_ATTR {
    FoldRows(rows, count, most, [](auto, auto sum, auto term) HWY_ATTR {
      return hn::IfThenElse(hn::Or(hn::Gt(term, sum), hn::IsNaN(term)), term, sum);
    });
  });
  std::copy(most, most + terms.columns, largest);
}

}  // namespace aneval::emulator::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::emulator {

HWY_EXPORT(BinaryRow);
HWY_EXPORT(GainRow);
HWY_EXPORT(LargestOf);
HWY_EXPORT(AddRows);
HWY_EXPORT(LargestOfRows);

const float* contiguous(const float* row, std::int64_t step, std::int64_t n, float* scratch) {
  if (step == 1) return row;
  for (std::int64_t i = 0; i < n; ++i) scratch[i] = row[i * step];
  return scratch;
}

void scatter(const float* values, float* to, std::int64_t step, std::int64_t n) {
  if (values == to) return;
  for (std::int64_t i = 0; i < n; ++i) to[i * step] = values[i];
}

void binary_row(Function function, HalfFormat format, mil::DType dtype, const float* x, std::int64_t x_step,
                const float* y, std::int64_t y_step, float* out, std::int64_t n) {
  HWY_DYNAMIC_DISPATCH(BinaryRow)(function, format, dtype, x, x_step, y, y_step, out, n);
}

void gain_row(const float* x, float* out, std::int64_t n) { HWY_DYNAMIC_DISPATCH(GainRow)(x, out, n); }

void lookup_row(const float* table, Specials specials, const float* x, float* out, std::int64_t n) {
  std::array<ane::half_t, kPiece> bits;
  for (std::int64_t begin = 0; begin < n; begin += kPiece) {
    const std::int64_t count = std::min(kPiece, n - begin);
    encode_halves(specials, x + begin, bits.data(), count);
    for (std::int64_t i = 0; i < count; ++i) out[begin + i] = table[bits[static_cast<std::size_t>(i)]];
  }
}

float largest_of(const float* x, std::int64_t n, float largest) {
  return HWY_DYNAMIC_DISPATCH(LargestOf)(x, n, largest);
}

void add_rows(Summation kind, HalfFormat format, const Matrix& terms, ColumnSums& sums) {
  HWY_DYNAMIC_DISPATCH(AddRows)(kind, format, terms, sums);
}

void column_totals(Summation kind, const ColumnSums& sums, float* totals, std::int64_t columns) {
  for (std::int64_t c = 0; c < columns; ++c)
    totals[c] = kind == Summation::wide ? narrow(sums.wide[c]) : sums.narrow[c];
}

void largest_of_rows(const Matrix& terms, float* largest) { HWY_DYNAMIC_DISPATCH(LargestOfRows)(terms, largest); }

}  // namespace aneval::emulator
#endif
