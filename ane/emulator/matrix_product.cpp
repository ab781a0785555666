#include "ane/emulator/matrix_product.h"

#include <Eigen/Core>

#include "ane/emulator/blocks.h"

namespace aneval::emulator {
namespace {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A strided matrix that Eigen's product packs directly: rows or columns are contiguous, `step` apart.
template <class T, int kOrder>
using Strided = Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, kOrder>, 0, Eigen::OuterStride<>>;

enum class Side { left, right };

/// Kept from call to call: a training step repeats the same products thousands of times.
struct Workspace {
  Buffer packed_left, packed_right;
  Buffer copied_left, copied_right;  // of matrices that have no contiguous axis
};

Workspace& workspace_of_this_thread() {
  thread_local Workspace workspace;
  return workspace;
}

/// Calls use(matrix) with an Eigen expression of the strided matrix.
template <Side kSide, class T, class Use>
void with_matrix(const T* data, std::int64_t rows, std::int64_t cols, std::int64_t row_stride, std::int64_t col_stride,
                 const Use& use) {
  if (col_stride == 1 || cols == 1) {
    use(Strided<T, Eigen::RowMajor>(data, rows, cols, Eigen::OuterStride<>(row_stride)));
  } else if (row_stride == 1 || rows == 1) {
    use(Strided<T, Eigen::ColMajor>(data, rows, cols, Eigen::OuterStride<>(col_stride)));
  } else {
    Workspace& workspace = workspace_of_this_thread();
    T* copy = (kSide == Side::left ? workspace.copied_left : workspace.copied_right).template room<T>(rows * cols);
    Eigen::Map<RowMajor<T>>(copy, rows, cols) =
        Eigen::Map<const RowMajor<T>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>(
            data, rows, cols, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(row_stride, col_stride));
    use(Strided<T, Eigen::RowMajor>(copy, rows, cols, Eigen::OuterStride<>(cols)));
  }
}

/// Eigen's block sizes for a product into a row-major matrix, with room for the packed blocks that is not allocated
/// anew for every product.
template <class T>
class Blocking : public Eigen::internal::gemm_blocking_space<Eigen::RowMajor, T, T, Eigen::Dynamic, Eigen::Dynamic,
                                                             Eigen::Dynamic> {
 public:
  Blocking(Eigen::Index rows, Eigen::Index cols, Eigen::Index depth)
      : Eigen::internal::gemm_blocking_space<Eigen::RowMajor, T, T, Eigen::Dynamic, Eigen::Dynamic, Eigen::Dynamic>(
            rows, cols, depth, 1, true) {
    Workspace& workspace = workspace_of_this_thread();
    this->m_blockA = workspace.packed_left.template room<T>(this->mc() * this->kc());
    this->m_blockB = workspace.packed_right.template room<T>(this->kc() * this->nc());
  }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;
  ~Blocking() { this->m_blockA = this->m_blockB = nullptr; }  // or the base would free them
};

/// out = left·right. What Eigen does for large products; it chooses other ways for vectors and for tiny ones, whose
/// sums it adds in another order, and so does this.
template <class T, int kLeft, int kRight>
void multiply(const Strided<T, kLeft>& left, const Strided<T, kRight>& right,
              Eigen::Map<RowMajor<T>, 0, Eigen::OuterStride<>> out) {
  const bool tiny = right.rows() + out.rows() + out.cols() < EIGEN_GEMM_TO_COEFFBASED_THRESHOLD;
  if (tiny || out.rows() == 1 || out.cols() == 1 || right.rows() == 0) {
    out.noalias() = left * right;
    return;
  }
  out.setZero();
  Blocking<T> blocking(out.rows(), out.cols(), left.cols());
  Eigen::internal::general_matrix_matrix_product<Eigen::Index, T, kLeft, false, T, kRight, false, Eigen::RowMajor,
                                                 1>::run(out.rows(), out.cols(), left.cols(), left.data(),
                                                         left.outerStride(), right.data(), right.outerStride(),
                                                         out.data(), 1, out.outerStride(), T{1}, blocking, nullptr);
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
      T* const to = out.matrix(batch) + row * out.strides[last - 1] + col;
      const Eigen::Map<RowMajor<T>, 0, Eigen::OuterStride<>> target(to, rows, cols,
                                                                    Eigen::OuterStride<>(out.strides[last - 1]));
      const T* const left_data = x.matrix(batch) + row * x.strides[last - 1];
      const T* const right_data = y.matrix(batch) + col * y.strides[last];
      with_matrix<Side::left>(left_data, rows, k, x.strides[last - 1], x.strides[last], [&](const auto& left) {
        with_matrix<Side::right>(right_data, k, cols, y.strides[last - 1], y.strides[last],
                                 [&](const auto& right) { multiply<T>(left, right, target); });
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
