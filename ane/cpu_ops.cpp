// Column-wise loops over [channels, S]: the token is the inner index, so that every loop runs over contiguous memory
// and the compiler vectorises it. Sums over channels or tokens are kept in double, in an order that depends on the
// shapes only; what is written per element is fp32 arithmetic.
#include "ane/cpu_ops.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace aneval::ane {
namespace {

void expect_size(std::size_t size, std::int64_t expected, const char* what) {
  if (size != static_cast<std::size_t>(expected))
    throw std::logic_error(std::string(what) + " has " + std::to_string(size) + " elements, expected " +
                           std::to_string(expected));
}

/// r[s] = (mean_d x² + eps)^-1/2
std::vector<double> inverse_rms(std::span<const float> x, std::int64_t dim, std::int64_t seq, double eps) {
  std::vector<double> r(static_cast<std::size_t>(seq), 0.0);
  for (std::int64_t d = 0; d < dim; ++d) {
    const float* row = x.data() + d * seq;
    for (std::size_t s = 0; s < r.size(); ++s) r[s] += static_cast<double>(row[s]) * static_cast<double>(row[s]);
  }
  for (double& value : r) value = 1.0 / std::sqrt(value / static_cast<double>(dim) + eps);
  return r;
}

std::vector<float> to_floats(const std::vector<double>& values) {
  std::vector<float> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), [](double value) { return static_cast<float>(value); });
  return result;
}

/// Σ_s dy·x·r in eight interleaved partial sums: a single one would be a chain that no compiler may vectorise.
double weighted_dot(const float* dy, const float* x, const double* r, std::int64_t seq) {
  constexpr std::int64_t kPartial = 8;
  double partial[kPartial] = {};
  std::int64_t s = 0;
  for (; s + kPartial <= seq; s += kPartial)
    for (std::int64_t k = 0; k < kPartial; ++k)
      partial[k] += static_cast<double>(dy[s + k]) * static_cast<double>(x[s + k]) * r[s + k];
  for (; s < seq; ++s) partial[0] += static_cast<double>(dy[s]) * static_cast<double>(x[s]) * r[s];
  return ((partial[0] + partial[4]) + (partial[1] + partial[5])) +
         ((partial[2] + partial[6]) + (partial[3] + partial[7]));
}

}  // namespace

void rmsnorm(std::span<const float> x, std::span<const float> w, std::int64_t dim, std::int64_t seq, double eps,
             std::span<float> y) {
  expect_size(x.size(), dim * seq, "rmsnorm: x");
  expect_size(w.size(), dim, "rmsnorm: w");
  expect_size(y.size(), dim * seq, "rmsnorm: y");
  const std::vector<float> r = to_floats(inverse_rms(x, dim, seq, eps));
  for (std::int64_t d = 0; d < dim; ++d) {
    const float* row = x.data() + d * seq;
    float* out = y.data() + d * seq;
    const float weight = w[static_cast<std::size_t>(d)];
    for (std::size_t s = 0; s < r.size(); ++s) out[s] = row[s] * r[s] * weight;
  }
}

