// How much memory a training run takes, before anything of it is made.
#pragma once

#include <cstdint>

#include "ane/model_shape.h"
#include "ane/variant.h"

namespace aneval::train {

/// Weights, gradients and two moments of every parameter (the classifier tied to the embedding), the surfaces of all
/// layers and those they share, weights that are compiled in, the tensors that every layer keeps, and the head's. In
/// bytes. Not counted: what a backend keeps for itself, and the token data.
std::int64_t training_bytes(const ModelShape& shape, const ane::Variant& variant = {});

/// The most layers of this model, no more than it has, that stay within so many bytes; 0 when not even one does.
std::int64_t layers_that_fit(ModelShape shape, const ane::Variant& variant, double bytes);

}  // namespace aneval::train
