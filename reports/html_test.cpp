#include "reports/html.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "common/vocabulary.h"
#include "reports/assets.h"
#include "reports/pages.h"

namespace aneval::reports {
namespace {

using testing::HasSubstr;
using testing::Not;

Record row(const std::string& phase, const std::string& metric, double value) {
  Record one;
  one.run = {.run_id = "r", .commit = "abc", .chip = "CPU 9", .backend = "emulator", .profile = "h16"};
  one.model = "tiny";
  one.seq = 12;
  one.kernel = "woFwd";
  one.variant = "default";
  one.phase = phase;
  one.case_text = "kernel=woFwd;model=tiny;seq=12;data=random;amp=1;seed=1";
  one.metric = metric;
  one.unit = find_metric(metric)->unit;
  one.value = value;
  return one;
}

ResultSet small_run() {
  ResultSet set;
  set.add(row("validate", "time", 5e6));
  Record block = row("validate", "bound_ratio", 0.5);
  block.item = "o";
  set.add(block);
  for (const double ns : {2e6, 3e6, 4e6}) set.add(row("eval", "time", ns));
  return set;
}

std::string html_of(const ResultSet& set) { return to_html(make_report(set)); }

TEST(Html, HasThePolicyAndAsksForNothing) {
  const std::string html = html_of(small_run());
  EXPECT_THAT(html, HasSubstr("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                              "'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">"));
  // Nothing but what is between the tags: no file, no address that is fetched.
  for (const char* asked : {" src=", "<link", "@import", "<iframe", "url("}) {
    std::string own = html;
    if (const auto charts = own.find(assets::kCharts); !assets::kCharts.empty() && charts != std::string::npos)
      own.erase(charts, assets::kCharts.size());
    EXPECT_THAT(own, Not(HasSubstr(asked)));
  }
}

TEST(Html, ChartsHaveTheirNumbersInATable) {
  const std::string html = html_of(small_run());
  EXPECT_THAT(html, HasSubstr("Numbers of this chart: Time of a run by phase, tiny seq 12"));
  EXPECT_THAT(html, HasSubstr("<td>eval</td><td data-v=\"3\">3.00</td><td>emulator profile h16</td>"));
  EXPECT_THAT(html, HasSubstr("\"ms\":3.0"));
}

TEST(Html, EverySpecificationIsJsonWithData) {
  const Report report = make_report(small_run());
  std::size_t charts = 0;
  for (const Page& page : report.pages)
    for (const Chart& chart : page.charts) {
      ++charts;
      const auto json = nlohmann::json::parse(chart.specification);
      EXPECT_EQ(json.at("data").at("values").size(), chart.data.rows.size()) << chart.title;
      EXPECT_EQ(json.at("description"), chart.description);
      EXPECT_FALSE(chart.data.origin.empty()) << chart.title;
    }
  EXPECT_GE(charts, 4U);
}

TEST(Html, NumbersOfAnEmulatorAreMarked) {
  const std::string html = html_of(small_run());
  EXPECT_THAT(html, HasSubstr("<span class=\"badge emulated\">not an engine: emulator profile h16</span>"));
  ResultSet hardware;
  Record real = row("eval", "time", 1e6);
  real.run.backend = "apple";
  hardware.add(real);
  EXPECT_THAT(html_of(hardware), Not(HasSubstr("class=\"badge emulated\"")));
}

TEST(Html, WhatIsOnlyPartlyOfAnEngineIsMarkedSo) {
  ResultSet set = small_run();
  Record real = row("eval", "time", 1e6);
  real.run.backend = "apple";
  set.add(real);
  EXPECT_THAT(html_of(set),
              HasSubstr("<span class=\"badge emulated\">not all of an engine: apple profile h16; emulator "
                        "profile h16</span>"));
  ResultSet stand_in;
  real.run.backend = "apple-standin";
  stand_in.add(real);
  EXPECT_THAT(html_of(stand_in), HasSubstr("not an engine: apple-standin profile h16</span>"));
}

TEST(Html, EveryTableOfASettingNamesIt) {
  for (const Page& page : make_report(small_run()).pages)
    for (const Table& table : page.tables) {
      const bool column =
          std::find(table.columns.begin(), table.columns.end(), "backend, profile") != table.columns.end();
      const bool none = page.id == "environment" || page.id == "published" || table.title == "What ran";
      EXPECT_TRUE(column || none || table.origin == "emulator profile h16") << page.id << ": " << table.title;
    }
}

TEST(Html, HostileTextIsText) {
  const std::string hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";
  ResultSet set;
  Record bad = row("eval", "time", 1e6);
  bad.kernel = bad.model = bad.run.chip = bad.run.commit = bad.run.profile = hostile;
  bad.case_text = "kernel=" + hostile;
  set.add(bad);
  bad.metric = "bound_ratio";
  bad.phase = "validate";
  bad.item = hostile;
  bad.status = Status::wrong_result;
  bad.reason = hostile;
  set.add(bad);
  const std::string html = html_of(set);
  EXPECT_THAT(html, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(html, Not(HasSubstr("<img src=x")));
  EXPECT_THAT(html, HasSubstr("&lt;/script&gt;"));
  EXPECT_THAT(html, HasSubstr("\\u003c/script"));
}

TEST(Html, EqualResultsAreEqualBytes) { EXPECT_EQ(html_of(small_run()), html_of(small_run())); }

TEST(Html, WhatIsMissingSaysWhy) {
  const std::string html = html_of(ResultSet());
  EXPECT_THAT(html, HasSubstr("aneval: INCOMPLETE"));
  EXPECT_THAT(html, HasSubstr("nothing was measured"));
  EXPECT_THAT(html, HasSubstr("`aneval validate --self-test"));
  ResultSet unjudged;
  unjudged.add(row("eval", "time", 1e6));
  EXPECT_THAT(html_of(unjudged), HasSubstr("0: nothing was validated"));
}

TEST(Html, CasesHaveTheCommandThatRunsThemAgain) {
  EXPECT_THAT(html_of(small_run()), HasSubstr("<code>aneval validate --backend emulator --profile h16 --case "
                                              "'kernel=woFwd;model=tiny;seq=12;data=random;amp=1;seed=1'</code>"));
}

TEST(Html, CellsSortByTheirNumbers) {
  EXPECT_EQ(sort_key("3.06 ms"), "3060000");
  EXPECT_EQ(sort_key("812 ns"), "812");
  EXPECT_EQ(sort_key("×25"), "25");
  EXPECT_EQ(sort_key("≥ 0.7"), "0.7");
  EXPECT_EQ(sort_key("1.2e-05"), "1.2e-05");
  EXPECT_EQ(sort_key("9.2 bits, 12 %"), "9.2");
  EXPECT_EQ(sort_key("–"), "");
  EXPECT_EQ(sort_key("woFwd"), "");
  EXPECT_EQ(sort_key("4cc45ee"), "");
}

TEST(Published, EveryReadingHasASourceAndIsInOrder) {
  const Page page = published_page(ResultSet());
  EXPECT_EQ(page.tables.size(), 5U);
  std::size_t rows = 0;
  for (const Table& table : page.tables)
    for (const auto& cells : table.rows) {
      ++rows;
      ASSERT_EQ(cells.size(), 7U);
      EXPECT_FALSE(cells[5].empty()) << table.title << ": " << cells[2];
    }
  EXPECT_GT(rows, 70U);
}

}  // namespace
}  // namespace aneval::reports
