#include "reports/gate/multiplicity.h"

#include <gmock/gmock.h>

namespace aneval::gate {
namespace {

using testing::Each;
using testing::ElementsAre;

// Benjamini and Hochberg (1995), section 3.2: fifteen p-values of a study of thrombolysis. Bonferroni and Hochberg's
// procedure reject three and three of them, theirs four, at 0.05.
const std::vector<double> kThrombolysis = {0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
                                           0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000};

std::size_t count(const std::vector<bool>& flags) {
  return static_cast<std::size_t>(std::count(flags.begin(), flags.end(), true));
}

TEST(BenjaminiHochberg, RejectsFourOfThePublishedExample) {
  EXPECT_EQ(count(benjamini_hochberg(kThrombolysis, 0.05)), 4u);
}

TEST(Holm, RejectsThreeOfThePublishedExample) { EXPECT_EQ(count(holm(kThrombolysis, 0.05)), 3u); }

TEST(BenjaminiHochberg, ALaterValueCarriesTheEarlierOnes) {
  // 0.03 alone exceeds 0.05/3, but 0.04 <= 3/3 · 0.05 rejects all three.
  EXPECT_THAT(benjamini_hochberg({0.04, 0.03, 0.035}, 0.05), ElementsAre(true, true, true));
}

TEST(Holm, StopsAtTheFirstThatFails) {
  EXPECT_THAT(holm({0.04, 0.01, 0.03}, 0.05), ElementsAre(false, true, false)) << "0.01·3, 0.03·2 > 0.05";
  EXPECT_THAT(holm({0.02, 0.01, 0.04}, 0.05), ElementsAre(true, true, true));
}

TEST(Multiplicity, TheBoundaryCountsAndOrderDoesNotMatter) {
  EXPECT_THAT(holm({0.05}, 0.05), ElementsAre(true));
  EXPECT_THAT(benjamini_hochberg({0.06, 0.025}, 0.05), ElementsAre(false, true));
  EXPECT_THAT(benjamini_hochberg({0.025, 0.06}, 0.05), ElementsAre(true, false));
}

TEST(Multiplicity, NothingTestedAndNothingKnown) {
  EXPECT_TRUE(holm({}, 0.05).empty());
  EXPECT_TRUE(benjamini_hochberg({}, 0.05).empty());
  EXPECT_THAT(holm({std::nan(""), 1.0}, 0.05), Each(false));
  EXPECT_THAT(benjamini_hochberg({std::nan(""), 1.0}, 0.05), Each(false));
}

}  // namespace
}  // namespace aneval::gate
