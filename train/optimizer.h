// What turns gradients into new weights: AdamW with decoupled decay, clipping by the global norm, and the schedule of
// the learning rate. Gradients carry the loss scale until here; it is removed while they are used.
#pragma once

#include <cstdint>

#include "common/thread_pool.h"
#include "train/parameters.h"

namespace aneval::train {

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019). Matrices decay, the embedding among them; vectors
/// (the weights of rmsnorm) do not.
struct AdamW {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
};

struct Schedule {
  double peak = 3e-4;        // highest learning rate
  double final_share = 0.1;  // of it, at the end
  std::int64_t warmup = 0;   // steps of a linear rise to the peak
  std::int64_t steps = 1;    // all of them; a cosine falls from the end of the warm-up to the last

  /// Of step 0 … steps − 1 (later steps keep the final rate): peak·(step + 1)/warmup while rising.
  double rate(std::int64_t step) const;
};

/// First and second moments, and how many updates they have seen: a step that was skipped is none of them.
struct Moments {
  Parameters first, second;
  std::int64_t updates = 0;
};

/// The norm of all elements together, in double, in an order that the shapes alone decide. Not finite when an element
/// is not.
double global_norm(const Parameters& gradients, ThreadPool* pool = nullptr);

/// min(1, clip / norm); 1 when clip is 0.
double clip_factor(double norm, double clip);

/// m = β1·m + (1−β1)·g, v = β2·v + (1−β2)·g², w −= rate·(m̂/(√v̂ + ε) + decay·w), where g = gradient_factor · gradient
/// and m̂ = m/(1−β1^t), v̂ = v/(1−β2^t) at update t (from 1). All sets must be of the same model.
void update(const AdamW& adam, double rate, double gradient_factor, const Parameters& gradients, Parameters& weights,
            Moments& moments, ThreadPool* pool = nullptr);

}  // namespace aneval::train
