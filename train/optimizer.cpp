// Plain loops over pieces of fixed size: additions, products, quotients and square roots are rounded correctly whether
// the compiler takes vectors or not, so the bits depend on nothing but the values. (Eigen's fast square root is not,
// and which elements get it would depend on where a tensor lies.)
#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace aneval::train {
namespace {

constexpr std::int64_t kElements = 1 << 16;  // of a piece of work, and of a partial sum

/// In eight interleaved partial sums: a single one would be a chain that no compiler may vectorise.
double sum_of_squares(const float* values, std::int64_t count) {
  constexpr std::int64_t kPartial = 8;
  double partial[kPartial] = {};
  std::int64_t i = 0;
  for (; i + kPartial <= count; i += kPartial)
    for (std::int64_t k = 0; k < kPartial; ++k)
      partial[k] += static_cast<double>(values[i + k]) * static_cast<double>(values[i + k]);
  for (; i < count; ++i) partial[0] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return ((partial[0] + partial[4]) + (partial[1] + partial[5])) +
         ((partial[2] + partial[6]) + (partial[3] + partial[7]));
}

}  // namespace

double Schedule::rate(std::int64_t step) const {
  if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const std::int64_t falling = std::max<std::int64_t>(steps - 1 - warmup, 1);
  const double progress = std::min(1.0, static_cast<double>(step - warmup) / static_cast<double>(falling));
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return peak * (final_share + (1 - final_share) * cosine);
}

double global_norm(const Parameters& gradients, ThreadPool* pool) {
  double sum = 0;
  std::vector<double> partial;
  for (const NamedConstTensor& named : tensors_of(gradients)) {
    const auto count = static_cast<std::int64_t>(named.tensor->data.size());
    partial.assign(static_cast<std::size_t>((count + kElements - 1) / kElements), 0.0);
    parallel_for(pool, count, kElements, [&](std::int64_t begin, std::int64_t end) {
      partial[static_cast<std::size_t>(begin / kElements)] =
          sum_of_squares(named.tensor->data.data() + begin, end - begin);
    });
    for (const double each : partial) sum += each;
  }
  return std::sqrt(sum);
}

double clip_factor(double norm, double clip) { return clip > 0 && norm > clip ? clip / norm : 1.0; }

void update(const AdamW& adam, double rate, double gradient_factor, const Parameters& gradients, Parameters& weights,
            Moments& moments, ThreadPool* pool) {
  const auto t = static_cast<double>(++moments.updates);
  const auto first_correction = static_cast<float>(rate / (1 - std::pow(adam.beta1, t)));
  const auto second_correction = static_cast<float>(1 / (1 - std::pow(adam.beta2, t)));
  const auto beta1 = static_cast<float>(adam.beta1), beta2 = static_cast<float>(adam.beta2);
  const auto rest1 = static_cast<float>(1 - adam.beta1), rest2 = static_cast<float>(1 - adam.beta2);
  const auto eps = static_cast<float>(adam.eps), factor = static_cast<float>(gradient_factor);
  const auto all_gradients = tensors_of(gradients);
  const auto all_weights = tensors_of(weights), first = tensors_of(moments.first), second = tensors_of(moments.second);
  for (std::size_t i = 0; i < all_weights.size(); ++i) {
    Tensor& weight = *all_weights[i].tensor;
    const auto keep = static_cast<float>(weight.shape.size() > 1 ? 1 - rate * adam.weight_decay : 1.0);
    const float* gradient = all_gradients[i].tensor->data.data();
    float *w = weight.data.data(), *m = first[i].tensor->data.data(), *v = second[i].tensor->data.data();
    parallel_for(pool, static_cast<std::int64_t>(weight.data.size()), kElements,
                 [=](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t j = begin; j < end; ++j) {
                     const float g = factor * gradient[j];
                     m[j] = beta1 * m[j] + rest1 * g;
                     v[j] = beta2 * v[j] + rest2 * (g * g);
                     w[j] = keep * w[j] - first_correction * m[j] / (std::sqrt(second_correction * v[j]) + eps);
                   }
                 });
  }
}

}  // namespace aneval::train
