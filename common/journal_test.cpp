#include "common/journal.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>

#include <stdexcept>

#include "common/files.h"
#include "common/names.h"
#include "common/test_support.h"
#include "common/worker.h"

namespace aneval {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Journal, LinesComeBackInOrder) {
  const TemporaryFolder folder;
  const auto file = folder / "journal";
  {
    Journal journal(file);
    EXPECT_THAT(journal.lines(), IsEmpty());
    journal.append("one");
    journal.append("");
    journal.append("three");
    EXPECT_EQ(read_text_file(file), "one\n\nthree\n");
  }
  Journal again(file);
  EXPECT_THAT(again.lines(), ElementsAre("one", "", "three"));
  EXPECT_FALSE(again.repaired());
  again.append("four");
  EXPECT_EQ(read_text_file(file), "one\n\nthree\nfour\n");
}

TEST(Journal, LongFilesAreRepairedWithoutReadingTheirLines) {
  const TemporaryFolder folder;
  const auto file = folder / "journal";
  // The broken line is longer than the blocks in which its beginning is looked for.
  for (const std::size_t broken : {std::size_t{0}, std::size_t{1}, std::size_t{1} << 16, std::size_t{200'000}}) {
    write_file(file, "one\ntwo\n" + std::string(broken, 'x'));
    Journal journal(file, Journal::Lines::left);
    EXPECT_EQ(journal.repaired(), broken > 0);
    EXPECT_THAT(journal.lines(), IsEmpty());
    journal.append("three");
    EXPECT_EQ(read_text_file(file), "one\ntwo\nthree\n") << broken;
  }
}

TEST(Journal, SeveralLinesInOneWriteAndANewStart) {
  const TemporaryFolder folder;
  const auto file = folder / "journal";
  Journal journal(file);
  journal.append_lines("one\ntwo\n");
  EXPECT_EQ(read_text_file(file), "one\ntwo\n");
  EXPECT_THROW(journal.append_lines("three"), std::logic_error);
  journal.clear();
  journal.append("four");
  EXPECT_EQ(read_text_file(file), "four\n");
}

TEST(Journal, BrokenLastLineIsCutOff) {
  const TemporaryFolder folder;
  const auto file = folder / "journal";
  for (const auto& [content, complete] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"one\ntwo\nthr", {"one", "two"}}, {"on", {}}, {"\nx", {""}}}) {
    write_file(file, content);
    Journal journal(file);
    EXPECT_TRUE(journal.repaired());
    EXPECT_EQ(journal.lines(), complete);
    journal.append("next");
    EXPECT_EQ(read_text_file(file), content.substr(0, content.find_last_of('\n') + 1) + "next\n");
  }
}

TEST(Journal, SecondOwnerIsRefused) {
  const TemporaryFolder folder;
  const auto file = folder / "journal";
  {
    const Journal first(file);
    const Error error = error_of([&] { const Journal second(file); });
    EXPECT_EQ(error.code(), ExitCode::refused);
    EXPECT_THAT(error.what(), HasSubstr("in use by another process"));
  }
  const Journal after(file);
}

TEST(Journal, UnusableFilesAreNamed) {
  const TemporaryFolder folder;
  write_file(folder / "file", std::string_view("x\n"));
  EXPECT_THAT(error_of([&] { Journal(folder / "no" / "journal"); }).what(), HasSubstr("cannot open: No such file"));
  EXPECT_THAT(error_of([&] { Journal(folder / "file" / "journal"); }).what(), HasSubstr("Not a directory"));
  EXPECT_EQ(error_of([&] { Journal(folder.path()); }).code(), ExitCode::bad_input);
  EXPECT_THAT(error_of([] { Journal("/dev/null"); }).what(), HasSubstr("not a regular file"));
}

TEST(Journal, LineFeedInALineIsAMistakeOfTheCaller) {
  const TemporaryFolder folder;
  Journal journal(folder / "journal");
  EXPECT_THROW(journal.append("a\nb"), std::logic_error);
}

TEST(Journal, FailedAppendTakesItsBeginningBack) {
  const TemporaryFolder folder;
  const auto file = folder / "journal";
  Journal journal(file);
  journal.append("kept");
  rlimit previous{};
  ::getrlimit(RLIMIT_FSIZE, &previous);
  const rlimit limit{100, previous.rlim_max};  // stands for a full disk
  ::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &limit);
  const Error error = error_of([&] { journal.append(std::string(500, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &previous);
  ::signal(SIGXFSZ, SIG_DFL);
  EXPECT_EQ(error.code(), ExitCode::refused);
  EXPECT_EQ(read_text_file(file), "kept\n");
  journal.append("next");
  EXPECT_EQ(read_text_file(file), "kept\nnext\n");
}

TEST(Journal, NothingFinishedIsLostWhenTheProcessIsKilled) {
  const TemporaryFolder folder;
  const auto file = folder / "journal";
  // The child prints a number after the line with it was appended, for ever.
  const ProcessResult child =
      run_process({ANEVAL_TEST_CHILD, "journal", file.string()}, std::chrono::milliseconds(500));
  ASSERT_EQ(child.end, ProcessResult::End::timed_out) << child.err;
  const std::size_t printed = split(child.out, '\n').size() - 1;
  EXPECT_GE(printed, 1u);
  const Journal journal(file);
  EXPECT_GE(journal.lines().size(), printed);
  for (std::size_t i = 0; i < journal.lines().size(); ++i) EXPECT_EQ(journal.lines()[i], std::to_string(i));
}

}  // namespace
}  // namespace aneval
