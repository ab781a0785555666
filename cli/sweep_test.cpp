// aneval sweep and tune with the real binary: a small sweep, killed and resumed; shards; what is refused.
#include <sys/wait.h>
#include <csignal>

#include <chrono>
#include <thread>

#include "cli/cli_fixture.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kTuningColumns = "chip,family,os,backend,profile,kernel,context,knobs,verdict";

class SweepCommand : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    write_file(
        path("model.json"),
        R"({"name":"m","dim":32,"hidden":64,"heads":4,"kv_heads":2,"head_dim":32,"seq":32,"layers":2,"vocab":64})");
    write_file(path("sweep.json"),
               R"({"name": "s", "parameters": {"kernel": ["sdpaBwd2", "woFwd", "layer"], "model": "model.json",
      "profile": ["h13", "h16"], "row_sum": "all", "packing": "all"},
      "measure": {"repetitions": 1, "iterations": 2}, "confirm": {"blocks": 0}})");
  }
  std::vector<std::string> sweep(const std::string& out, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"sweep", path("sweep.json"), "--backend", "emulator", "--out", path(out)};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// What does not depend on times: points with status and program, in their order.
  std::vector<std::string> facts(const std::string& out) const {
    std::vector<std::string> all;
    visit_csv(path(out + "/log.csv"), [&](const Record& row) {
      if (row.metric == "point") all.push_back(row.text + " " + std::string(status_name(row.status)));
      if (row.metric == "program_hash" || row.metric == "nmse")
        all.push_back(row.item + " " + row.text + " " + std::to_string(row.value.value_or(0)));
    });
    return all;
  }
  std::size_t journal_lines(const std::string& out) const {
    if (!fs::exists(path(out + "/journal.jsonl"))) return 0;
    const std::string text = read_text_file(path(out + "/journal.jsonl"));
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
  /// Starts it, waits until the journal has that many lines, and kills it.
  void kill_at(const std::vector<std::string>& arguments, const std::string& out, std::size_t lines) const {
    std::vector<std::string> all = arguments;
    all.insert(all.begin(), ANEVAL_BINARY);
    const pid_t child = ::fork();
    if (child == 0) {
      (void)std::freopen("/dev/null", "w", stdout);
      std::vector<char*> argv;
      for (std::string& each : all) argv.push_back(each.data());
      argv.push_back(nullptr);
      ::execv(ANEVAL_BINARY, argv.data());
      ::_exit(127);
    }
    int status = 0;
    while (journal_lines(out) < lines && ::waitpid(child, &status, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
  }
};

TEST_F(SweepCommand, KilledAnywhereItEndsAsTheUndisturbedOne) {
  const ProcessResult whole = run(sweep("whole"));
  ASSERT_EQ(whole.code, 0) << whole.err << whole.out;
  EXPECT_THAT(whole.out, HasSubstr("FINISHED: 16 points: 16 ok of 16 that can run"));
  EXPECT_EQ(journal_lines("whole"), 17u);
  for (const std::size_t lines : {1u, 4u, 9u}) kill_at(sweep("killed", {"--resume"}), "killed", lines);
  const ProcessResult resumed = run(sweep("killed", {"--resume"}));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(facts("killed"), facts("whole"));
  EXPECT_EQ(journal_lines("killed"), 17u);
  EXPECT_THAT(read_text_file(path("killed/best.csv")), HasSubstr(kTuningColumns));
  EXPECT_THAT(read_text_file(path("killed/summary.md")),
              AllOf(HasSubstr("they say nothing about an engine"), HasSubstr("## Regret")));
  // Again: everything is known.
  const ProcessResult again = run(sweep("killed", {"--resume"}));
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.out, Not(HasSubstr(" ok  ")));
  expect_bad_input(sweep("killed"), "there is a sweep already");
  expect_bad_input(sweep("killed", {"--resume", "--shard", "1/2"}), "is of another sweep: shard");
}

TEST_F(SweepCommand, ShardsMerge) {
  ASSERT_EQ(run(sweep("whole")).code, 0);
  ASSERT_EQ(run(sweep("one", {"--shard", "1/2"})).code, 0);
  ASSERT_EQ(run(sweep("two", {"--shard", "2/2"})).code, 0);
  const ProcessResult merged = run({"sweep", "merge", path("one"), path("two"), "--out", path("merged")});
  EXPECT_EQ(merged.code, 0) << merged.err;
  EXPECT_THAT(merged.out, HasSubstr("MERGED: 16 points from 2 journals, 0 of them more than once, 0 conflicts"));
  EXPECT_EQ(facts("merged"), facts("whole"));
  expect_bad_input({"sweep", "merge", path("one"), path("one"), "--out", path("x")}, "is given twice");
  expect_bad_input({"sweep", "merge", path("nowhere"), "--out", path("x")}, "nowhere");
}

TEST_F(SweepCommand, PredictionsAndReplaysAreWhatTheySay) {
  const ProcessResult predicted = run(sweep("predicted", {"--cost-model", "h16"}));
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  EXPECT_THAT(read_text_file(path("predicted/summary.md")), HasSubstr("PREDICTED by a cost model of h16"));
  EXPECT_THAT(read_text_file(path("predicted/best.csv")), HasSubstr(",predicted,"));
  ASSERT_EQ(run(sweep("whole")).code, 0);
  const ProcessResult replayed = run(sweep("replayed", {"--replay", path("whole")}));
  ASSERT_EQ(replayed.code, 0) << replayed.err;
  EXPECT_EQ(facts("replayed"), facts("whole"));
  expect_bad_input(sweep("x", {"--cost-model", "h12"}), "h12");
  expect_bad_input(sweep("x", {"--cost-model", "h16", "--replay", path("whole")}), "exclude each other");
}

TEST_F(SweepCommand, APointThatHangsOrDiesIsARow) {
  write_file(path("sweep.json"),
             R"({"parameters": {"kernel": "layer", "model": "Qwen3-0.6B"}, "measure": {"time_limit": 0.1}})");
  const ProcessResult result = run(sweep("out"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("run_timeout"), HasSubstr("1 points: 1 run_timeout")));
}

TEST_F(SweepCommand, MistakesAreNamedBeforeAnythingRuns) {
  expect_bad_input({"sweep", path("sweep.json")}, "--out");
  expect_bad_input({"sweep", path("none.json"), "--out", path("out")}, "none.json");
  expect_bad_input(sweep("out", {"--shard", "3/2"}), "--shard 3/2");
  expect_bad_input(sweep("out", {"--shard", "x"}), "is not i/n");
  write_file(path("sweep.json"), R"({"parameters": {"kernel": "woFwd", "model": "model.json", "packng": "all"}})");
  expect_bad_input(sweep("out"), "packing");
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(SweepCommand, TuneShowsAnswersAndExports) {
  ASSERT_EQ(run(sweep("whole")).code, 0);
  const std::string table = path("whole/best.csv");
  EXPECT_THAT(run({"tune", "show", table}).out, AllOf(HasSubstr("sdpaBwd2 m S 32"), HasSubstr("6 of 6 entries")));
  EXPECT_THAT(run({"tune", "show", table, "--os", "another"}).out, HasSubstr("STALE: measured on"));
  EXPECT_THAT(run({"tune", "show", table, "--kernel", "woFwd", "--model", path("model.json"), "--chip", "M4"}).out,
              HasSubstr("default: no table knows woFwd"));
  const ProcessResult json = run({"tune", "export", table, "--profile", "h16"});
  EXPECT_EQ(json.code, 0) << json.err;
  EXPECT_THAT(json.out, HasSubstr("\"entries\""));
  const std::string header = path("tuning.h");
  ASSERT_EQ(run({"tune", "export", table, "--profile", "h16", "--format", "header", "--out", header}).code, 0);
  write_file(path("trainer.cpp"), R"(#include "tuning.h"
static_assert(aneval_tuning::look_up("x", "", "woFwd", 1, 1, 1, 1, 1, 1) == nullptr);
int main() { return aneval_tuning::look_up(aneval_tuning::kEntries[0].chip, "", "woFwd", 32, 64, 4, 2, 32, 33)->seq == 32 ? 0 : 1; }
)");
  EXPECT_TRUE(
      run_process({"c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", path("trainer.cpp"), "-o", path("trainer")},
                  std::chrono::minutes(1))
          .ok());
  EXPECT_TRUE(run_process({path("trainer")}, std::chrono::seconds(10)).ok());
  expect_bad_input({"tune", "export", table, "--kernel", "qBwd"}, "no entry fits");
  expect_bad_input({"tune", "show", path("sweep.json")}, "sweep.json");
  EXPECT_THAT(run({"tune", "show", "--cost-models"}).out,
              AllOf(HasSubstr("dispatch"), HasSubstr("published 0.460 ms")));
}

}  // namespace
}  // namespace aneval
