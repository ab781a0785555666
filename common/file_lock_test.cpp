// Locks are between open files, so that two objects of one process stand for two processes here.
#include "common/file_lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "common/error.h"
#include "common/test_support.h"

namespace aneval {
namespace {

namespace fs = std::filesystem;

class FileLocks : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(FileLocks, OneHolderAtATimeAndNoFileAfterwards) {
  const fs::path file = folder_ / "lock";
  std::atomic<int> holders{0}, most{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int turn = 0; turn < 200; ++turn) {
        const FileLock lock(file);
        most = std::max(most.load(), ++holders);
        std::this_thread::yield();
        --holders;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
  EXPECT_FALSE(fs::exists(file));
}

TEST_F(FileLocks, AFileThatSomebodyLeftBehindLocksNobodyOut) {
  std::ofstream(folder_ / "lock") << "left";
  {
    const FileLock lock(folder_ / "lock");
  }
  EXPECT_FALSE(fs::exists(folder_ / "lock"));
  EXPECT_THROW(FileLock(folder_ / "nowhere/lock"), Error);
}

TEST_F(FileLocks, TheLastUserOfAFolderIsAlone) {
  const fs::path folder = folder_ / "a/b";
  FolderUse first(folder);
  {
    FolderUse second(folder);
    EXPECT_FALSE(second.alone());
  }
  EXPECT_TRUE(first.alone());
}

TEST_F(FileLocks, AFolderThatWasRemovedIsNobodysAnyMore) {
  const fs::path folder = folder_ / "a";
  FolderUse first(folder);
  EXPECT_TRUE(first.in_place());
  fs::remove(folder);
  EXPECT_FALSE(first.in_place());
  FolderUse second(folder);  // another one by that name
  EXPECT_FALSE(first.in_place());
  EXPECT_FALSE(first.alone());
  EXPECT_TRUE(second.alone());
  std::ofstream(folder_ / "file") << "";
  EXPECT_THROW(FolderUse(folder_ / "file/a"), Error);
}

}  // namespace
}  // namespace aneval