void rmsnorm_backward(std::span<const float> x, std::span<const float> w, std::span<const float> dy, std::int64_t dim,
                      std::int64_t seq, double eps, std::span<float> dx, std::span<float> dw) {
  expect_size(x.size(), dim * seq, "rmsnorm_backward: x");
  expect_size(w.size(), dim, "rmsnorm_backward: w");
  expect_size(dy.size(), dim * seq, "rmsnorm_backward: dy");
  expect_size(dx.size(), dim * seq, "rmsnorm_backward: dx");
  expect_size(dw.size(), dim, "rmsnorm_backward: dw");
  const std::vector<double> r = inverse_rms(x, dim, seq, eps);
  std::vector<double> share(r.size(), 0.0);  // Σ_d(w∘dy∘x), then times r³/D
  for (std::int64_t d = 0; d < dim; ++d) {
    const float *x_row = x.data() + d * seq, *dy_row = dy.data() + d * seq;
    const double weight = static_cast<double>(w[static_cast<std::size_t>(d)]);
    for (std::size_t s = 0; s < share.size(); ++s)
      share[s] += weight * static_cast<double>(dy_row[s]) * static_cast<double>(x_row[s]);
  }
  for (std::size_t s = 0; s < share.size(); ++s) share[s] *= r[s] * r[s] * r[s] / static_cast<double>(dim);

  const std::vector<float> r_float = to_floats(r), share_float = to_floats(share);
  for (std::int64_t d = 0; d < dim; ++d) {
    const float *x_row = x.data() + d * seq, *dy_row = dy.data() + d * seq;
    float* dx_row = dx.data() + d * seq;
    const auto index = static_cast<std::size_t>(d);
    // dw first: dx may be dy.
    dw[index] = static_cast<float>(static_cast<double>(dw[index]) + weighted_dot(dy_row, x_row, r.data(), seq));
    for (std::size_t s = 0; s < r_float.size(); ++s)
      dx_row[s] = w[index] * dy_row[s] * r_float[s] - x_row[s] * share_float[s];
  }
}

void add_scaled(std::span<const float> x, std::span<const float> f, float scale, std::span<float> y) {
  expect_size(f.size(), static_cast<std::int64_t>(x.size()), "add_scaled: f");
  expect_size(y.size(), static_cast<std::int64_t>(x.size()), "add_scaled: y");
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] + scale * f[i];
}

void scale(std::span<const float> x, float factor, std::span<float> y) {
  expect_size(y.size(), static_cast<std::int64_t>(x.size()), "scale: y");
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = factor * x[i];
}

void silu_backward(std::span<const float> dg, std::span<const float> h1, std::span<const float> h3,
                   std::span<float> dh1, std::span<float> dh3) {
  const auto n = static_cast<std::int64_t>(dg.size());
  expect_size(h1.size(), n, "silu_backward: h1");
  expect_size(h3.size(), n, "silu_backward: h3");
  expect_size(dh1.size(), n, "silu_backward: dh1");
  expect_size(dh3.size(), n, "silu_backward: dh3");
  for (std::size_t i = 0; i < dg.size(); ++i) {
    const float gradient = dg[i], gate = h1[i], value = h3[i];
    const float sigma = 1.0F / (1.0F + std::exp(-gate));
    dh3[i] = gradient * gate * sigma;
    dh1[i] = gradient * value * sigma * (1.0F + gate * (1.0F - sigma));
  }
}

void rope_inverse(const ModelShape& shape, std::span<float> x) {
  const std::int64_t seq = shape.seq, pairs = shape.head_dim / 2, head = shape.head_dim * seq;
  const auto size = static_cast<std::int64_t>(x.size());
  if (size % head != 0) expect_size(x.size(), (size / head + 1) * head, "rope_inverse: x");
  const bool interleaved = shape.rope_pairing == RopePairing::interleaved;
  std::vector<float> cosine(static_cast<std::size_t>(seq)), sine(cosine.size());
  for (std::int64_t i = 0; i < pairs; ++i) {
    const double frequency =
        std::pow(shape.rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(shape.head_dim));
    for (std::size_t p = 0; p < cosine.size(); ++p) {
      cosine[p] = static_cast<float>(std::cos(static_cast<double>(p) * frequency));
      sine[p] = static_cast<float>(std::sin(static_cast<double>(p) * frequency));
    }
    for (std::int64_t base = 0; base < size; base += head) {
      float* first = x.data() + base + (interleaved ? 2 * i : i) * seq;
      float* second = first + (interleaved ? 1 : pairs) * seq;
      for (std::size_t p = 0; p < cosine.size(); ++p) {
        const float a = first[p], b = second[p];
        first[p] = a * cosine[p] + b * sine[p];
        second[p] = b * cosine[p] - a * sine[p];
      }
    }
  }
}

}  // namespace aneval::ane
