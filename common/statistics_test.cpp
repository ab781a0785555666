#include "common/statistics.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace aneval {
namespace {

TEST(Median, OddEvenAndNothing) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({7}), 7);
  EXPECT_THROW(median({}), std::logic_error);
}

TEST(Quantile, LiesBetweenNeighbours) {
  EXPECT_EQ(quantile({1, 2, 3, 4, 5}, 0.25), 2);
  EXPECT_EQ(quantile({1, 2}, 0.75), 1.75);
  EXPECT_EQ(quantile({1, 2}, 1), 2);
  EXPECT_THROW(quantile({}, 0.5), std::logic_error);
}

}  // namespace
}  // namespace aneval
