// Several processes with equal programs at a time: they share the folder of its text and weights, and neither takes it
// away from another. The other processes are this program again, with one of the tests that are disabled here.
#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "ane/apple/test_support.h"
#include "common/worker.h"

namespace aneval::apple {
namespace {

namespace fs = std::filesystem;

class AppleProcesses : public OverStandIn {
 protected:
  static ProcessResult other(const std::string& test, std::chrono::milliseconds limit = std::chrono::minutes(2)) {
    return run_process({executable_path(), "--gtest_brief=1", "--gtest_also_run_disabled_tests",
                        "--gtest_filter=OtherProcess.DISABLED_" + test},
                       limit);
  }
  fs::path only_entry() const { return fs::directory_iterator(folder_)->path(); }
};

/// Has no temporary folder of its own, but that of the process that started it.
class OtherProcess : public OverStandIn {
 protected:
  void SetUp() override {
    set_compiles(1'000'000);
    AppleOptions many = options();
    many.compile_limit.reset();
    device_ = make(many);
  }
  void TearDown() override {}
};

TEST_F(OtherProcess, DISABLED_CompilesAndUnloads) {
  for (int i = 0; i < 100; ++i) {
    const auto request = ready(doubling());
    write(request->input(), 3, 2.5F);
    device_->evaluate(*request);
    ASSERT_EQ(read(request->output(), 3), 5.0F);
  }
}

TEST_F(OtherProcess, DISABLED_Compiles) { (void)device_->compile(doubling()); }

TEST_F(OtherProcess, DISABLED_Hangs) {
  set_faults("compileWithQoS:options:error:=hang");
  (void)device_->compile(doubling());
}

TEST_F(AppleProcesses, FindTheirFilesWhateverOthersUnload) {
  std::vector<ProcessResult> results(4);
  {
    std::vector<std::thread> threads;
    for (ProcessResult& result : results) threads.emplace_back([&] { result = other("CompilesAndUnloads"); });
    for (std::thread& thread : threads) thread.join();
  }
  for (const ProcessResult& result : results) EXPECT_TRUE(result.ok()) << result.describe() << result.out << result.err;
}

TEST_F(AppleProcesses, TheFolderStaysWhileAnyOfThemHasTheModel) {
  auto executable = device_->compile(doubling());
  const fs::path files = only_entry();
  const ProcessResult result = other("Compiles");
  EXPECT_TRUE(result.ok()) << result.out << result.err;
  EXPECT_TRUE(fs::exists(files / "model.mil"));
  executable.reset();
  EXPECT_FALSE(fs::exists(files));
}

TEST_F(AppleProcesses, OneThatWasKilledInACompileLocksNobodyOut) {
  const ProcessResult killed = other("Hangs", std::chrono::seconds(2));
  EXPECT_EQ(killed.end, ProcessResult::End::timed_out) << killed.out << killed.err;
  EXPECT_FALSE(fs::is_empty(folder_)) << "it left its lock and its folder";
  const auto request = ready(doubling());
  write(request->input(), 0, 1);
  device_->evaluate(*request);
  EXPECT_EQ(read(request->output(), 0), 2.0F);
}

TEST_F(AppleProcesses, ATemporaryFolderThatTakesNothingIsNamedWithoutItsPath) {
  ::setenv("TMPDIR", "/proc", 1);  // a folder in which nobody makes files
  try {
    (void)device_->compile(doubling());
    ADD_FAILURE() << "compiled nowhere";
  } catch (const ane::DeviceError& error) {
    EXPECT_EQ(error.status(), Status::compile_error);
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("compile of double (64 channels, S 64): the temporary folder takes no "
                                     "program: cannot lock"));
    EXPECT_THAT(error.what(), ::testing::Not(::testing::HasSubstr("/proc")));
  }
  ::setenv("TMPDIR", folder_.c_str(), 1);
}

}  // namespace
}  // namespace aneval::apple
