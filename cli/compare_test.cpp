// aneval compare: its modes, options, outputs and exit codes, on files that bench and validate wrote.
#include "cli/cli_fixture.h"
#include "common/error.h"
#include "common/test_support.h"

namespace aneval {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// One validation and one benchmark for all tests: files of rows as commands write them.
class CompareCommand : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    static const std::vector<Record> validated = make("validate", {"--case", "kernel=woFwd;data=random"});
    static const std::vector<Record> timed =
        make("bench", {"--kernel", "woFwd", "--benchmark_min_time=0.001", "--benchmark_filter=eval"});
    rows_ = validated;
    rows_.insert(rows_.end(), timed.begin(), timed.end());
    write("base.csv", rows_);
    write("new.csv", rows_);
  }

  std::vector<Record> make(const std::string& command, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {command, "--model", path("tiny.json"), "--out", path("made.csv")});
    const ProcessResult result = run(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return rows_of(path("made.csv"));
  }

  void write(const std::string& name, const std::vector<Record>& rows) const { write_csv(path(name), rows); }

  /// The new side with the first row of a metric changed.
  template <typename Edit>
  void edit(const std::string& metric, Edit change) {
    std::vector<Record> rows = rows_;
    const auto row = std::find_if(rows.begin(), rows.end(),
                                  [&](const Record& r) { return r.metric == metric && !r.kernel.empty(); });
    ASSERT_NE(row, rows.end()) << metric;
    change(*row);
    write("new.csv", rows);
  }

  /// With a row that is there a second time.
  static std::vector<Record> twice(std::vector<Record> rows) {
    rows.push_back(*std::find_if(rows.begin(), rows.end(), [](const Record& r) { return !r.kernel.empty(); }));
    return rows;
  }

  ProcessResult compare(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"compare", path("base.csv"), path("new.csv")});
    return run(more);
  }

  std::vector<Record> rows_;
};

TEST_F(CompareCommand, AFileAgainstItselfIsClean) {
  const ProcessResult result = compare({"--strict", "--out", path("gate")});
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("\nPASSED: "));
  EXPECT_THAT(result.out, Not(HasSubstr("REGRESSED")));
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(read_text_file(path("gate/gate.md")), StartsWith("# aneval compare: PASSED"));
  const std::string csv = read_text_file(path("gate/gate.csv"));
  EXPECT_THAT(csv,
              AllOf(HasSubstr("snr_db"), HasSubstr("program_hash"), HasSubstr("dispatches"), HasSubstr(",time,ns,")));
}

TEST_F(CompareCommand, EveryExitCode) {
  edit("dispatches", [](Record& row) { *row.value += 1; });
  ProcessResult result = compare();
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.out, AllOf(HasSubstr("REGRESSED"), HasSubstr("woFwd eval dispatches"), HasSubstr("1 -> 2"),
                                HasSubstr("FAILED: 1 deterministic metric worse")));

  edit("max_abs", [](Record& row) { row.value = *row.value * 2 + 1; });
  EXPECT_EQ(compare().code, 5);

  edit("program_hash", [](Record& row) { row.text = "0123456789abcdef"; });
  EXPECT_EQ(compare().code, 5);

  std::vector<Record> fewer;
  for (const Record& row : rows_)
    if (row.phase != "eval") fewer.push_back(row);
  write("new.csv", fewer);
  result = compare();
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.out, AllOf(HasSubstr("REMOVED"), HasSubstr("1 benchmark missing or failed")));

  // Deterministic before missing.
  for (Record& row : fewer)
    if (row.metric == "nan_count") row.value = 1;
  write("new.csv", fewer);
  EXPECT_EQ(compare().code, 5);

  // Refused before both.
  for (Record& row : fewer) row.run.profile = "h13";
  write("new.csv", fewer);
  result = compare();
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.out, AllOf(HasSubstr("profile 'h16' and 'h13'"), HasSubstr("REFUSED")));

  // Wrong input before all.
  write("new.csv", twice(fewer));
  EXPECT_EQ(compare().code, 2);

  write("new.csv", {});
  result = compare();
  EXPECT_EQ(result.code, 4);
  EXPECT_THAT(result.out, HasSubstr("FAILED: nothing was compared"));

  // Times are advisory, whatever they say.
  std::vector<Record> slow = rows_;
  for (Record& row : slow)
    if (row.metric == "time") row.value = *row.value * 3;
  write("new.csv", slow);
  result = compare({"--strict"});
  EXPECT_EQ(result.code, 0) << result.out;
  EXPECT_THAT(result.out, AllOf(HasSubstr("INCONCLUSIVE"), HasSubstr("+200 %")));

  for (Record& row : slow)
    if (row.metric == "time" && row.phase == "eval") row.value = 0;
  write("new.csv", slow);
  EXPECT_EQ(compare().code, 4);
  EXPECT_EQ(compare({"--no-timing"}).code, 0);
}

