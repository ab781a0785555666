// Tiling and reducing heads: whole heads by hand, and the adjoint property that training needs.
#include "ane/gqa.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

namespace aneval::ane {
namespace {

ModelShape six_heads() {
  return {.name = "six",
          .dim = 4,
          .hidden = 4,
          .heads = 6,
          .kv_heads = 2,
          .head_dim = 2,
          .seq = 3,
          .layers = 1,
          .vocab = 2};
}

constexpr std::size_t kHead = 2 * 3;

std::vector<float> whole_numbers(std::size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(static_cast<int>(generator() % 2001) - 1000);
  return values;
}

TEST(Gqa, HeadsOfEachMap) {
  const ModelShape shape = six_heads();
  const std::int64_t grouped[] = {0, 0, 0, 1, 1, 1}, cyclic[] = {0, 1, 0, 1, 0, 1};
  for (std::int64_t j = 0; j < 6; ++j) {
    EXPECT_EQ(kv_head_of(shape, HeadMap::grouped, j), grouped[j]);
    EXPECT_EQ(kv_head_of(shape, HeadMap::cyclic, j), cyclic[j]);
    EXPECT_EQ(kv_head_of(shape, HeadMap::cyclic_fwd, j), grouped[j]);
  }
}

TEST(Gqa, TilesWholeHeads) {
  const ModelShape shape = six_heads();
  std::vector<float> kv(2 * kHead), full(6 * kHead, -1.0F);
  std::iota(kv.begin(), kv.end(), 0.0F);
  for (const HeadMap map : {HeadMap::grouped, HeadMap::cyclic, HeadMap::cyclic_fwd}) {
    tile_kv(shape, map, kv, full);
    for (std::size_t j = 0; j < 6; ++j) {
      const std::size_t head = map == HeadMap::cyclic ? j % 2 : j / 3;
      for (std::size_t i = 0; i < kHead; ++i) ASSERT_EQ(full[j * kHead + i], static_cast<float>(head * kHead + i));
    }
  }
}

TEST(Gqa, ReducesInAscendingOrderOfHeads) {
  const ModelShape shape = six_heads();
  std::vector<float> full(6 * kHead, 0.0F), kv(2 * kHead, 99.0F);
  // 2^24 + 1 + 1 loses both ones from the left; from the right it would be 2^24 + 2.
  full[0] = 0x1p24F, full[kHead] = 1.0F, full[2 * kHead] = 1.0F;
  full[5 * kHead + 4] = 7.0F;
  reduce_kv(shape, HeadMap::grouped, full, kv);
  EXPECT_EQ(kv[0], 0x1p24F);
  EXPECT_EQ(kv[kHead + 4], 7.0F);
  EXPECT_EQ(kv[1], 0.0F);  // overwritten, not added to
  reduce_kv(shape, HeadMap::cyclic, full, kv);
  EXPECT_EQ(kv[0], 0x1p24F);
  EXPECT_EQ(kv[kHead], 1.0F);
}

TEST(Gqa, ReduceIsTheAdjointOfTile) {
  // <tile(a), b> = <a, reduce(b)>, exactly: the values are small whole numbers.
  const ModelShape shape = six_heads();
  const std::vector<float> a = whole_numbers(2 * kHead, 1), b = whole_numbers(6 * kHead, 2);
  for (const HeadMap map : {HeadMap::grouped, HeadMap::cyclic}) {
    std::vector<float> tiled(b.size()), reduced(a.size());
    tile_kv(shape, map, a, tiled);
    reduce_kv(shape, map, b, reduced);
    EXPECT_EQ(std::inner_product(tiled.begin(), tiled.end(), b.begin(), 0.0),
              std::inner_product(a.begin(), a.end(), reduced.begin(), 0.0));
  }
}

TEST(Gqa, ReducesHeadsLongerThanABlock) {
  ModelShape shape = six_heads();
  shape.seq = 4097;  // heads of 8194 elements: two blocks and a remainder
  const auto n = static_cast<std::size_t>(shape.head_dim * shape.seq);
  const std::vector<float> full = whole_numbers(6 * n, 3);
  std::vector<float> kv(2 * n, 99.0F), expected(2 * n, 0.0F);
  for (std::size_t j = 0; j < 6; ++j)
    for (std::size_t i = 0; i < n; ++i) expected[j / 3 * n + i] += full[j * n + i];
  reduce_kv(shape, HeadMap::grouped, full, kv);
  EXPECT_EQ(kv, expected);
}

TEST(Gqa, WrongSizesAreMistakesOfTheCaller) {
  const ModelShape shape = six_heads();
  std::vector<float> kv(2 * kHead), full(6 * kHead - 1);
  EXPECT_THROW(tile_kv(shape, HeadMap::grouped, kv, full), std::logic_error);
  EXPECT_THROW(reduce_kv(shape, HeadMap::grouped, full, kv), std::logic_error);
}

}  // namespace
}  // namespace aneval::ane
