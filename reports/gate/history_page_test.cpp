#include "reports/gate/history_page.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "reports/gate/history_append.h"
#include "reports/gate/history_test_support.h"

namespace aneval::gate {
namespace {

using testing::HasSubstr;

TEST(HistoryPage, ShowsPointsLevelsAndTheCommitsOfAChange) {
  const TemporaryFolder folder;
  Random random{1};
  for (int number = 0; number < 60; ++number) {
    const RunContext run = run_context(number);
    const double level = number < 30 ? 1e6 : 1.2e6;
    write_file(folder / "r.results",
               file_of({row(run, "woFwd", "eval", "time", level * std::exp(0.01 * random.normal()))}));
    append_runs(folder / "h", {folder / "r.results"});
  }
  const History history = read_history(folder / "h");
  const reports::Page page = history_page(history, judge_history(history, {}, {}));
  EXPECT_EQ(page.id, "history");
  EXPECT_THAT(page.intro, HasSubstr("60 runs"));
  ASSERT_EQ(page.charts.size(), 1U);
  const auto values = nlohmann::json::parse(page.charts[0].specification).at("data").at("values");
  std::map<std::string, int> kinds;
  for (const auto& value : values) ++kinds[value.at("kind")];
  EXPECT_EQ(kinds["measured"], 60);
  EXPECT_EQ(kinds["change"], 1);
  EXPECT_EQ(kinds["level"], 3);
  EXPECT_THAT(page.charts[0].data.origin, HasSubstr("Apple M4"));
  ASSERT_EQ(page.tables.size(), 2U);
  ASSERT_EQ(page.tables[0].rows.size(), 1U);
  const auto& change = page.tables[0].rows[0];
  EXPECT_EQ(change[2], fmt::format("{:07x}", 0xabc0000 + 29));
  EXPECT_EQ(change[3], fmt::format("{:07x}", 0xabc0000 + 30));
  EXPECT_THAT(change[7], testing::MatchesRegex("\\+(19|20|21)\\.[0-9] %"));
}

TEST(HistoryPage, WithoutMetricsItSaysSo) {
  const reports::Page page = history_page({}, {});
  EXPECT_TRUE(page.charts.empty());
  EXPECT_TRUE(page.tables.empty());
  EXPECT_THAT(page.missing, HasSubstr("no metric"));
}

}  // namespace
}  // namespace aneval::gate
