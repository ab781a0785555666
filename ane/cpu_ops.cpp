// Column-wise loops over [channels, S]: the token is the inner index, so that every loop runs over contiguous memory.
// They are compiled once per SIMD target and chosen at run time (Highway). Only the exponential is written in vectors;
// all else the compiler vectorises, and as nothing is fused or reordered, the bits are those of every other target.
//
// Sums over channels or tokens are kept in double, in an order that depends on the shapes only; what is written per
// element is fp32 arithmetic.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "ane/cpu_ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/cpu_ops.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::ane::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// Rows that meet each of a column's sums while it is in a register.
constexpr std::int64_t kRows = 8;

/// Floats as doubles, a vector of D at a time.
template <class D>
HWY_INLINE hn::Vec<D> LoadDoubles(D d, const float* p) {
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, D>(), p));
}

/// Calls body(tag, s) for whole vectors of doubles, then for single ones, until all of [0, n) is covered.
template <class Body>
HWY_INLINE void ForDoubles(std::int64_t n, const Body& body) {
  const hn::ScalableTag<double> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t s = 0;
  for (; s + lanes <= n; s += lanes) body(d, s);
  for (; s < n; ++s) body(hn::CappedTag<double, 1>(), s);
}

template <std::int64_t Rows>
HWY_INLINE void AddSquares(const float* x, std::int64_t seq, double* squares) {
  ForDoubles(seq, [&](auto d, std::int64_t s) HWY_ATTR {
    auto sum = hn::LoadU(d, squares + s);
    for (std::int64_t k = 0; k < Rows; ++k) {
      const auto value = LoadDoubles(d, x + k * seq + s);
      sum = hn::MulAdd(value, value, sum);  // the square of a float is exact: fused or not, the bits are the same
    }
    hn::StoreU(sum, d, squares + s);
  });
}

/// squares[s] += Σ_d x²
void SumSquares(const float* x, std::int64_t dim, std::int64_t seq, double* squares) {
  std::int64_t d = 0;
  for (; d + kRows <= dim; d += kRows) AddSquares<kRows>(x + d * seq, seq, squares);
  for (; d < dim; ++d) AddSquares<1>(x + d * seq, seq, squares);
}

void Normalize(const float* x, const float* w, const float* HWY_RESTRICT r, std::int64_t dim, std::int64_t seq,
               float* y) {
  for (std::int64_t d = 0; d < dim; ++d) {
    const float weight = w[d];
    for (std::int64_t s = 0; s < seq; ++s) y[d * seq + s] = x[d * seq + s] * r[s] * weight;
  }
}

template <std::int64_t Rows>
HWY_INLINE void AddSquaresAndProducts(const float* x, const float* w, const float* dy, std::int64_t seq,
                                      double* squares, double* products) {
  ForDoubles(seq, [&](auto d, std::int64_t s) HWY_ATTR {
    auto square = hn::LoadU(d, squares + s), product = hn::LoadU(d, products + s);
    for (std::int64_t k = 0; k < Rows; ++k) {
      const auto value = LoadDoubles(d, x + k * seq + s), gradient = LoadDoubles(d, dy + k * seq + s);
      square = hn::MulAdd(value, value, square);
      product = hn::MulAdd(hn::Set(d, static_cast<double>(w[k])), hn::Mul(gradient, value), product);
    }
    hn::StoreU(square, d, squares + s);
    hn::StoreU(product, d, products + s);
  });
}

/// squares[s] += Σ_d x², products[s] += Σ_d w·dy·x
void SumSquaresAndProducts(const float* x, const float* w, const float* dy, std::int64_t dim, std::int64_t seq,
                           double* squares, double* products) {
  std::int64_t d = 0;
  for (; d + kRows <= dim; d += kRows)
    AddSquaresAndProducts<kRows>(x + d * seq, w + d, dy + d * seq, seq, squares, products);
  for (; d < dim; ++d) AddSquaresAndProducts<1>(x + d * seq, w + d, dy + d * seq, seq, squares, products);
}

/// Σ_s dy·x·r in eight interleaved partial sums, whatever the vector's length.
HWY_INLINE double WeightedDot(const float* dy, const float* x, const double* r, std::int64_t seq) {
  constexpr std::int64_t kPartial = 8;
  HWY_ALIGN double partial[kPartial] = {};
  const hn::CappedTag<double, kPartial> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = seq - seq % kPartial;
  for (std::int64_t k = 0; k < kPartial; k += lanes) {
    auto sum = hn::Zero(d);
    for (std::int64_t s = k; s < whole; s += kPartial)
      sum = hn::MulAdd(hn::Mul(LoadDoubles(d, dy + s), LoadDoubles(d, x + s)), hn::LoadU(d, r + s), sum);
    hn::Store(sum, d, partial + k);
  }
  for (std::int64_t s = whole; s < seq; ++s)
    partial[0] += static_cast<double>(dy[s]) * static_cast<double>(x[s]) * r[s];
  return ((partial[0] + partial[4]) + (partial[1] + partial[5])) +
         ((partial[2] + partial[6]) + (partial[3] + partial[7]));
}

