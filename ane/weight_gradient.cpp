// dw += dout · actᵀ, the CPU's largest share of a training step, register-blocked through Highway with run-time
// dispatch.
//
// Both operands have the token as their inner index. The columns of dw are taken in panels of two vectors; the panel of
// act is transposed once into a buffer that stays in the first-level cache, and every four rows of dout meet it in
// eight accumulators, which is what two multiply-add units of latency four need to be busy. A sum runs over tokens in
// ascending order in blocks of 256, each added to dw: the bits do not depend on threads or vector length, only on
// whether the target fuses multiply and add (all but SSE do).
#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "ane/cpu_ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/weight_gradient.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::ane::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::int64_t kTokens = 256, kRows = 4, kMaxLanes = 16;

/// One panel: `columns` (at most two vectors) columns of dw from `column` on, all rows.
struct Panel {
  const float *dout, *act;
  float* dw;
  std::int64_t out, in, seq, column, columns;
};

/// buffer[t * width + c] = act[column + c, begin + t], zero in the missing columns.
void Pack(const Panel& panel, std::int64_t begin, std::int64_t tokens, std::int64_t width, float* buffer) {
  for (std::int64_t c = 0; c < width; ++c) {
    const float* row = panel.act + (panel.column + c) * panel.seq + begin;
    for (std::int64_t t = 0; t < tokens; ++t) buffer[t * width + c] = c < panel.columns ? row[t] : 0.0F;
  }
}

void RunPanel(const Panel& panel) {
  const hn::CappedTag<float, kMaxLanes> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t width = 2 * lanes;
  HWY_ALIGN float buffer[kTokens * 2 * kMaxLanes];
  HWY_ALIGN float partial[kRows * 2 * kMaxLanes];
  for (std::int64_t begin = 0; begin < panel.seq; begin += kTokens) {
    const std::int64_t tokens = std::min(kTokens, panel.seq - begin);
    Pack(panel, begin, tokens, width, buffer);
    for (std::int64_t o = 0; o < panel.out; o += kRows) {
      // Rows beyond the last repeat it; their sums are not added.
      const auto row = [&](std::int64_t k) { return panel.dout + std::min(o + k, panel.out - 1) * panel.seq + begin; };
      const float *a0 = row(0), *a1 = row(1), *a2 = row(2), *a3 = row(3);
      auto c00 = hn::Zero(d), c01 = hn::Zero(d), c10 = hn::Zero(d), c11 = hn::Zero(d);
      auto c20 = hn::Zero(d), c21 = hn::Zero(d), c30 = hn::Zero(d), c31 = hn::Zero(d);
      for (std::int64_t t = 0; t < tokens; ++t) {
        const auto b0 = hn::Load(d, buffer + t * width), b1 = hn::Load(d, buffer + t * width + lanes);
        const auto v0 = hn::Set(d, a0[t]), v1 = hn::Set(d, a1[t]), v2 = hn::Set(d, a2[t]), v3 = hn::Set(d, a3[t]);
        c00 = hn::MulAdd(v0, b0, c00);
        c01 = hn::MulAdd(v0, b1, c01);
        c10 = hn::MulAdd(v1, b0, c10);
        c11 = hn::MulAdd(v1, b1, c11);
        c20 = hn::MulAdd(v2, b0, c20);
        c21 = hn::MulAdd(v2, b1, c21);
        c30 = hn::MulAdd(v3, b0, c30);
        c31 = hn::MulAdd(v3, b1, c31);
      }
      hn::Store(c00, d, partial);
      hn::Store(c01, d, partial + lanes);
      hn::Store(c10, d, partial + width);
      hn::Store(c11, d, partial + width + lanes);
      hn::Store(c20, d, partial + 2 * width);
      hn::Store(c21, d, partial + 2 * width + lanes);
      hn::Store(c30, d, partial + 3 * width);
      hn::Store(c31, d, partial + 3 * width + lanes);
      for (std::int64_t k = 0; k < std::min(kRows, panel.out - o); ++k) {
        float* target = panel.dw + (o + k) * panel.in + panel.column;
        for (std::int64_t c = 0; c < panel.columns; ++c) target[c] += partial[k * width + c];
      }
    }
  }
}

std::int64_t PanelColumns() { return 2 * static_cast<std::int64_t>(hn::Lanes(hn::CappedTag<float, kMaxLanes>())); }

void RunColumns(const float* dout, const float* act, float* dw, std::int64_t out, std::int64_t in, std::int64_t seq,
                std::int64_t begin, std::int64_t end) {
  const std::int64_t width = PanelColumns();
  for (std::int64_t column = begin; column < end; column += width)
    RunPanel({dout, act, dw, out, in, seq, column, std::min(width, end - column)});
}

}  // namespace aneval::ane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::ane {

HWY_EXPORT(RunColumns);

void accumulate_weight_gradient(std::span<const float> dout, std::span<const float> act, std::int64_t out,
                                std::int64_t in, std::int64_t seq, std::span<float> dw, ThreadPool* pool) {
  const auto expect = [](std::size_t size, std::int64_t expected, const char* what) {
    if (size != static_cast<std::size_t>(expected))
      throw std::logic_error(std::string("accumulate_weight_gradient: ") + what + " has " + std::to_string(size) +
                             " elements, expected " + std::to_string(expected));
  };
  expect(dout.size(), out * seq, "dout");
  expect(act.size(), in * seq, "act");
  expect(dw.size(), out * in, "dw");
  constexpr std::int64_t kColumnsPerTask = 64;  // whole panels of every target, whole cache lines of dw
  parallel_for(pool, in, kColumnsPerTask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(RunColumns)(dout.data(), act.data(), dw.data(), out, in, seq, begin, end);
  });
}

}  // namespace aneval::ane
#endif
