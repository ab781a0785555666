// The types of the reference. Templated on the scalar: float is the reference that users see, double certifies it.
#pragma once

#include <Eigen/Dense>
#include <functional>
#include <map>
#include <string>

#include "ane/model_shape.h"

namespace aneval::reference {

/// Activations [channels, S], weights [out, in], vectors [n, 1]; row-major as in files.
template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T>
using Matrices = std::map<std::string, Matrix<T>, std::less<>>;

/// Eigen takes and frees memory by the alignment that the compiler's flags give it (-march=native and such), so that a
/// program must have the library's. The library defines its own alignment alone; each file that includes this header
/// asks for the one that it was compiled with: other flags are an error of the linker instead of a crash.
template <int kBytes>
struct MatricesAlignedTo {
  static const int kInLibrary;
};
template <>
const int MatricesAlignedTo<EIGEN_MAX_ALIGN_BYTES>::kInLibrary;
[[gnu::used]] static const int* const kAlignmentOfTheLibrary = &MatricesAlignedTo<EIGEN_MAX_ALIGN_BYTES>::kInLibrary;

/// Choices that change what is computed, not how.
struct Options {
  /// Query head j reads key/value head j mod G instead of j / R.
  bool cyclic_heads = false;
  /// 1/sqrt(h) is part of the q that kernels see: scores are not scaled again.
  bool folded_scale = false;
  /// dp of the keys after the end of a query's tile of so many queries is 0 instead of da·vᵀ; 0 for none. probs are 0
  /// there, so that no gradient depends on it.
  std::int64_t causal_tile = 0;
};

}  // namespace aneval::reference