/// dx = w·dy·r − x·share, dw += Σ_s dy·x·r. dx may be dy.
void NormGradients(const float* x, const float* w, const float* dy, const double* r, const float* HWY_RESTRICT r_float,
                   const float* HWY_RESTRICT share, std::int64_t dim, std::int64_t seq, float* dx, float* dw) {
  for (std::int64_t d = 0; d < dim; ++d) {
    const float *x_row = x + d * seq, *dy_row = dy + d * seq, weight = w[d];
    float* dx_row = dx + d * seq;
    dw[d] = static_cast<float>(static_cast<double>(dw[d]) + WeightedDot(dy_row, x_row, r, seq));
    for (std::int64_t s = 0; s < seq; ++s) dx_row[s] = weight * dy_row[s] * r_float[s] - x_row[s] * share[s];
  }
}

void AddScaled(const float* x, const float* f, float scale, float* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] + scale * f[i];
}

void Scale(const float* x, float factor, float* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = factor * x[i];
}

/// σ of a vector, and 1 − σ in `rest`. With e = e^-|h1| both are a quotient by 1 + e: nothing overflows or cancels.
template <class D>
HWY_INLINE hn::Vec<D> SigmaOf(D d, hn::Vec<D> gate, hn::Vec<D>& rest) {
  const auto one = hn::Set(d, 1.0F);
  const auto e = hn::Exp(d, hn::Neg(hn::Abs(gate)));
  const auto sum = hn::Add(one, e), larger = hn::Div(one, sum), smaller = hn::Div(e, sum);
  const auto negative = hn::Lt(gate, hn::Zero(d));
  rest = hn::IfThenElse(negative, larger, smaller);
  return hn::IfThenElse(negative, smaller, larger);
}

template <class D>
HWY_INLINE void GateVector(D d, const float* h1, const float* h3, float* g) {
  const auto gate = hn::LoadU(d, h1);
  auto rest = gate;
  hn::StoreU(hn::Mul(hn::Mul(gate, SigmaOf(d, gate, rest)), hn::LoadU(d, h3)), d, g);
}

void SiluGate(const float* h1, const float* h3, float* g, std::int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> last;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) GateVector(d, h1 + i, h3 + i, g + i);
  for (; i < n; ++i) GateVector(last, h1 + i, h3 + i, g + i);
}

template <class D>
HWY_INLINE void SiluVector(D d, const float* dg, const float* h1, const float* h3, float* dh1, float* dh3) {
  const auto one = hn::Set(d, 1.0F);
  const auto gradient = hn::LoadU(d, dg), gate = hn::LoadU(d, h1), value = hn::LoadU(d, h3);
  auto rest = gate;
  const auto scaled = hn::Mul(gradient, SigmaOf(d, gate, rest));
  hn::StoreU(hn::Mul(scaled, gate), d, dh3);
  hn::StoreU(hn::Mul(hn::Mul(scaled, value), hn::Add(one, hn::Mul(gate, rest))), d, dh1);
}

void SiluBackward(const float* dg, const float* h1, const float* h3, float* dh1, float* dh3, std::int64_t n) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> last;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) SiluVector(d, dg + i, h1 + i, h3 + i, dh1 + i, dh3 + i);
  for (; i < n; ++i) SiluVector(last, dg + i, h1 + i, h3 + i, dh1 + i, dh3 + i);
}

}  // namespace aneval::ane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::ane {
namespace {

HWY_EXPORT(SumSquares);
HWY_EXPORT(Normalize);
HWY_EXPORT(SumSquaresAndProducts);
HWY_EXPORT(NormGradients);
HWY_EXPORT(AddScaled);
HWY_EXPORT(Scale);
HWY_EXPORT(SiluGate);
HWY_EXPORT(SiluBackward);

void expect_size(std::size_t size, std::int64_t expected, const char* what) {
  if (size != static_cast<std::size_t>(expected))
    throw std::logic_error(std::string(what) + " has " + std::to_string(size) + " elements, expected " +
                           std::to_string(expected));
}

/// Σ_d x² of every token becomes r = (mean_d x² + eps)^-1/2.
void invert_rms(std::vector<double>& squares, std::int64_t dim, double eps) {
  for (double& value : squares) value = 1.0 / std::sqrt(value / static_cast<double>(dim) + eps);
}

std::vector<float> to_floats(const std::vector<double>& values) {
  std::vector<float> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), [](double value) { return static_cast<float>(value); });
  return result;
}

}  // namespace

