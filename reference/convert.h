// Between the project's named fp32 tensors and the reference's matrices.
#pragma once

#include "common/tensor.h"
#include "reference/matrix.h"

namespace aneval::reference {

/// [rows, cols] of the tensor; a vector [n] becomes [n, 1].
template <class T>
Matrix<T> to_matrix(const Tensor& tensor) {
  return Eigen::Map<const Matrix<float>>(tensor.data.data(), tensor.rows(), tensor.cols()).template cast<T>();
}

template <class T>
Matrices<T> to_matrices(const NamedTensors& tensors) {
  Matrices<T> matrices;
  for (const auto& [name, tensor] : tensors) matrices.emplace(name, to_matrix<T>(tensor));
  return matrices;
}

/// Always of shape [rows, cols]; values are rounded to fp32.
template <class T>
Tensor to_tensor(const Matrix<T>& matrix) {
  Tensor tensor({matrix.rows(), matrix.cols()});
  Eigen::Map<Matrix<float>>(tensor.data.data(), matrix.rows(), matrix.cols()) = matrix.template cast<float>();
  return tensor;
}

template <class T>
NamedTensors to_tensors(const Matrices<T>& matrices) {
  NamedTensors tensors;
  for (const auto& [name, matrix] : matrices) tensors.emplace(name, to_tensor(matrix));
  return tensors;
}

}  // namespace aneval::reference
