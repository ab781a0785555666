#include "common/hash.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string_view>

namespace aneval {
namespace {

std::string digest_of(std::initializer_list<std::string_view> parts) {
  Hasher hasher;
  for (const std::string_view part : parts) hasher.add(part.data(), part.size());
  return hasher.digest();
}

// Digests stand in result files and are compared between versions and platforms.
TEST(Hash, DigestsStayWhatTheyAre) {
  EXPECT_EQ(digest_of({}), "2d06800538d394c2");  // XXH3 of nothing, from the specification's test vectors
  EXPECT_EQ(digest_of({"program", "weights"}), "79cbf16785589e11");
}

TEST(Hash, PartsAreKeptApart) {
  EXPECT_NE(digest_of({"ab", "c"}), digest_of({"a", "bc"}));
  EXPECT_NE(digest_of({"a"}), digest_of({"a", ""}));
  EXPECT_NE(digest_of({"a", "b"}), digest_of({"b", "a"}));
}

TEST(Hash, ADigestDoesNotEndTheHash) {
  Hasher hasher;
  hasher.add("a", 1);
  const std::string first = hasher.digest();
  EXPECT_EQ(hasher.digest(), first);
  hasher.add("b", 1);
  EXPECT_EQ(hasher.digest(), digest_of({"a", "b"}));
}

}  // namespace
}  // namespace aneval
