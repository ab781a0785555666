#include "common/files.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "common/test_support.h"

namespace aneval {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  return names;
}

TEST(Files, WhatIsWrittenIsReadBack) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a.bin";
  std::string content(3'000'000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31);
  for (const std::string& text : {content, std::string(), std::string("short\n")}) {
    write_file(file, text);
    EXPECT_EQ(read_text_file(file), text);
    EXPECT_EQ(read_file(file).size(), text.size());
  }
  EXPECT_THAT(names_in(folder.path()), testing::ElementsAre("a.bin")) << "a temporary file stayed behind";
}

TEST(Files, ReadingSaysWhatIsWrong) {
  const TemporaryFolder folder;
  write_file(folder / "ten", std::string_view("0123456789"));
  EXPECT_THAT(error_of([&] { read_file(folder / "missing"); }).what(), HasSubstr("missing: cannot open: No such file"));
  EXPECT_THAT(error_of([&] { read_file(folder.path()); }).what(), HasSubstr("is a folder"));
  EXPECT_EQ(read_file(folder / "ten", 10).size(), 10u);
  const Error error = error_of([&] { read_file(folder / "ten", 9); });
  EXPECT_THAT(error.what(), HasSubstr("larger than the 9 bytes"));
  EXPECT_EQ(error.code(), ExitCode::bad_input);
}

TEST(Files, PipesAreReadToTheirEnd) {
  const TemporaryFolder folder;
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::string content(200'000, 'x');
  for (const std::uintmax_t limit : {std::uintmax_t{200'000}, std::uintmax_t{199'999}}) {
    // The writer ignores that the reader gives up at its limit.
    ::signal(SIGPIPE, SIG_IGN);
    std::thread writer([&] { std::ofstream(pipe) << content; });
    if (limit == content.size()) {
      EXPECT_EQ(read_text_file(pipe, limit), content);
    } else {
      EXPECT_THAT(error_of([&] { read_text_file(pipe, limit); }).what(), HasSubstr("larger than"));
    }
    writer.join();
    ::signal(SIGPIPE, SIG_DFL);
  }
}

TEST(Files, WritingIntoNowhereIsRefused) {
  const TemporaryFolder folder;
  write_file(folder / "file", std::string_view("x"));
  const Error missing = error_of([&] { write_file(folder / "no" / "a", std::string_view("x")); });
  EXPECT_EQ(missing.code(), ExitCode::refused);
  EXPECT_THAT(missing.what(), HasSubstr("cannot create: No such file"));
  EXPECT_THAT(error_of([&] { write_file(folder / "file" / "a", std::string_view("x")); }).what(),
              HasSubstr("Not a directory"));
  EXPECT_THAT(error_of([&] { write_file(folder.path(), std::string_view("x")); }).what(), HasSubstr("cannot replace"));
}

/// A limit on the size of files stands for a full disk: write() fails in the middle.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit{bytes, previous_.rlim_max};
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &previous_);
    ::signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit previous_{};
};

TEST(Files, FailedWriteLeavesTheOldContentAndNoTemporaryFile) {
  const TemporaryFolder folder;
  write_file(folder / "a", std::string_view("old"));
  {
    const FileSizeLimit limit(1000);
    const Error error = error_of([&] { write_file(folder / "a", std::string(5000, 'n')); });
    EXPECT_EQ(error.code(), ExitCode::refused);
    EXPECT_THAT(error.what(), HasSubstr("cannot write: File too large"));
  }
  EXPECT_EQ(read_text_file(folder / "a"), "old");
  EXPECT_THAT(names_in(folder.path()), testing::ElementsAre("a"));
}

TEST(Files, DevicesAreWrittenInPlace) {
  write_file("/dev/null", std::string_view("gone"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  if (fs::exists("/dev/full")) {  // Linux only
    const Error error = error_of([] { write_file("/dev/full", std::string_view("x")); });
    EXPECT_STREQ(error.what(), "/dev/full: cannot write: No space left on device: free space on the disk");
    EXPECT_TRUE(fs::is_character_file("/dev/full"));
  }
}

TEST(Files, LinksStayLinks) {
  const TemporaryFolder folder;
  fs::create_directory(folder / "data");
  write_file(folder / "data" / "a", std::string_view("old"));
  fs::create_symlink("data/a", folder / "link");
  write_file(folder / "link", std::string_view("new"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_text_file(folder / "data" / "a"), "new");
}

TEST(Files, PermissionsAreThoseOfTheUmask) {
  const TemporaryFolder folder;
  const mode_t previous = ::umask(027);
  write_file(folder / "a", std::string_view("x"));
  ::umask(previous);
  EXPECT_EQ(fs::status(folder / "a").permissions(), fs::perms(0640));
}

TEST(Files, ReadersSeeOneWholeVersion) {
  const TemporaryFolder folder;
  const fs::path file = folder / "a";
  write_file(file, std::string(100'000, '0'));
  std::vector<std::thread> writers;
  for (const char mark : {'1', '2', '3'})
    writers.emplace_back([&, mark] {
      for (int i = 0; i < 20; ++i) write_file(file, std::string(100'000, mark));
    });
  for (int i = 0; i < 100; ++i) {
    const std::string seen = read_text_file(file);
    EXPECT_EQ(seen, std::string(100'000, seen.at(0)));
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_THAT(names_in(folder.path()), testing::ElementsAre("a"));
}

TEST(Files, CheckWritableNamesTheFolderAndLeavesNothing) {
  const TemporaryFolder folder;
  write_file(folder / "file", std::string_view("x"));
  check_writable(folder / "new");
  check_writable(folder / "file");
  check_writable("-");
  check_writable("/dev/null");
  EXPECT_THAT(names_in(folder.path()), testing::ElementsAre("file"));
  EXPECT_EQ(read_text_file(folder / "file"), "x");

  const Error missing = error_of([&] { check_writable(folder / "no" / "a"); });
  EXPECT_EQ(missing.code(), ExitCode::bad_input);
  EXPECT_THAT(missing.what(), HasSubstr("folder '" + (folder / "no").string() + "' does not exist"));
  EXPECT_THAT(error_of([&] { check_writable(folder / "file" / "a"); }).what(), HasSubstr("does not exist"));
  EXPECT_THAT(error_of([&] { check_writable(folder.path()); }).what(), HasSubstr("is a folder"));
  EXPECT_THAT(error_of([&] { check_writable(""); }).what(), HasSubstr("not the name of a file"));
  if (fs::exists("/proc/self")) {  // not even root creates files there
    EXPECT_THAT(error_of([] { check_writable("/proc/aneval"); }).what(), HasSubstr("folder '/proc' is not writable"));
  }
}

}  // namespace
}  // namespace aneval
