// What the kernel should compute, from its slots by name to its blocks by name, in full precision: w_t is [D, D] as it
// lies on the surface, activations are [D, S]. One function for both precisions; it knows nothing of the kernel's
// program.
#pragma once

#include "reference/kernels.h"

namespace toy {

template <class T>
aneval::reference::Matrices<T> gated_projection_reference(const aneval::ModelShape&, const aneval::reference::Options&,
                                                          const aneval::reference::Matrices<T>& in) {
  aneval::reference::Matrices<T> out;
  out["o"] = in.at("gate").cwiseProduct(in.at("w_t").transpose() * in.at("x"));
  return out;
}

}  // namespace toy
