// Rotary position embedding of [heads · head_dim, S], forward and back (cpu_ops.h). Cosines and sines are summed in
// double and rounded to fp32 once. The loops over tokens are compiled once per SIMD target and chosen at run time
// (Highway); nothing in them is fused or reordered, so that the bits are those of every other target.
#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "ane/cpu_ops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ane/rope.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace aneval::ane::HWY_NAMESPACE {

/// The angles from `known` on, each the sum of one of the first `known` and of the angle whose cosine and sine are
/// given.
void AddAngles(double cosine, double sine, std::int64_t known, std::int64_t seq, double* HWY_RESTRICT cosines,
               double* HWY_RESTRICT sines) {
  for (std::int64_t p = 0; p < HWY_MIN(known, seq - known); ++p) {
    cosines[known + p] = cosines[p] * cosine - sines[p] * sine;
    sines[known + p] = sines[p] * cosine + cosines[p] * sine;
  }
}

void TurnBack(const float* HWY_RESTRICT cosines, const float* HWY_RESTRICT sines, std::int64_t seq,
              float* HWY_RESTRICT first, float* HWY_RESTRICT second) {
  for (std::int64_t p = 0; p < seq; ++p) {
    const float a = first[p], b = second[p];
    first[p] = a * cosines[p] + b * sines[p];
    second[p] = b * cosines[p] - a * sines[p];
  }
}

}  // namespace aneval::ane::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneval::ane {
namespace {

HWY_EXPORT(AddAngles);
HWY_EXPORT(TurnBack);

/// cos and sin of position · frequency. Only those of powers of two are computed: the others are sums of them, off by
/// at most a unit of 2^-51 per binary digit of the position.
struct Angles {
  std::vector<float> cosine, sine;

  Angles(double frequency, std::int64_t seq) {
    std::vector<double> cosines(static_cast<std::size_t>(seq), 1.0), sines(cosines.size(), 0.0);
    for (std::int64_t known = 1; known < seq; known *= 2) {
      const double angle = static_cast<double>(known) * frequency;
      HWY_DYNAMIC_DISPATCH(AddAngles)(std::cos(angle), std::sin(angle), known, seq, cosines.data(), sines.data());
    }
    cosine.assign(cosines.begin(), cosines.end());
    sine.assign(sines.begin(), sines.end());
  }
};

/// Every head of x, turned by its position: back, or forward with sines of the other sign.
void turn_heads(const ModelShape& shape, std::span<float> x, bool back) {
  const std::int64_t seq = shape.seq, pairs = shape.head_dim / 2, head = shape.head_dim * seq;
  const auto size = static_cast<std::int64_t>(x.size());
  if (size % head != 0)
    throw std::logic_error("rope: x has " + std::to_string(size) + " elements, no multiple of a head's " +
                           std::to_string(head));
  const bool interleaved = shape.rope_pairing == RopePairing::interleaved;
  for (std::int64_t i = 0; i < pairs; ++i) {
    Angles angles(std::pow(shape.rope_base, -2.0 * static_cast<double>(i) / static_cast<double>(shape.head_dim)), seq);
    if (!back)
      for (float& sine : angles.sine) sine = -sine;
    for (std::int64_t base = 0; base < size; base += head) {
      float* first = x.data() + base + (interleaved ? 2 * i : i) * seq;
      float* second = first + (interleaved ? 1 : pairs) * seq;
      HWY_DYNAMIC_DISPATCH(TurnBack)(angles.cosine.data(), angles.sine.data(), seq, first, second);
    }
  }
}

}  // namespace

void rope(const ModelShape& shape, std::span<float> x) { turn_heads(shape, x, false); }
void rope_inverse(const ModelShape& shape, std::span<float> x) { turn_heads(shape, x, true); }

}  // namespace aneval::ane
#endif
