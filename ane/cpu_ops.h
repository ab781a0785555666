// What a training layer does on the CPU between kernels, in fp32: rmsnorm and its backward, residuals, SiLU and its
// backward, RoPE and its inverse, and weight gradients. Activations are [channels, S], row-major.
#pragma once

#include <cstdint>
#include <span>

#include "ane/model_shape.h"
#include "common/thread_pool.h"

namespace aneval::ane {

/// y[d, s] = x[d, s] · w[d] · r[s], r = (mean_d x² + eps)^-1/2.
void rmsnorm(std::span<const float> x, std::span<const float> w, std::int64_t dim, std::int64_t seq, double eps,
             std::span<float> y);

/// dx = r·(w∘dy) − x·r³/D·Σ_d(w∘dy∘x); dw += Σ_s dy∘x·r. dx is written, dw is accumulated.
/// w multiplies dy inside the bracket: the seed project multiplies the whole bracket, which is right only while w = 1.
void rmsnorm_backward(std::span<const float> x, std::span<const float> w, std::span<const float> dy, std::int64_t dim,
                      std::int64_t seq, double eps, std::span<float> dx, std::span<float> dw);

/// y = x + scale · f
void add_scaled(std::span<const float> x, std::span<const float> f, float scale, std::span<float> y);
/// y = scale · x
void scale(std::span<const float> x, float factor, std::span<float> y);

/// g = h1∘σ∘h3, with the σ of silu_backward.
void silu_gate(std::span<const float> h1, std::span<const float> h3, std::span<float> g, ThreadPool* pool = nullptr);

/// σ = 1/(1+e^-h1); dh3 = dg∘h1∘σ; dh1 = dg∘h3∘σ∘(1 + h1∘(1−σ)). The exponential is Highway's, within a unit in the
/// last place; the bits do not depend on threads or vector length, only on whether the target fuses multiply and add.
void silu_backward(std::span<const float> dg, std::span<const float> h1, std::span<const float> h3,
                   std::span<float> dh1, std::span<float> dh3, ThreadPool* pool = nullptr);

/// Rotates every head of x [heads·h, S] by its position, in place: RoPE with the model's pairing and base, cosines and
/// sines in fp32 computed from double.
void rope(const ModelShape& shape, std::span<float> x);
/// The same rotation back, which is RoPE's adjoint.
void rope_inverse(const ModelShape& shape, std::span<float> x);

/// dw [out, in] += dout [out, S] · act [in, S]ᵀ
void accumulate_weight_gradient(std::span<const float> dout, std::span<const float> act, std::int64_t out,
                                std::int64_t in, std::int64_t seq, std::span<float> dw, ThreadPool* pool = nullptr);

}  // namespace aneval::ane
