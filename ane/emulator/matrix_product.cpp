#include "ane/emulator/matrix_product.h"

#include <Eigen/Core>

namespace aneval::emulator {
namespace {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using ColumnMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

/// Calls use(matrix) with an Eigen expression of the strided matrix: a map when rows or columns are contiguous, which
/// Eigen's product packs directly, else a copy.
template <class T, class Use>
void with_matrix(const T* data, std::int64_t rows, std::int64_t cols, std::int64_t row_stride, std::int64_t col_stride,
                 const Use& use) {
  if (col_stride == 1 || cols == 1) {
    use(Eigen::Map<const RowMajor<T>, 0, Eigen::OuterStride<>>(data, rows, cols, Eigen::OuterStride<>(row_stride)));
  } else if (row_stride == 1 || rows == 1) {
    use(Eigen::Map<const ColumnMajor<T>, 0, Eigen::OuterStride<>>(data, rows, cols, Eigen::OuterStride<>(col_stride)));
  } else {
    const RowMajor<T> copy = Eigen::Map<const RowMajor<T>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>(
        data, rows, cols, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(row_stride, col_stride));
    use(copy);
  }
}

template <class T>
void product(const TensorView<const T>& x, const TensorView<const T>& y, const TensorView<T>& out, ThreadPool* pool) {
  const int last = out.shape.rank - 1;
  const std::int64_t m = x.shape[last - 1], k = x.shape[last], n = y.shape[last];
  // Wide products are cut by columns (the left side, the activations, is small and packed again per cut), tall ones by
  // rows.
  const bool by_columns = n >= m;
  const std::int64_t cut = 512, cuts = ((by_columns ? n : m) + cut - 1) / cut;
  parallel_for(pool, out.batches() * cuts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t batch = i / cuts, at = (i % cuts) * cut;
      const std::int64_t row = by_columns ? 0 : at, col = by_columns ? at : 0;
      const std::int64_t rows = by_columns ? m : std::min(cut, m - at), cols = by_columns ? std::min(cut, n - at) : n;
      with_matrix(x.matrix(batch) + row * x.strides[last - 1], rows, k, x.strides[last - 1], x.strides[last],
                  [&](const auto& left) {
                    with_matrix(y.matrix(batch) + col * y.strides[last], k, cols, y.strides[last - 1], y.strides[last],
                                [&](const auto& right) {
                                  Eigen::Map<RowMajor<T>, 0, Eigen::OuterStride<>>(
                                      out.matrix(batch) + row * out.strides[last - 1] + col, rows, cols,
                                      Eigen::OuterStride<>(out.strides[last - 1]))
                                      .noalias() = left * right;
                                });
                  });
    }
  });
}

}  // namespace

void matrix_product(const TensorView<const float>& x, const TensorView<const float>& y, const TensorView<float>& out,
                    ThreadPool* pool) {
  product(x, y, out, pool);
}

void matrix_product(const TensorView<const double>& x, const TensorView<const double>& y, const TensorView<double>& out,
                    ThreadPool* pool) {
  product(x, y, out, pool);
}

}  // namespace aneval::emulator