void rmsnorm(std::span<const float> x, std::span<const float> w, std::int64_t dim, std::int64_t seq, double eps,
             std::span<float> y) {
  expect_size(x.size(), dim * seq, "rmsnorm: x");
  expect_size(w.size(), dim, "rmsnorm: w");
  expect_size(y.size(), dim * seq, "rmsnorm: y");
  std::vector<double> r(static_cast<std::size_t>(seq), 0.0);
  HWY_DYNAMIC_DISPATCH(SumSquares)(x.data(), dim, seq, r.data());
  invert_rms(r, dim, eps);
  HWY_DYNAMIC_DISPATCH(Normalize)(x.data(), w.data(), to_floats(r).data(), dim, seq, y.data());
}

void rmsnorm_backward(std::span<const float> x, std::span<const float> w, std::span<const float> dy, std::int64_t dim,
                      std::int64_t seq, double eps, std::span<float> dx, std::span<float> dw) {
  expect_size(x.size(), dim * seq, "rmsnorm_backward: x");
  expect_size(w.size(), dim, "rmsnorm_backward: w");
  expect_size(dy.size(), dim * seq, "rmsnorm_backward: dy");
  expect_size(dx.size(), dim * seq, "rmsnorm_backward: dx");
  expect_size(dw.size(), dim, "rmsnorm_backward: dw");
  std::vector<double> r(static_cast<std::size_t>(seq), 0.0);
  std::vector<double> share(r.size(), 0.0);  // Σ_d(w∘dy∘x), then times r³/D
  HWY_DYNAMIC_DISPATCH(SumSquaresAndProducts)(x.data(), w.data(), dy.data(), dim, seq, r.data(), share.data());
  invert_rms(r, dim, eps);
  for (std::size_t s = 0; s < share.size(); ++s) share[s] *= r[s] * r[s] * r[s] / static_cast<double>(dim);
  const std::vector<float> r_float = to_floats(r), share_float = to_floats(share);
  HWY_DYNAMIC_DISPATCH(NormGradients)
  (x.data(), w.data(), dy.data(), r.data(), r_float.data(), share_float.data(), dim, seq, dx.data(), dw.data());
}

void add_scaled(std::span<const float> x, std::span<const float> f, float scale, std::span<float> y) {
  const auto n = static_cast<std::int64_t>(x.size());
  expect_size(f.size(), n, "add_scaled: f");
  expect_size(y.size(), n, "add_scaled: y");
  HWY_DYNAMIC_DISPATCH(AddScaled)(x.data(), f.data(), scale, y.data(), n);
}

void scale(std::span<const float> x, float factor, std::span<float> y) {
  const auto n = static_cast<std::int64_t>(x.size());
  expect_size(y.size(), n, "scale: y");
  HWY_DYNAMIC_DISPATCH(Scale)(x.data(), factor, y.data(), n);
}

constexpr std::int64_t kElementsPerTask = 1 << 15;  // some 20 microseconds of SiLU

void silu_gate(std::span<const float> h1, std::span<const float> h3, std::span<float> g, ThreadPool* pool) {
  const auto n = static_cast<std::int64_t>(h1.size());
  expect_size(h3.size(), n, "silu_gate: h3");
  expect_size(g.size(), n, "silu_gate: g");
  parallel_for(pool, n, kElementsPerTask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(SiluGate)(h1.data() + begin, h3.data() + begin, g.data() + begin, end - begin);
  });
}

void silu_backward(std::span<const float> dg, std::span<const float> h1, std::span<const float> h3,
                   std::span<float> dh1, std::span<float> dh3, ThreadPool* pool) {
  const auto n = static_cast<std::int64_t>(dg.size());
  expect_size(h1.size(), n, "silu_backward: h1");
  expect_size(h3.size(), n, "silu_backward: h3");
  expect_size(dh1.size(), n, "silu_backward: dh1");
  expect_size(dh3.size(), n, "silu_backward: dh3");
  parallel_for(pool, n, kElementsPerTask, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(SiluBackward)
    (dg.data() + begin, h1.data() + begin, h3.data() + begin, dh1.data() + begin, dh3.data() + begin, end - begin);
  });
}

}  // namespace aneval::ane
#endif
