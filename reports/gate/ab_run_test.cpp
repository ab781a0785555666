// Two builds run in turns, with builds that misbehave in every way that is documented (ab_fake_build.cpp).
#include "reports/gate/ab_run.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "common/files.h"
#include "common/names.h"
#include "common/test_support.h"
#include "reports/gate/ab_shards.h"

namespace aneval::gate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kControls = "control/x:1000,control/y:2000";
const std::string kTimes = "times=one:300000,two:400000,three:500000," + kControls;

class AbRunTest : public ::testing::Test {
 protected:
  AbRunTest() {
    options_.out = folder_ / "out";
    options_.thresholds.confirm_blocks = 8;
    options_.limit = std::chrono::seconds(20);
  }

  /// A build with that behaviour, as a script: other behaviour, other contents.
  std::filesystem::path build(const std::string& name, const std::string& behaviour) {
    const auto file = folder_ / name;
    write_file(file, "#!/bin/sh\nexec " ANEVAL_FAKE_BUILD " '" + behaviour + "' \"$@\"\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    return file;
  }

  Outcome compare(const std::string& a, const std::string& b) {
    options_.a = build("a", a);
    options_.b = build("b", b);
    return run_ab(options_);
  }

  static const Finding& of(const Outcome& outcome, const std::string& name) {
    for (const Finding& finding : outcome.findings)
      if (finding.benchmark == name || finding.key.item == name) return finding;
    throw std::logic_error("no finding of " + name);
  }
  static std::string verdict(const Outcome& outcome, const std::string& name) {
    return std::string(verdict_name(of(outcome, name).verdict));
  }
  static int code(const Outcome& outcome) { return static_cast<int>(exit_code(outcome, false)); }

  std::vector<std::string> lines(const std::filesystem::path& file) const {
    auto all = split(read_text_file(file), '\n');
    std::erase(all, "");
    return all;
  }

  TemporaryFolder folder_;
  AbOptions options_;
};

TEST_F(AbRunTest, FindsWhatIsSlowerAndWhatIsFasterAndNothingElse) {
  const Outcome outcome = compare(kTimes, "times=one:330000,two:360000,three:500000," + kControls);
  EXPECT_THAT(outcome.refusals, IsEmpty());
  EXPECT_EQ(verdict(outcome, "one"), "REGRESSED");
  EXPECT_NEAR(*of(outcome, "one").change, 0.10, 0.01);
  EXPECT_LT(*of(outcome, "one").low, *of(outcome, "one").change);
  EXPECT_LT(*of(outcome, "one").p, 0.005);
  EXPECT_LT(*of(outcome, "one").detectable, 0.05);
  EXPECT_NEAR(*of(outcome, "one").base, 300000, 3000);
  EXPECT_EQ(verdict(outcome, "two"), "IMPROVED");
  EXPECT_EQ(verdict(outcome, "three"), "UNCHANGED");
  EXPECT_EQ(outcome.findings.size(), 5U);  // and the validated case with its error
  EXPECT_EQ(code(outcome), 1);
}

TEST_F(AbRunTest, WhatAllBenchmarksAndControlsShareIsTheMachine) {
  // Every time of B is 20 % longer, those of the controls as well.
  const Outcome outcome = compare(kTimes, "times=one:360000,two:480000,three:600000,control/x:1200,control/y:2400");
  for (const char* name : {"one", "two", "three"}) EXPECT_EQ(verdict(outcome, name), "UNCHANGED");
  EXPECT_EQ(code(outcome), 0);
}

TEST_F(AbRunTest, ASlowdownOfEverythingButTheControlsIsASuiteThatRegressed) {
  const Outcome outcome = compare(kTimes, "times=one:309000,two:412000,three:515000," + kControls);
  EXPECT_EQ(verdict(outcome, "suite"), "REGRESSED");
  EXPECT_EQ(code(outcome), 1);
}

TEST_F(AbRunTest, WithoutControlsAWarningSaysWhatStandsIn) {
  const Outcome outcome = compare("times=one:300000,two:400000", "times=one:300000,two:400001");
  EXPECT_THAT(outcome.warnings, ElementsAre(HasSubstr("no controls")));
  EXPECT_EQ(verdict(outcome, "one"), "UNCHANGED");
}

TEST_F(AbRunTest, NewAndRemovedAndChangedBenchmarks) {
  Outcome outcome = compare(kTimes, "times=two:400000,three:500000,four:1000," + kControls);
  EXPECT_EQ(verdict(outcome, "one"), "REMOVED");
  EXPECT_EQ(verdict(outcome, "four"), "NEW");
  EXPECT_EQ(verdict(outcome, "two"), "UNCHANGED");
  EXPECT_EQ(code(outcome), 4);
  options_.out = folder_ / "out2";
  outcome = compare("times=one:300000," + kControls, "version=2;times=one:500000," + kControls);
  EXPECT_EQ(verdict(outcome, "one"), "NOT_COMPARABLE");
  EXPECT_THAT(of(outcome, "one").note, HasSubstr("version 1 in A and 2 in B"));
}

TEST_F(AbRunTest, ACrashInOneProcessIsAnErrorOfWhatItDidNotDeliver) {
  const Outcome outcome = compare(kTimes, "crash=1.2.;" + kTimes);
  EXPECT_EQ(verdict(outcome, "one"), "UNCHANGED");  // written before it broke, but without controls beside it
  EXPECT_EQ(verdict(outcome, "two"), "ERROR");
  EXPECT_THAT(of(outcome, "two").note,
              HasSubstr("B failed in 1 of 6 processes: killed by signal 6 (SIGABRT): something"));
  EXPECT_EQ(code(outcome), 4);
}

TEST_F(AbRunTest, AHangIsKilledAtTheLimit) {
  options_.limit = std::chrono::milliseconds(1500);
  const Outcome outcome = compare(kTimes, "hang=1.0.;" + kTimes);
  EXPECT_EQ(verdict(outcome, "two"), "ERROR");
  EXPECT_THAT(of(outcome, "two").note, HasSubstr("killed after 1.5 s"));
}

TEST_F(AbRunTest, ABuildThatNeverDeliversEndsTheComparisonSoon) {
  const std::string calls = (folder_ / "calls").string();
  const Outcome outcome = compare(kTimes, "dead=1;calls=" + calls + ";" + kTimes);
  EXPECT_EQ(lines(calls).size(), 2U);  // of six blocks
  for (const char* name : {"one", "two", "three"}) EXPECT_EQ(verdict(outcome, name), "ERROR");
  EXPECT_EQ(code(outcome), 4);
}

TEST_F(AbRunTest, UnusableResultFilesAreErrorsThatSayWhy) {
  const std::pair<const char*, const char*> kBad[] = {
      {"garbage", "unusable"}, {"schema", "schema"}, {"twice", "named twice"}, {"nan", "not a finite number"}};
  for (const auto& [behaviour, why] : kBad) {
    options_.out = folder_ / behaviour;
    const Outcome outcome = compare(kTimes, std::string(behaviour) + "=1.1.;" + kTimes);
    EXPECT_EQ(verdict(outcome, "one"), "ERROR") << behaviour;
    EXPECT_THAT(of(outcome, "one").note, HasSubstr(why));
    EXPECT_THAT(of(outcome, "one").note, testing::Not(HasSubstr(folder_.path().string())));
    EXPECT_EQ(code(outcome), 4) << behaviour;
  }
}

TEST_F(AbRunTest, TimesThatNoTimeCanHaveAreErrors) {
  const Outcome outcome = compare(kTimes, "times=one:0,two:-5,three:failed," + kControls);
  EXPECT_THAT(of(outcome, "one").note, HasSubstr("a time of 0 ns"));
  EXPECT_THAT(of(outcome, "two").note, HasSubstr("a time of -"));
  EXPECT_THAT(of(outcome, "three").note, HasSubstr("run_error: the engine said no"));
  for (const char* name : {"one", "two", "three"}) {
    EXPECT_EQ(verdict(outcome, name), "ERROR");
    EXPECT_TRUE(of(outcome, name).gating);
  }
  options_.out = folder_ / "out2";
  const Outcome both = compare("times=one:1000,two:failed," + kControls, "times=one:1001,two:failed," + kControls);
  EXPECT_EQ(verdict(both, "two"), "ERROR");
  EXPECT_FALSE(of(both, "two").gating);  // no fault of B
}

TEST_F(AbRunTest, DeterministicMetricsOfValidateGate) {
  const Outcome outcome = compare(kTimes, "bound=0.9;" + kTimes);
  EXPECT_EQ(code(outcome), 5);
  options_.out = folder_ / "out2";
  const Outcome dead = compare(kTimes, "validate_dies=1;" + kTimes);
  EXPECT_EQ(verdict(dead, "validate-b"), "ERROR");
  EXPECT_EQ(code(dead), 4);
}

TEST_F(AbRunTest, AnotherEnvironmentIsRefusedBeforeAnythingIsMeasured) {
  const Outcome outcome = compare(kTimes, "chip=M5;power=battery;" + kTimes);
  EXPECT_THAT(outcome.refusals, ElementsAre("chip is M4 in A and M5 in B", "power source is ac in A and battery in B"));
  EXPECT_FALSE(std::filesystem::exists(options_.out));
  EXPECT_EQ(code(outcome), 3);
}

TEST_F(AbRunTest, AThrottledBlockIsMeasuredAgainAndFourOfThemRefuse) {
  Outcome outcome = compare("thermal=1.1.0.0;" + kTimes, "thermal=none;" + kTimes);
  EXPECT_THAT(outcome.refusals, IsEmpty());
  EXPECT_EQ(verdict(outcome, "one"), "UNCHANGED");
  EXPECT_TRUE(std::filesystem::exists(options_.out / "processes" / "1.1.0.1.b.csv"));
  EXPECT_FALSE(std::filesystem::exists(options_.out / "processes" / "1.1.0.2.b.csv"));
  options_.out = folder_ / "out2";
  outcome = compare("thermal=none;" + kTimes, "thermal=1.1.;" + kTimes);
  EXPECT_THAT(outcome.refusals, ElementsAre(HasSubstr("thermal pressure")));
  EXPECT_EQ(code(outcome), 3);
}

TEST_F(AbRunTest, EqualFilesAreNegativeControls) {
  // Not the same times although the same file: what an environment does that is not fit to measure in.
  write_file(folder_ / "same",
             "#!/bin/sh\ncase \"$*\" in *.a.csv*) t=300000;; *) t=400000;; esac\nexec " ANEVAL_FAKE_BUILD
             " \"times=one:$t,two:400000," +
                 kControls + "\" \"$@\"\n");
  std::filesystem::permissions(folder_ / "same", std::filesystem::perms::owner_all);
  options_.a = options_.b = folder_ / "same";
  const Outcome outcome = run_ab(options_);
  EXPECT_FALSE(of(outcome, "one").gating);
  EXPECT_THAT(outcome.refusals, ElementsAre(HasSubstr("environment contaminated")));
  options_.out = folder_ / "out2";
  options_.negative_controls = false;
  EXPECT_EQ(code(run_ab(options_)), 1);
}

TEST_F(AbRunTest, WithoutTimingOneShortProcessEachAndNoTimings) {
  options_.timing = false;
  const Outcome outcome = compare(kTimes, "times=one:900000,two:400000,five:1," + kControls);
  EXPECT_EQ(verdict(outcome, "three"), "REMOVED");
  EXPECT_EQ(verdict(outcome, "five"), "NEW");
  EXPECT_EQ(outcome.count(Verdict::regressed), 0U);
  EXPECT_EQ(lines(options_.out / "journal.jsonl").size(), 5U);  // what is compared, two validations, two processes
}

TEST_F(AbRunTest, ArgumentsThatAreWrong) {
  const auto error_with = [&](const std::string& a, const std::string& b) {
    return std::string(error_of([&] { compare(a, b); }).what());
  };
  EXPECT_THAT(error_with(kTimes, "mute=1;" + kTimes), HasSubstr("does not answer `doctor --json`"));
  options_.filter = "nothing";
  EXPECT_THAT(error_with(kTimes, kTimes), HasSubstr("--benchmark_filter=nothing"));
  options_.filter = "";
  options_.benchmark = {"--benchmark_out=x"};
  EXPECT_THAT(error_with(kTimes, kTimes), HasSubstr("is the comparison's own"));
  options_.benchmark = {};
  options_.a = folder_ / "absent";
  EXPECT_THAT(error_of([&] { run_ab(options_); }).what(), HasSubstr("absent"));
  EXPECT_FALSE(std::filesystem::exists(options_.out));
}

TEST_F(AbRunTest, AJournalOfAnotherComparisonIsNotContinued) {
  options_.thresholds.blocks = 2;
  compare(kTimes, kTimes + ",six:1");
  EXPECT_THAT(error_of([&] { run_ab(options_); }).what(), HasSubstr("there is a comparison already"));
  options_.resume = true;
  options_.seed = 2;
  EXPECT_THAT(error_of([&] { run_ab(options_); }).what(), HasSubstr("its seed is 1, now 2"));
  options_.seed = 1;
  EXPECT_THAT(error_of([&] { compare(kTimes, kTimes + ",seven:1"); }).what(), HasSubstr("its B is "));
  write_file(options_.out / "journal.jsonl", "nonsense\n");
  EXPECT_THAT(error_of([&] { run_ab(options_); }).what(), HasSubstr("journal.jsonl:1"));
}

TEST_F(AbRunTest, ASignalKeepsWhatIsFinishedAndResumeMeasuresNothingTwice) {
  const std::string calls = (folder_ / "calls").string();
  const std::string a = "calls=" + calls + ";" + kTimes,
                    b = "calls=" + calls + ";times=one:330000,two:400000,three:500000," + kControls;
  options_.interrupted = [&] { return std::filesystem::exists(calls) && lines(calls).size() >= 5 ? SIGTERM : 0; };
  const Outcome cut = compare(a, b);
  EXPECT_THAT(cut.refusals, ElementsAre(HasSubstr("interrupted by signal 15")));
  options_.interrupted = {};
  options_.resume = true;
  const Outcome whole = run_ab(options_);
  EXPECT_EQ(verdict(whole, "one"), "REGRESSED");
  auto measured = lines(calls);
  std::ranges::sort(measured);
  // The process that was running is the only one that may be there twice.
  const std::size_t all = measured.size();
  measured.erase(std::unique(measured.begin(), measured.end()), measured.end());
  EXPECT_EQ(measured.size(), 12U + 16U);
  EXPECT_LE(all, measured.size() + 1);
}

TEST_F(AbRunTest, WhichBuildComesFirstInABlockIsACoinOfTheSeed) {
  const auto order = [&](std::uint64_t seed) {
    options_.seed = seed;
    options_.out =
        folder_ / ("out" + std::to_string(seed) + (std::filesystem::exists(folder_ / "out1") ? "again" : ""));
    options_.thresholds.blocks = 12;
    compare("version=1;" + kTimes, kTimes);
    std::string first;  // of every block
    for (const std::string& line : lines(options_.out / "journal.jsonl"))
      if (line.find("\"1.") != std::string::npos && line.find(".0.0.") != std::string::npos)
        first += line.find(".0.0.a\"") != std::string::npos ? 'a' : 'b';
    std::string result;
    for (std::size_t i = 0; i < first.size(); i += 2) result += first[i];
    return result;
  };
  const std::string one = order(1);
  EXPECT_EQ(one.size(), 12u);
  EXPECT_NE(one.find('a'), std::string::npos) << one;
  EXPECT_NE(one.find('b'), std::string::npos) << one;
  EXPECT_EQ(order(1), one);
  EXPECT_NE(order(2), one);
}

TEST_F(AbRunTest, KilledAnywhereItGoesOnAndDecidesTheSame) {
  const std::string b = "sleep=1;times=one:330000,two:400000,three:480000," + kControls;
  const auto said = [&](const Outcome& outcome) {
    std::vector<std::string> all;
    for (const Finding& f : outcome.findings)
      all.push_back(f.name() + " " + std::string(verdict_name(f.verdict)) + " " + number_text(f.change.value_or(0)) +
                    " " + number_text(f.p.value_or(1)));
    return all;
  };
  const auto expected = said(compare("sleep=2;" + kTimes, b));
  options_.out = folder_ / "killed";
  options_.resume = true;
  const auto finished_processes = [&] {
    std::ifstream journal(options_.out / "journal.jsonl");
    return std::count(std::istreambuf_iterator<char>(journal), {}, '\n') - 1;
  };
  // At whatever the process after so many others is doing: the machine's speed must not decide.
  for (const std::ptrdiff_t finished : {0, 1, 4, 5, 9, 13}) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::setpgid(0, 0);
      try {
        run_ab(options_);
      } catch (...) {
        ::_exit(9);
      }
      ::_exit(0);
    }
    int status = 0;
    pid_t ended = 0;
    while (ended == 0 && finished_processes() < finished) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ended = ::waitpid(child, &status, WNOHANG);
    }
    ASSERT_EQ(ended, 0) << "it came to its end before it was killed: " << status;
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
  EXPECT_EQ(said(run_ab(options_)), expected);
}

TEST(AbShards, NoGroupCompilesMoreThanAllowed) {
  const std::vector<std::string> names = {"woFwd/compile/m", "woFwd/eval/m",     "woFwd/read/m",          "qBwd/load/m",
                                          "layer_forward/m", "layer_backward/m", "train_step/m/layers=2", "tile/m"};
  EXPECT_EQ(shards(names, 0, 5).size(), 1U);
  // 15 for a compile or load and one for its kernel, ten for a layer's programs, ten for a training step's.
  EXPECT_THAT(
      shards(names, 16, 5),
      ElementsAre(ElementsAre("woFwd/compile/m", "woFwd/eval/m", "woFwd/read/m"), ElementsAre("qBwd/load/m"),
                  ElementsAre("layer_forward/m", "layer_backward/m"), ElementsAre("train_step/m/layers=2", "tile/m")));
  EXPECT_EQ(shards(names, 1, 5).size(), 4U);  // what needs more has a group of its own
}

TEST(AbShards, AFilterChoosesTheNamesAndNothingElse) {
  EXPECT_EQ(filter_of({"a/b=1.5", "c+"}), R"(^(a/b=1\.5|c\+)/manual_time$)");
}

}  // namespace
}  // namespace aneval::gate
