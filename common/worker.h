// Child processes with a time limit. A hanging call into the engine ends only with its process, and Apple's compiler
// refuses after about 119 compiles per process: so work runs in `aneval worker` children that are replaced when they
// die, hang, or have used up their compile budget.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aneval {

/// How a child process ended.
struct ProcessResult {
  enum class End { exited, signalled, timed_out };
  End end = End::exited;
  int code = 0;                        // exit code, or signal number
  std::chrono::milliseconds limit{0};  // that it was given
  std::string out, err;

  bool ok() const { return end == End::exited && code == 0; }
  std::string describe() const;  // "exit code 1", "killed by signal 11 (SIGSEGV)", "killed after 30 s"
};

/// Runs a program (looked up in PATH) to its end with `input` on its standard input. It gets a process group of its
/// own, which is killed as a whole at the time limit, and when the program itself has ended: nothing it started stays
/// behind. Throws a refusal when the program cannot be started. `stop` is asked about every 20 ms: true kills it.
ProcessResult run_process(const std::vector<std::string>& command, std::chrono::milliseconds limit,
                          std::string_view input = {}, const std::function<bool()>& stop = {});

/// Path of the running executable, absolute: for starting it again, never for output.
std::string executable_path();

struct WorkerOptions {
  std::vector<std::string> command;         // e.g. {executable_path(), "worker"}
  std::chrono::milliseconds limit{60'000};  // per task
  std::int64_t compiles_per_process = 90;   // a worker is replaced before it would exceed this; a task that alone
                                            // needs more gets a worker of its own
};

/// What became of a task.
struct TaskResult {
  enum class End { done, died, timed_out };
  End end = End::done;
  std::string reply;   // when done
  std::string reason;  // when not: how the worker ended, and its last words on standard error; one line
};

/// A child that takes tasks as lines on its standard input and answers each with one line on its standard output.
/// Tasks and replies contain no line feed (JSON does not).
class Worker {
 public:
  explicit Worker(WorkerOptions options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Sends one task that needs `compiles` compiles and waits for the reply. A worker that dies or exceeds the limit is
  /// killed, and the next task starts a new one. Throws a refusal when the program cannot be started.
  TaskResult run(std::string_view task, std::int64_t compiles);
  std::int64_t processes_started() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The child's side: calls `handle` for every line of standard input and writes its reply, until the input ends. What
/// else is printed to standard output meanwhile, by whatever library, goes to standard error instead. An exception of
/// `handle` leaves this function.
void serve_tasks(const std::function<std::string(std::string_view task)>& handle);

}  // namespace aneval
