// Products of strided views are Eigen's own, bit for bit: tiny ones, vectors, and what is packed into kept memory.
#include "ane/emulator/matrix_product.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <vector>

#include "common/random.h"

namespace aneval::emulator {
namespace {

template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

enum class Layout { rows, columns, neither };

/// The matrix at strides of that layout, in memory of its own.
template <class T>
TensorView<const T> laid_out(const Matrix<T>& m, Layout layout, std::vector<T>& memory) {
  TensorView<const T> view;
  for (const std::int64_t size : {std::int64_t{1}, m.rows(), m.cols()}) view.shape.push(size);
  view.strides.push(0);
  view.strides.push(layout == Layout::rows ? m.cols() : layout == Layout::columns ? 1 : 2 * m.cols());
  view.strides.push(layout == Layout::rows ? 1 : layout == Layout::columns ? m.rows() : 2);
  memory.assign(static_cast<std::size_t>(2 * m.size()), T{-7});
  for (std::int64_t r = 0; r < m.rows(); ++r)
    for (std::int64_t c = 0; c < m.cols(); ++c)
      memory[static_cast<std::size_t>(r * view.strides[1] + c * view.strides[2])] = m(r, c);
  view.data = memory.data();
  return view;
}

template <class T>
Matrix<T> random_matrix(std::int64_t rows, std::int64_t columns, Random& random) {
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  random.fill_normal(values, 1);
  return Eigen::Map<Matrix<float>>(values.data(), rows, columns).template cast<T>();
}

template <class T>
void expect_eigens_products() {
  Random random(3);
  struct Size {
    std::int64_t m, k, n;
  };
  for (const Size size : {Size{2, 3, 4}, {5, 5, 10}, {1, 40, 30}, {30, 40, 1}, {70, 300, 90}, {128, 700, 65}}) {
    const Matrix<T> left = random_matrix<T>(size.m, size.k, random), right = random_matrix<T>(size.k, size.n, random);
    Matrix<T> expected(size.m, size.n);
    expected.noalias() = left * right;
    for (const Layout left_layout : {Layout::rows, Layout::columns, Layout::neither}) {
      for (const Layout right_layout : {Layout::rows, Layout::columns, Layout::neither}) {
        std::vector<T> x, y, result(static_cast<std::size_t>(size.m * size.n), T{5});
        TensorView<T> out;
        out.data = result.data();
        for (const std::int64_t extent : {std::int64_t{1}, size.m, size.n}) out.shape.push(extent);
        out.strides = contiguous_strides(out.shape);
        matrix_product(laid_out(left, left_layout, x), laid_out(right, right_layout, y), out, nullptr);
        const Eigen::Map<Matrix<T>> got(result.data(), size.m, size.n);
        // Eigen adds the terms of tiny products and of vectors in an order that depends on the layout.
        const bool packed = size.m > 1 && size.n > 1 && size.m + size.k + size.n >= 20;
        if (packed)
          EXPECT_TRUE(got == expected) << size.m << " x " << size.k << " x " << size.n;
        else
          EXPECT_TRUE(got.isApprox(expected, static_cast<T>(1e-5))) << size.m << " x " << size.k << " x " << size.n;
      }
    }
  }
}

TEST(MatrixProduct, OfFloatsIsEigens) { expect_eigens_products<float>(); }
TEST(MatrixProduct, OfDoublesIsEigens) { expect_eigens_products<double>(); }

}  // namespace
}  // namespace aneval::emulator
