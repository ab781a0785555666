// Pages by what they make of rows that only some runs have: trainings, layers, several machines, many failures.
#include "reports/pages.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/vocabulary.h"

namespace aneval::reports {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

using Cells = std::vector<std::string>;

Record row(const std::string& metric, std::optional<double> value) {
  Record r;
  r.run = {.run_id = "r", .commit = "abc", .chip = "CPU 9", .backend = "emulator", .profile = "h16"};
  r.model = "tiny";
  r.seq = 12;
  r.metric = metric;
  r.unit = find_metric(metric)->unit;
  r.value = value;
  r.phase = "train_step";
  return r;
}

/// Two steps of a run; gradients are looked at in both when there are cosines.
void add_training(ResultSet& set, const std::string& run, double loss, const std::vector<double>& cosines) {
  for (std::int64_t step = 0; step < 2; ++step) {
    Record r = row("loss", loss - 0.5 * static_cast<double>(step));
    r.case_text = "run=" + run + ";model=tiny";
    r.step = step;
    set.add(r);
    for (std::size_t layer = 0; layer < cosines.size(); ++layer) {
      Record cosine = row("grad_cosine", cosines[layer] - 0.001 * static_cast<double>(step));
      cosine.case_text = r.case_text;
      cosine.step = step;
      cosine.item = "wq";
      cosine.layer = static_cast<std::int64_t>(layer);
      set.add(cosine);
    }
  }
}

TEST(TrainingPage, HasLossesOfAllRunsAndTheWorstLayerOfEachWeight) {
  ResultSet set;
  add_training(set, "reference", 4, {});
  add_training(set, "device", 4.25, {0.999, 0.98});
  Record verdict = row("verdict", std::nullopt);
  verdict.case_text = "run=device;model=tiny";
  verdict.text = "trains as the controls do";
  set.add(verdict);
  const Page page = training_page(set);
  ASSERT_THAT(page.charts, SizeIs(2));
  EXPECT_THAT(page.charts[0].data.rows, ElementsAre(Cells{"reference", "0", "4.00"}, Cells{"reference", "1", "3.50"},
                                                    Cells{"device", "0", "4.25"}, Cells{"device", "1", "3.75"}));
  ASSERT_THAT(page.charts[1].data.rows, SizeIs(2));
  EXPECT_THAT(page.charts[1].data.rows[0], ElementsAre("wq", "0", HasSubstr("0.02")));
  EXPECT_THAT(page.charts[1].data.rows[1], ElementsAre("wq", "1", HasSubstr("0.021")));
  ASSERT_THAT(page.tables, SizeIs(1));
  EXPECT_THAT(page.tables[0].rows,
              ElementsAre(Cells{"reference", "2", "4.0000", "3.5000", "–", "–", "–"},
                          Cells{"device", "2", "4.2500", "3.7500", "0.979000", "–", "trains as the controls do"}));
}

TEST(PhasesPage, AddsUpALayersStepsByPassAndPhase) {
  ResultSet set;
  for (const auto& [item, phase, ns] :
       std::vector<std::tuple<std::string, std::string, double>>{{"layer_forward.sdpaFwd", "eval", 2e6},
                                                                 {"layer_forward.woFwd", "eval", 1e6},
                                                                 {"layer_forward.rmsnorm1", "cpu", 5e5},
                                                                 {"layer_backward.qBwd", "eval", 4e6},
                                                                 {"other.qBwd", "eval", 9e6}}) {
    Record r = row("time", ns);
    r.kernel = "layer";
    r.variant = "default";
    r.item = item;
    r.phase = phase;
    set.add(r);
  }
  const Page page = phases_page(set);
  const auto chart = std::find_if(page.charts.begin(), page.charts.end(),
                                  [](const Chart& c) { return c.title == "A layer by phase, tiny seq 12"; });
  ASSERT_NE(chart, page.charts.end());
  EXPECT_THAT(chart->data.rows, ElementsAre(ElementsAre("layer_backward", "eval", "4.00", testing::_, testing::_),
                                            ElementsAre("layer_forward", "cpu", "0.500", testing::_, testing::_),
                                            ElementsAre("layer_forward", "eval", "3.00", testing::_, testing::_)));
}

TEST(EnvironmentPage, HasAColumnPerRunAndSaysWhatDiffers) {
  ResultSet set;
  EXPECT_THAT(environment_page(set).tables, SizeIs(0));
  set.environments = {R"({"schema": 1, "chip": "CPU 9", "os": "Linux"})"};
  Page page = environment_page(set);
  ASSERT_THAT(page.tables, SizeIs(1));
  EXPECT_THAT(page.tables[0].columns, ElementsAre("property", "value"));
  EXPECT_THAT(page.tables[0].rows, ElementsAre(Cells{"chip", "CPU 9"}, Cells{"os", "Linux"}));
  set.environments.emplace_back(R"({"schema": 1, "chip": "CPU 9", "os": "macOS", "build": "release"})");
  page = environment_page(set);
  EXPECT_THAT(page.tables[0].columns, ElementsAre("property", "run 1", "run 2", "same"));
  EXPECT_THAT(page.tables[0].rows,
              ElementsAre(Cells{"chip", "CPU 9", "CPU 9", "yes"}, Cells{"os", "Linux", "macOS", "differs"},
                          Cells{"build", "–", "release", "differs"}));
}

TEST(VerdictPage, CountsTheFailuresThatItHasNoRoomFor) {
  ResultSet set;
  for (int i = 0; i < 60; ++i) {
    Record r = row("max_abs", 1);
    r.kernel = "woFwd";
    r.item = "o";
    r.phase = "validate";
    r.case_text = "kernel=woFwd;model=tiny;seed=" + std::to_string(i);
    r.status = Status::failed;
    r.reason = "bound exceeded";
    set.add(r);
  }
  set.problems = {{"bad.csv", "line 3: a field is missing"}};
  const Page page = verdict_page(set);
  ASSERT_GE(page.tables.size(), 2U);
  EXPECT_EQ(page.tables[0].title, "Failures");
  EXPECT_THAT(page.tables[0].rows, SizeIs(50));
  EXPECT_THAT(page.tables[0].note, HasSubstr("and 10 more"));
  const auto ran = std::find_if(page.tables.begin(), page.tables.end(),
                                [](const Table& table) { return table.title == "What ran"; });
  ASSERT_NE(ran, page.tables.end());
  EXPECT_THAT(ran->rows, ElementsAre(Cells{"bad.csv", "–", "–", "not read: line 3: a field is missing"}));
}

}  // namespace
}  // namespace aneval::reports
