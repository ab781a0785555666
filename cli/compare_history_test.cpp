// `aneval compare --history` as people call it.
#include "cli/cli_fixture.h"
#include "reports/gate/history_test_support.h"

namespace aneval {
namespace {

using gate::file_of;
using gate::row;
using gate::run_context;
using testing::HasSubstr;

class HistoryCommandLine : public Cli {
 protected:
  /// One file with runs [begin, end).
  std::string results(int begin, int end, double last = 1e6) {
    Random random(static_cast<std::uint64_t>(begin));
    std::vector<Record> rows;
    for (int number = begin; number < end; ++number)
      rows.push_back(row(run_context(number), "woFwd", "eval", "time",
                         (number + 4 >= end ? last : 1e6) * std::exp(0.01 * random.normal())));
    write_file(path("r.csv"), file_of(rows));
    return path("r.csv");
  }
};

TEST_F(HistoryCommandLine, AppendsJudgesAndFailsNothing) {
  ProcessResult result = run({"compare", "--history", path("h"), "--append", results(0, 40), "--out", path("out")});
  EXPECT_EQ(result.code, 0) << result.err;
  result = run({"compare", "--history", path("h"), "--append", results(40, 44, 1.2e6), "--out", path("out")});
  EXPECT_EQ(result.code, 0) << result.err;
  const std::string csv = read_text_file(path("out/gate.csv"));
  EXPECT_THAT(csv, HasSubstr("REGRESSED"));
  result = run({"compare", "--history", path("h"), "--append", path("r.csv"), "--markdown", "-", "--strict"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("skipped, it is in m1-apple-m4.csv already"));
  // What the history is written in every tool reads.
  EXPECT_EQ(run({"report", path("h/m1-apple-m4.csv"), "--out", path("report")}).code, 0);
}

TEST_F(HistoryCommandLine, BadInputIsOneError) {
  expect_bad_input({"compare", "--history", path("none")}, "is no folder");
  fs::create_directories(path("empty"));
  expect_bad_input({"compare", "--history", path("empty")}, "has no runs");
  expect_bad_input({"compare", "--history", path("empty"), "--append", path("none.csv")}, "does not exist");
  expect_bad_input({"compare", "--append", results(0, 1)}, "nothing to compare");
  expect_bad_input({"compare", "--history", path("empty"), "--fresh", "1"}, "--fresh");
  expect_bad_input({"compare", results(0, 1), path("r.csv"), "--history", path("empty")}, "two comparisons");
  write_file(path("empty/acknowledged.csv"), std::string_view("name,from_commit,reason\nx\n"));
  expect_bad_input({"compare", "--history", path("empty"), "--append", results(0, 1)}, "acknowledged.csv:2");
  EXPECT_FALSE(fs::exists(path("empty/m1-apple-m4.csv")));
}

}  // namespace
}  // namespace aneval
