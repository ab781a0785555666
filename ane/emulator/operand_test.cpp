// Views: every reshape, permutation and broadcast must see the elements that a copy would see.
#include "ane/emulator/operand.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace aneval::emulator {
namespace {

Operand contiguous(const mil::Shape& shape) {
  Operand operand;
  operand.buffer = 0;
  operand.shape = extents_of(shape);
  operand.strides = contiguous_strides(operand.shape);
  return operand;
}

/// Offsets of the elements in row-major order.
std::vector<std::int64_t> offsets(const Operand& operand) {
  std::vector<std::int64_t> all;
  const RowLoop<1> loop(operand.shape, {&operand.strides});
  for (std::int64_t r = 0; r < loop.rows(); ++r) {
    const Row<1> row = loop.row(r);
    for (std::int64_t i = 0; i < row.count; ++i) all.push_back(operand.offset + row.offset[0] + i * row.step[0]);
  }
  return all;
}

TEST(Operand, ReshapeOfAContiguousTensorIsAlwaysAView) {
  const Operand x = contiguous({2, 3, 4});
  for (const mil::Shape& shape : {mil::Shape{24}, {6, 4}, {2, 12}, {4, 3, 2}, {1, 2, 1, 12, 1}}) {
    Operand y = x;
    y.shape = extents_of(shape);
    ASSERT_TRUE(reshaped_strides(x, y.shape, y.strides));
    EXPECT_EQ(offsets(y), offsets(x));
  }
}

TEST(Operand, ReshapeOfASliceSplitsButDoesNotMergeAcrossTheGap) {
  Operand slice = contiguous({4, 10});
  slice.shape[1] = 6;  // columns 0..5 of 10
  Operand split = slice;
  split.shape = extents_of({2, 2, 3, 2});
  ASSERT_TRUE(reshaped_strides(slice, split.shape, split.strides));
  EXPECT_EQ(offsets(split), offsets(slice));
  Extents strides;
  EXPECT_FALSE(reshaped_strides(slice, extents_of({24}), strides));
}

TEST(Operand, ReshapeOfATransposeNeedsACopyUnlessAxesStayApart) {
  const Operand turned = permuted(contiguous({3, 4}), {1, 0});
  Extents strides;
  EXPECT_FALSE(reshaped_strides(turned, extents_of({12}), strides));
  Operand apart = turned;
  apart.shape = extents_of({2, 2, 1, 3});
  ASSERT_TRUE(reshaped_strides(turned, apart.shape, apart.strides));
  EXPECT_EQ(offsets(apart), offsets(turned));
}

TEST(Operand, BroadcastRepeatsByStrideZero) {
  const Operand wide = broadcast_to(contiguous({3, 1}), extents_of({2, 3, 2}));
  EXPECT_EQ(offsets(wide), (std::vector<std::int64_t>{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2}));
}

TEST(Operand, ContiguityIgnoresAxesOfSizeOne) {
  Operand x = contiguous({1, 3, 1, 4});
  x.strides[2] = 99;
  EXPECT_TRUE(x.contiguous());
  EXPECT_FALSE(permuted(x, {0, 3, 2, 1}).contiguous());
}

TEST(RowLoop, MergesAxesThatAllOperandsWalkAlike) {
  const Operand a = contiguous({4, 5, 6});
  Operand b = a;
  const RowLoop<2> merged(a.shape, {&a.strides, &b.strides});
  EXPECT_EQ(merged.rows(), 1);
  EXPECT_EQ(merged.count(), 120);
  b.strides[0] = 100;  // a gap after every block of 30
  const RowLoop<2> split(a.shape, {&a.strides, &b.strides});
  EXPECT_EQ(split.rows(), 4);
  EXPECT_EQ(split.count(), 30);
}

TEST(RowLoop, PiecesCoverEveryElementOnceWhateverTheThreads) {
  const Operand x = contiguous({7, 1000});
  Operand y = x;
  y.strides[0] = 2000;
  const RowLoop<2> loop(x.shape, {&x.strides, &y.strides});
  ThreadPool pool(3);
  std::vector<int> seen(7000, 0);
  for_each_row(&pool, loop, 64, [&](const Row<2>& row) {
    for (std::int64_t i = 0; i < row.count; ++i) ++seen[static_cast<std::size_t>(row.offset[0] + i * row.step[0])];
  });
  EXPECT_EQ(std::accumulate(seen.begin(), seen.end(), 0), 7000);
  EXPECT_EQ(*std::max_element(seen.begin(), seen.end()), 1);
}

}  // namespace
}  // namespace aneval::emulator