TEST_F(CompareCommand, ExpectedChangesDoNotFail) {
  edit("dispatches", [](Record& row) { *row.value += 1; });
  write_file(path("changes.csv"), std::string_view("name,reason\n*woFwd eval*,two requests now\nnobody,nothing\n"));
  const ProcessResult result = compare({"--changes", path("changes.csv")});
  EXPECT_EQ(result.code, 5) << result.out;
  EXPECT_THAT(result.out, HasSubstr("warning: --changes: nothing called '*woFwd eval*' changed"))
      << "a star stands at the end";
  write_file(path("changes.csv"),
             std::string_view("name,reason\ntiny seq 12 woFwd eval*,two requests now\nnobody,nothing\n"));
  const ProcessResult meant = compare({"--changes", path("changes.csv")});
  EXPECT_EQ(meant.code, 0) << meant.out;
  EXPECT_THAT(meant.out, AllOf(HasSubstr("REGRESSED (expected)"), HasSubstr("expected: two requests now"),
                               HasSubstr("nothing called 'nobody' changed")));
  write_file(path("changes.csv"), std::string_view("name,reason\nx\n"));
  expect_bad_input({"compare", path("base.csv"), path("new.csv"), "--changes", path("changes.csv")}, "changes.csv:2");
}

TEST_F(CompareCommand, WritesWhatIsAskedFor) {
  edit("dispatches", [](Record& row) { *row.value += 1; });
  ProcessResult result = compare({"--junit", path("j.xml"), "--markdown", path("m.md")});
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(read_text_file(path("j.xml")),
              AllOf(HasSubstr("<failure type=\"REGRESSED\""), HasSubstr("woFwd eval dispatches")));
  EXPECT_THAT(read_text_file(path("m.md")), HasSubstr("| REGRESSED | exact |"));
  const ProcessResult parsed =
      run_process({"python3", "-c",
                   "import sys, xml.etree.ElementTree as t\n"
                   "s = t.parse(sys.argv[1]).getroot()[0]\n"
                   "print(s.get('failures'), len(s) == int(s.get('tests')), len(s.findall('.//failure')))",
                   path("j.xml")},
                  std::chrono::minutes(1));
  if (parsed.code == 127)
    std::cout << "python3 is missing: its parser was not asked\n";
  else
    EXPECT_EQ(parsed.out, "1 True 1\n") << parsed.err;

  result = compare({"--markdown", "-"});
  EXPECT_THAT(result.out, StartsWith("# aneval compare: FAILED"));
  EXPECT_THAT(result.out, Not(HasSubstr("\nFAILED")));
  EXPECT_EQ(result.err, "");
}

TEST_F(CompareCommand, AnnotatesInGitHubActions) {
  edit("dispatches", [](Record& row) { *row.value += 1; });
  const ProcessResult result =
      run_process({"env", "GITHUB_ACTIONS=true", ANEVAL_BINARY, "compare", path("base.csv"), path("new.csv")},
                  std::chrono::minutes(1));
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.err, StartsWith("::error title=REGRESSED tiny seq 12 woFwd eval dispatches::1 -> 2"));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
}

TEST_F(CompareCommand, ComparesFoldersAndKilledRuns) {
  fs::create_directories(path("a"));
  write_file(
      path("a/bench.csv.partial"), csv_header() + [&] {
        std::string text;
        for (const Record& row : rows_)
          if (row.metric != "cases_done") text += csv_line(row);
        return text + "1,cut";
      }());
  const ProcessResult result = run({"compare", path("base.csv"), path("a")});
  EXPECT_EQ(result.code, 0) << result.out;
  EXPECT_THAT(result.out, HasSubstr("of the new side did not come to its end"));
}

TEST_F(CompareCommand, BadInputIsOneErrorAndWritesNothing) {
  const std::string base = path("base.csv"), now = path("new.csv");
  expect_bad_input({"compare"}, "nothing to compare");
  expect_bad_input({"compare", base}, "BASE NEW takes 2 values, not 1");
  expect_bad_input({"compare", base, now, base}, "not 3");
  expect_bad_input({"compare", base, path("nowhere.csv")}, "does not exist");
  expect_bad_input({"compare", base, path("tiny.json")}, "tiny.json:1");
  expect_bad_input({"compare", base, now, "--out", base}, "is no folder");
  expect_bad_input({"compare", base, now, "--junit", path("no/j.xml")}, "does not exist");
  expect_bad_input({"compare", base, now, "--junit", "-", "--markdown", "-"}, "both want standard output");
  expect_bad_input({"compare", base, now, "--junit", path("x"), "--markdown", path("x")}, "the same file");
  expect_bad_input({"compare", base, now, "--changes", path("none.csv")}, "none.csv");
  expect_bad_input({"compare", base, now, "--unknown"}, "--unknown");
  write("new.csv", twice(rows_));
  expect_bad_input({"compare", base, now, "--out", path("gate"), "--junit", path("j.xml")}, "appears twice");
  EXPECT_FALSE(fs::exists(path("gate")));
  EXPECT_FALSE(fs::exists(path("j.xml")));
}

}  // namespace
}  // namespace aneval
