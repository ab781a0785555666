// One child process with pipes on its three standard descriptors and a process group of its own. For worker.cpp only;
// other rooms use run_process and Worker (worker.h).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/posix.h"
#include "common/worker.h"

namespace aneval {

class ChildProcess {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Wait { done, ended, timed_out };

  /// Starts it, or throws a refusal.
  explicit ChildProcess(const std::vector<std::string>& command);
  /// Kills what is left of the process group.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Sends `input` and collects output until `done()` holds, the process has ended, or the deadline has passed.
  Wait exchange(std::string_view input, Clock::time_point deadline, const std::function<bool()>& done);
  /// Sends `input` and the end of the input, and collects output until the process has ended, the deadline has passed,
  /// or `stop()` holds (done). `stop` may be null.
  Wait communicate(std::string_view input, Clock::time_point deadline, const std::function<bool()>& stop);
  /// Collects what lies in the pipes now.
  void drain();
  void close_input() { in_.reset(); }
  bool has_ended();
  /// Waits at most `patience` for the end.
  bool wait_for_end(std::chrono::milliseconds patience);
  /// Kills the group and takes the process' status: exited or signalled, with its code. `out` and `err` stay empty.
  ProcessResult finish();

  std::string out, err;  // what it has written and nobody has taken

 private:
  void send(std::string_view& input);
  Wait exchange(std::string_view input, bool close_after_input, Clock::time_point deadline,
                const std::function<bool()>& done);

  pid_t pid_ = -1;
  bool reaped_ = false;
  Descriptor in_, out_, err_;
};

}  // namespace aneval
