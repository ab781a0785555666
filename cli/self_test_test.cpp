// The commands around the defect catalogue.
#include "cli/cli_fixture.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::HasSubstr;

class SelfTestCli : public Cli {};

TEST_F(SelfTestCli, ListDefectsHasALineForEach) {
  const ProcessResult result = run({"list", "defects"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_GE(std::count(result.out.begin(), result.out.end(), '\n'), 20);
  for (const char* word :
       {"cyclic_head_map", "rmsnorm_weight_misplaced", "program", "staging", "output", "arithmetic", "host"})
    EXPECT_THAT(result.out, HasSubstr(word));
}

TEST_F(SelfTestCli, SomeOfItsCasesGiveATableRowsAndALastLine) {
  const std::string file = path("self.csv");
  const ProcessResult result =
      run({"validate", "--self-test", "--filter", "model=ratio2;kernel=woFwd;amp=1", "--out", file});
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("weight_transposed"));
  EXPECT_THAT(result.out, HasSubstr("SELF-TEST PASSED: "));
  bool defect = false, finished = false;
  for (const Record& row : rows_of(file)) {
    defect = defect || (row.phase == "self_test" && row.item == "lane_zero" && row.metric == "defect_gate");
    finished = finished || row.metric == "cases_done";
    EXPECT_EQ(row.status, Status::ok) << row.reason;
  }
  EXPECT_TRUE(defect);
  EXPECT_TRUE(finished);
}

TEST_F(SelfTestCli, RefusesWhatItDoesNotTest) {
  expect_bad_input({"validate", "--self-test", "--kernel", "woFwd"}, "--self-test");
  expect_bad_input({"validate", "--self-test", "--backend", "reference"}, "--backend");
  expect_bad_input({"validate", "--self-test", "--filter", "model=nothing"}, "--filter");
}

}  // namespace
}  // namespace aneval
