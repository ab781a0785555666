#include "reports/gate/samples.h"

#include <gmock/gmock.h>

#include "common/result_file.h"
#include "reports/gate/test_rows.h"

namespace aneval::gate {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(ReadSide, KeepsProcessesApart) {
  const Side side = side_of({value_row("woFwd", "eval", "time", 1, 0, 0), value_row("woFwd", "eval", "time", 3, 0, 1),
                             value_row("woFwd", "eval", "time", 9, 1, 0)});
  ASSERT_EQ(side.samples.size(), 1U);
  EXPECT_THAT(side.samples.begin()->second.medians(), ElementsAre(2, 9));
  EXPECT_EQ(side.samples.begin()->second.count(), 3U);
  EXPECT_EQ(side.processes.size(), 2U);
  EXPECT_EQ(side.name, "r.csv");
  EXPECT_EQ(side.settings.size(), 1U);
}

TEST(ReadSide, ARowThatIsThereTwiceIsAnError) {
  const TemporaryFolder folder;
  const auto file = folder / "r.csv";
  const auto error = [&](const std::vector<Record>& rows) {
    write_file(file, csv_text(rows));
    return std::string(error_of([&] { read_side({file}); }).what());
  };
  const Record row = value_row("woFwd", "eval", "time", 1, 3, 7);
  EXPECT_THAT(error({value_row("woFwd", "eval", "time", 1, 3, 6), row, row}),
              AllOf(HasSubstr("r.csv:4:"), HasSubstr("'tiny seq 12 woFwd eval time'"), HasSubstr("process 3"),
                    HasSubstr("rep 7"), HasSubstr("appears twice")));
  EXPECT_THAT(error({text_row("woFwd", "program_hash", "a"), text_row("woFwd", "program_hash", "a")}),
              HasSubstr("appears twice"));
  write_file(file, csv_text({row}));
  EXPECT_THAT(error_of([&] { read_side({file, file}); }).what(), HasSubstr("r.csv:2:"));
  // The same repetition of another step, process or run is another one.
  Record step = row, proc = row, run = row;
  step.step = 1;
  proc.run.proc = 4;
  run.run.run_id = "other";
  EXPECT_EQ(side_of({row, step, proc, run}).samples.begin()->second.count(), 4U);
}

TEST(ReadSide, WorstStatusAndItsReason) {
  Record bad = status_row("woFwd", Status::wrong_result);
  bad.rep = 1;
  Record degraded = status_row("woFwd", Status::degraded);
  degraded.reason = "little is left";
  const Side side = side_of({degraded, bad});
  EXPECT_EQ(side.samples.begin()->second.status, Status::wrong_result);
  EXPECT_EQ(side.samples.begin()->second.reason, "because");
}

TEST(ReadSide, TheReferenceBesideADeviceIsNoSetting) {
  Record reference = value_row("", "train_step", "loss", 1);
  reference.run.backend = "reference";
  reference.run.profile.clear();
  Side side = side_of({value_row("", "train_step", "time", 1), reference});
  EXPECT_EQ(side.settings.size(), 1U);
  EXPECT_EQ(side.samples.begin()->first.metric, "time");
  side = side_of({reference});
  EXPECT_EQ(side.settings.size(), 1U);
}

TEST(ReadSide, RunsThatNeverEndedAreKnown) {
  const TemporaryFolder folder;
  ResultFile::Options options{
      .file = folder / "r.csv", .run = result_row("", "", "").run, .command = "bench", .planned = 2};
  {
    ResultFile killed(options);
    killed.append({value_row("woFwd", "eval", "time", 1)});
  }
  Side side = read_side({folder.path()});
  EXPECT_THAT(side.unfinished, ElementsAre("bench"));
  EXPECT_EQ(side.samples.size(), 1U);
  ResultFile whole(options);
  whole.append({value_row("woFwd", "eval", "time", 1)}, 2);
  whole.close();
  side = read_side({folder / "r.csv"});
  EXPECT_THAT(side.unfinished, IsEmpty());
}

}  // namespace
}  // namespace aneval::gate
