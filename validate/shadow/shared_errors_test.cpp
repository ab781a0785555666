// What elements have in common: two rows per element, any number along a product's depth.
#include <gtest/gtest.h>

#include "validate/shadow/parts.h"
#include "validate/shadow/spread.h"

namespace aneval::validate {
namespace {

TEST(SharedErrors, OfThreeRowsTheSmallestIsAnErrorOfItsOwn) {
  Shadow s;
  add_shared(s, 3, 30);
  add_shared(s, -1, 10);
  add_shared(s, -1, 10);
  EXPECT_EQ(s.variance, 0);
  EXPECT_EQ(s.shared_variance(), 9 + 4);
  add_shared(s, 1, 20);
  EXPECT_EQ(s.variance, 1);
  EXPECT_EQ(s.shared_variance(), 9 + 4);
  add_shared(s, 4, 40);  // in the place of the 2 of row 10
  EXPECT_EQ(s.variance, 1 + 4);
  EXPECT_EQ(s.shared_variance(), 9 + 16);
}

using SharedParts = std::array<SharedError, 2>;

/// The spread of 1·x₁ + 2·x₂ + 3·x₃ + …, x certain but for what the parts say that it shares, line by line; x to the
/// left of the product or to the right.
std::vector<Shadow> products_of_shared(const std::vector<std::vector<SharedParts>>& lines, bool left) {
  const std::size_t depth = lines[0].size();
  std::vector<Shadow> x(lines.size() * depth), y(depth);
  for (std::size_t k = 0; k < depth; ++k) {
    y[k].value = static_cast<double>(k + 1);
    for (std::size_t line = 0; line < lines.size(); ++line) {
      Shadow& shadow = x[left ? line * depth + k : k * lines.size() + line];
      shadow.value = 1;
      shadow.shared = lines[line][k];
    }
  }
  const auto view = [](const std::vector<Shadow>& of, std::size_t rows, std::size_t columns) {
    emulator::Extents shape;
    shape.push(static_cast<std::int64_t>(rows));
    shape.push(static_cast<std::int64_t>(columns));
    return ShadowArithmetic::In{of.data(), shape, emulator::contiguous_strides(shape)};
  };
  const ProductSpread spread = left ? ProductSpread(view(x, lines.size(), depth), view(y, depth, 1), {}, nullptr)
                                    : ProductSpread(view(y, 1, depth), view(x, depth, lines.size()), {}, nullptr);
  std::vector<Shadow> sums(lines.size());
  for (std::size_t line = 0; line < lines.size(); ++line) {
    const auto at = static_cast<std::int64_t>(line);
    spread.add_to(0, left ? at : 0, left ? 0 : at, sums[line]);
  }
  return sums;
}
Shadow product_of_shared(const std::vector<SharedParts>& line) { return products_of_shared({line}, true)[0]; }

constexpr SharedError kNone, kOne{1, 7}, kTwo{2, 8}, kLess{-1, 8}, kThird{1, 9};

// T = 1·1 + 4·1 of row 7 and 1·2 − 2·1 + 4·2 of row 8, whichever of the two an element names first.
TEST(SharedErrors, OfEachOfTwoRowsAddUpInAProduct) {
  const Shadow sum = product_of_shared({{kOne, kTwo}, {kLess, kNone}, {kNone, kNone}, {kTwo, kOne}});
  EXPECT_EQ(sum.variance, 0);
  EXPECT_EQ(sum.shared_variance(), 5 * 5 + 8 * 8);
}

// As heads' channels lie where a projection contracts them: 1 + 2 of row 7, 2·(3 + 4) of row 8, 5 + 6 of row 9, the
// smallest of which is no longer named. Lines may have their rows elsewhere, or have none.
TEST(SharedErrors, OfManyRowsAddUpRowByRow) {
  const SharedParts one{kOne}, two{kTwo}, third{kThird}, none{};
  for (const bool left : {true, false}) {
    const auto sums = products_of_shared({{one, one, two, two, third, third},
                                          {none, none, none, none, none, none},
                                          {third, third, none, none, one, one}},
                                         left);
    EXPECT_EQ(sums[0].variance, 3 * 3);
    EXPECT_EQ(sums[0].shared_variance(), 14 * 14 + 11 * 11);
    EXPECT_EQ(sums[1].sigma(), 0);
    EXPECT_EQ(sums[2].variance, 0);
    EXPECT_EQ(sums[2].shared_variance(), 3 * 3 + 11 * 11);
  }
}

// As those of the queries of a transposed product are, whether there are many or two.
TEST(SharedErrors, OfRowsThatAreNamedOnceAreIndependentInAProduct) {
  EXPECT_EQ(product_of_shared({{kOne, kNone}, {kTwo, kNone}, {kThird, kNone}, {kNone, kNone}}).variance,
            1 + 4 * 4 + 9 * 1);
  EXPECT_EQ(product_of_shared({{kOne, kTwo}, {kThird, kNone}}).variance, 1 + 4 + 4 * 1);
  const Shadow sum = product_of_shared({{kOne, kNone}, {kTwo, kNone}});
  EXPECT_EQ(sum.variance, 1 + 4 * 4);
  EXPECT_EQ(sum.shared_variance(), 0);
  std::vector<SharedParts> queries;
  for (std::uint32_t row = 0; row < 200; ++row) queries.push_back({SharedError{1, row + 1}});
  EXPECT_EQ(product_of_shared(queries).variance, 200 * 201 * 401 / 6);  // Σk²
}

}  // namespace
}  // namespace aneval::validate
