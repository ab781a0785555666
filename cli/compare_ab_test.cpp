// aneval compare --ab with the real binary: two blocks of two benchmarks of a tiny model.
#include "cli/cli_fixture.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class CompareAb : public Cli {
 protected:
  std::vector<std::string> arguments(const std::string& a, const std::string& b,
                                     const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"compare",
                                    "--ab",
                                    a,
                                    b,
                                    "--model",
                                    path("tiny.json"),
                                    "--backend",
                                    "emulator",
                                    "--blocks",
                                    "2",
                                    "--confirm",
                                    "2",
                                    "--out",
                                    path("out"),
                                    "--benchmark_filter=^(woFwd|qBwd)/eval/",
                                    "--benchmark_min_time=0.001"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  /// A program that runs the binary after `before`, with its contents for a different hash.
  std::string script(const std::string& name, const std::string& before) const {
    write_file(path(name), "#!/bin/sh\n" + before + "\nexec " ANEVAL_BINARY " \"$@\"\n");
    fs::permissions(path(name), fs::perms::owner_all);
    return path(name);
  }

  std::string journal() const { return read_text_file(path("out/journal.jsonl")); }
};

TEST_F(CompareAb, TwoBuildsAreComparedAndResumingMeasuresNothingAgain) {
  const std::string twin = script("twin", "# another file that does the same");
  const ProcessResult first = run(arguments(ANEVAL_BINARY, twin));
  ASSERT_EQ(first.code, 0) << first.err << first.out;
  EXPECT_THAT(first.out, AllOf(HasSubstr("woFwd eval time"), HasSubstr("2 compared of 2"), HasSubstr("PASSED")));
  const std::string before = journal();
  EXPECT_EQ(std::count(before.begin(), before.end(), '\n'), 1 + 2 + 4);
  // Deterministic metrics of `validate` and of `bench` are there, beside times and their benchmark's name.
  const std::string csv = read_text_file(path("out/gate.csv"));
  EXPECT_THAT(csv, AllOf(HasSubstr("max_abs"), HasSubstr("eval dispatches"), HasSubstr("woFwd/eval/tiny/seq=12")));

  expect_bad_input(arguments(ANEVAL_BINARY, twin), "there is a comparison already");
  expect_bad_input(arguments(ANEVAL_BINARY, twin, {"--resume", "--seed", "2"}), "its seed is 1, now 2");
  const ProcessResult again = run(arguments(ANEVAL_BINARY, twin, {"--resume"}));
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.out, first.out);
  EXPECT_EQ(journal(), before);
}

TEST_F(CompareAb, AnotherBuildTypeIsRefused) {
  const std::string other = script("other", "[ \"$1\" = doctor ] && " ANEVAL_BINARY
                                            " \"$@\" | sed 's/\"build\": \"[^\"]*\"/\"build\": \"debug\"/' && exit");
  const ProcessResult result = run(arguments(ANEVAL_BINARY, other));
  EXPECT_EQ(result.code, 3) << result.err << result.out;
  EXPECT_THAT(result.out, AllOf(HasSubstr("REFUSED"), HasSubstr("and debug in B")));
  EXPECT_FALSE(fs::exists(path("out/journal.jsonl")));
}

TEST_F(CompareAb, ASignalEndsItWith143AndResumeGoesOn) {
  const std::string twin = script("twin", "# another");
  std::vector<std::string> command = {"/bin/sh", "-c",
                                      "\"$@\" & p=$!; while ! grep -q '\"1.0' '" + path("out/journal.jsonl") +
                                          "' 2> /dev/null; do sleep 0.02; done; "
                                          "kill -TERM $p; wait $p",
                                      "sh", ANEVAL_BINARY};
  for (const std::string& argument : arguments(ANEVAL_BINARY, twin)) command.push_back(argument);
  const ProcessResult cut = run_process(command, std::chrono::minutes(2));
  EXPECT_EQ(cut.code, 143) << cut.err << cut.out;
  EXPECT_THAT(cut.out, HasSubstr("interrupted by signal 15: --resume goes on with it"));
  const ProcessResult rest = run(arguments(ANEVAL_BINARY, twin, {"--resume"}));
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_THAT(rest.out, HasSubstr("2 compared of 2"));
}

TEST_F(CompareAb, ArgumentsThatAreWrong) {
  expect_bad_input({"compare", "--ab", ANEVAL_BINARY, ANEVAL_BINARY}, "--out");
  expect_bad_input({"compare", "--ab", ANEVAL_BINARY, path("tiny.json"), "--out", path("out")}, "tiny.json");
  expect_bad_input(arguments(ANEVAL_BINARY, ANEVAL_BINARY, {"--frobnicate"}), "--frobnicate");
  expect_bad_input(arguments(ANEVAL_BINARY, ANEVAL_BINARY, {"--benchmark_out=x"}), "is the comparison's own");
  expect_bad_input({"compare", path("a.csv"), path("b.csv"), "--blocks", "3"}, "--blocks");
  EXPECT_FALSE(fs::exists(path("out")));
}

}  // namespace
}  // namespace aneval
