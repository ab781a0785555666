// The products that this build has: large ones on one thread, equal to sums in double.
#include "reference/blas.h"

#include <gtest/gtest.h>

#include <ctime>

#include "reference/test_support.h"

namespace aneval::reference {
namespace {

double processor_ns(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

TEST(Blas, ProductsRunOnTheCallingThreadAndAreRight) {
  keep_blas_on_one_thread();
  Random random(1);
  const Matrix<float> a = random_matrix<float>(600, 700, 1, random), b = random_matrix<float>(700, 800, 1, random);
  const double process = processor_ns(CLOCK_PROCESS_CPUTIME_ID), thread = processor_ns(CLOCK_THREAD_CPUTIME_ID);
  const Matrix<float> product = a * b;
  const double of_thread = processor_ns(CLOCK_THREAD_CPUTIME_ID) - thread;
  const double of_process = processor_ns(CLOCK_PROCESS_CPUTIME_ID) - process;
  // With a second thread at least a third of the work would be elsewhere.
  EXPECT_LT(of_process - of_thread, 0.25 * of_process) << blas_name();
  // Each sum rounds a term at most 700 times, on average far fewer; γ_700 of the magnitudes binds any order.
  const Matrix<double> left = a.cast<double>(), right = b.cast<double>();
  const Matrix<double> expected = left.lazyProduct(right), magnitude = left.cwiseAbs().lazyProduct(right.cwiseAbs());
  EXPECT_TRUE(((product.cast<double>() - expected).array().abs() <= 701 * kUnitFloat * magnitude.array()).all());
}

}  // namespace
}  // namespace aneval::reference
