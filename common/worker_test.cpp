#include "common/worker.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <stdexcept>
#include <thread>

#include "common/test_support.h"

namespace aneval {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr auto kLong = 60s;

ProcessResult run_child(std::vector<std::string> arguments, std::chrono::milliseconds limit = kLong,
                        std::string_view input = {}) {
  arguments.insert(arguments.begin(), ANEVAL_TEST_CHILD);
  return run_process(arguments, limit, input);
}

/// Whether nobody holds the lock of worker_test_child's descendant any more, within ten seconds.
bool lock_becomes_free(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  bool is_free = false;
  for (int i = 0; i < 1000 && !is_free; ++i) {
    is_free = descriptor >= 0 && ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
    if (!is_free) std::this_thread::sleep_for(10ms);
  }
  ::close(descriptor);
  return is_free;
}

TEST(RunProcess, GivesOutputAndExitCode) {
  const ProcessResult cat = run_child({"cat"}, kLong, "hello\n");
  EXPECT_TRUE(cat.ok());
  EXPECT_EQ(cat.out, "hello\n");
  const ProcessResult failed = run_child({"exit", "7"});
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(failed.describe(), "exit code 7");
}

TEST(RunProcess, BigInputAndOutputsDoNotBlockEachOther) {
  const std::string input(5'000'000, 'i');  // a pipe holds 64 KiB
  EXPECT_EQ(run_child({"cat"}, kLong, input).out, input);
  const ProcessResult spam = run_child({"spam"});
  EXPECT_EQ(spam.out.size(), 1'000'000u);
  EXPECT_EQ(spam.err.size(), 1'000'000u);
}

TEST(RunProcess, InputThatNobodyReadsIsNoError) {
  const ProcessResult result = run_child({"exit", "3"}, kLong, std::string(5'000'000, 'i'));
  EXPECT_EQ(result.describe(), "exit code 3");
  sigset_t pending;
  ASSERT_EQ(::sigpending(&pending), 0);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST(RunProcess, NamesTheSignal) {
  const ProcessResult crash = run_child({"crash"});
  EXPECT_EQ(crash.end, ProcessResult::End::signalled);
  EXPECT_EQ(crash.describe(), "killed by signal 11 (SIGSEGV)");
  for (const auto& [signal, name] : std::vector<std::pair<int, std::string>>{{SIGABRT, " (SIGABRT)"},
                                                                             {SIGBUS, " (SIGBUS)"},
                                                                             {SIGFPE, " (SIGFPE)"},
                                                                             {SIGILL, " (SIGILL)"},
                                                                             {SIGINT, " (SIGINT)"},
                                                                             {SIGKILL, " (SIGKILL)"},
                                                                             {SIGPIPE, " (SIGPIPE)"},
                                                                             {SIGTERM, " (SIGTERM)"},
                                                                             {SIGTRAP, " (SIGTRAP)"},
                                                                             {SIGUSR1, ""}})
    EXPECT_EQ(run_child({"signal", std::to_string(signal)}).describe(),
              "killed by signal " + std::to_string(signal) + name);
}

TEST(RunProcess, KillsAtTheLimit) {
  const auto start = std::chrono::steady_clock::now();
  const ProcessResult hang = run_child({"hang"}, 500ms);
  EXPECT_EQ(hang.describe(), "killed after 0.5 s");
  EXPECT_EQ(hang.out, "before\n");
  EXPECT_GE(std::chrono::steady_clock::now() - start, 500ms);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 30s);
}

TEST(RunProcess, LeavesNoDescendants) {
  const TemporaryFolder folder;
  const auto lock = folder / "lock";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(run_child({"descendant", lock.string()}).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, 30s) << "waited for the pipe that the descendant holds";
  EXPECT_TRUE(lock_becomes_free(lock));
  EXPECT_EQ(run_child({"descendant-hang", lock.string()}, 500ms).end, ProcessResult::End::timed_out);
  EXPECT_TRUE(lock_becomes_free(lock));
}

TEST(RunProcess, LeavesNoZombie) {
  run_child({"exit", "0"});
  run_child({"hang"}, 100ms);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was not waited for";
}

TEST(RunProcess, MissingProgramIsRefused) {
  const Error error = error_of([] { run_process({"/no/such/program"}, kLong); });
  EXPECT_EQ(error.code(), ExitCode::refused);
  EXPECT_THAT(error.what(), HasSubstr("/no/such/program: cannot start: No such file"));
  EXPECT_THROW(run_process({}, kLong), std::invalid_argument);
}

TEST(RunProcess, RunsFromSeveralThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([i] {
      for (int round = 0; round < 10; ++round) {
        // cat ends only when its input ends: with a leaked descriptor it would hang until the limit.
        const std::string input(100'000, static_cast<char>('a' + i));
        EXPECT_EQ(run_child({"cat"}, kLong, input).out, input);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(RunProcess, StandardOutputIsTheFileNamedDash) { EXPECT_EQ(run_child({"stdout"}).out, "to standard output"); }

TEST(RunProcess, ExecutablePathIsThatOfTheProgram) {
  namespace fs = std::filesystem;
  EXPECT_EQ(fs::canonical(run_child({"executable-path"}).out), fs::canonical(ANEVAL_TEST_CHILD));
}

WorkerOptions options(std::chrono::milliseconds limit = kLong) {
  return {.command = {ANEVAL_TEST_CHILD, "worker"}, .limit = limit};
}

TEST(Worker, OneProcessAnswersManyTasks) {
  Worker worker(options());
  std::set<std::string> pids;
  for (int i = 0; i < 20; ++i) {
    const TaskResult echo = worker.run("echo task " + std::to_string(i), 0);
    ASSERT_EQ(echo.end, TaskResult::End::done) << echo.reason;
    EXPECT_EQ(echo.reply, "task " + std::to_string(i));
    pids.insert(worker.run("pid", 0).reply);
  }
  EXPECT_EQ(pids.size(), 1u);
  EXPECT_EQ(worker.processes_started(), 1);
}

TEST(Worker, BigTasksAndReplies) {
  Worker worker(options());
  const std::string big(3'000'000, 't');
  EXPECT_EQ(worker.run("echo " + big, 0).reply, big);
  EXPECT_EQ(worker.run("big 3000000", 0).reply, std::string(3'000'000, 'b'));
}

TEST(Worker, DeathIsReportedWithLastWordsAndReplaced) {
  Worker worker(options());
  const TaskResult crash = worker.run("crash", 0);
  EXPECT_EQ(crash.end, TaskResult::End::died);
  EXPECT_EQ(crash.reason, "killed by signal 11 (SIGSEGV): about to crash");
  EXPECT_EQ(worker.run("exit 5", 0).reason, "exit code 5");
  // 200 bytes of them, and no half of a character.
  std::string kept = "exit code 6: ";
  for (int i = 0; i < 66; ++i) kept += "…";
  EXPECT_EQ(worker.run("last-words 6", 0).reason, kept);
  EXPECT_EQ(worker.run("echo alive", 0).reply, "alive");
  EXPECT_EQ(worker.processes_started(), 4);
}

TEST(Worker, HangIsKilledAndReplaced) {
  Worker worker(options(1s));
  const TaskResult hang = worker.run("hang", 0);
  EXPECT_EQ(hang.end, TaskResult::End::timed_out);
  EXPECT_EQ(hang.reason, "killed after 1 s");
  EXPECT_EQ(worker.run("echo alive", 0).reply, "alive");
  EXPECT_EQ(worker.processes_started(), 2);
}

TEST(Worker, ReplacedBeforeItsCompilesRunOut) {
  WorkerOptions limited = options();
  limited.compiles_per_process = 10;
  Worker worker(limited);
  std::vector<std::int64_t> started;
  for (const std::int64_t compiles : {4, 4, 2, 1, 9, 1, 0, 25, 0}) {
    EXPECT_EQ(worker.run("echo", compiles).end, TaskResult::End::done);
    started.push_back(worker.processes_started());
  }
  EXPECT_THAT(started, testing::ElementsAre(1, 1, 1, 2, 2, 3, 3, 4, 5));
}

TEST(Worker, ChatterOnStandardOutputIsNoReply) {
  Worker worker(options());
  EXPECT_EQ(worker.run("print answer", 0).reply, "answer");
  EXPECT_EQ(worker.run("echo next", 0).reply, "next");
  EXPECT_EQ(worker.processes_started(), 1);
}

TEST(Worker, KilledBetweenTasksIsReplacedUnnoticed) {
  Worker worker(options());
  ::kill(static_cast<pid_t>(std::stol(worker.run("pid", 0).reply)), SIGKILL);
  std::this_thread::sleep_for(200ms);
  EXPECT_EQ(worker.run("echo alive", 0).reply, "alive");
  EXPECT_EQ(worker.processes_started(), 2);
}

TEST(Worker, LineFeedsAreMistakesOfTheCaller) {
  Worker worker(options());
  EXPECT_THROW(worker.run("a\nb", 0), std::logic_error);
  EXPECT_EQ(worker.run("multiline", 0).end, TaskResult::End::died);
}

TEST(Worker, MissingProgramIsRefused) {
  Worker worker({.command = {"/no/such/program"}});
  EXPECT_EQ(error_of([&] { worker.run("echo", 0); }).code(), ExitCode::refused);
}

TEST(Worker, EndsWithItsOwner) {
  {
    Worker(options()).run("echo", 0);
  }
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child was not waited for";
}

}  // namespace
}  // namespace aneval
