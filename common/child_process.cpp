// posix_spawn, poll and waitid (child_process.h).
#include "common/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "common/error.h"

extern char** environ;  // POSIX leaves its declaration to the program

namespace aneval {
namespace {

using std::chrono::milliseconds;

/// A process that hangs inside the kernel ignores even SIGKILL: it is given up after this long and left to the system.
constexpr milliseconds kReapPatience{5000};
/// A child may end while something it started keeps the pipes open, so its end is also looked for this often.
constexpr milliseconds kEndCheckInterval{20};

struct Pipe {
  Descriptor read, write;
};

/// Descriptors above the standard ones, so that dup2 in the child never meets its own source; closed by exec.
Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0)
    throw refusal("pipe", "cannot make one: " + errno_text(), "raise the limit on open files");
  const Descriptor read(ends[0]), write(ends[1]);
  Pipe pipe{Descriptor(::fcntl(ends[0], F_DUPFD_CLOEXEC, 3)), Descriptor(::fcntl(ends[1], F_DUPFD_CLOEXEC, 3))};
  if (!pipe.read || !pipe.write)
    throw refusal("pipe", "cannot make one: " + errno_text(), "raise the limit on open files");
  return pipe;
}

void make_nonblocking(const Descriptor& descriptor) {
  ::fcntl(descriptor.get(), F_SETFL, ::fcntl(descriptor.get(), F_GETFL) | O_NONBLOCK);
}

/// Writing to a child that died must be an error code, not the end of this process. Only this thread's mask changes.
class SigpipeBlocked {
 public:
  SigpipeBlocked() {
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    was_pending_ = pending();
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &previous_);
  }
  ~SigpipeBlocked() {
    const int error = errno;
    int signal = 0;
    if (!was_pending_ && pending()) ::sigwait(&sigpipe_, &signal);
    ::pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
    errno = error;
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;

 private:
  static bool pending() {
    sigset_t set;
    sigemptyset(&set);
    ::sigpending(&set);
    return sigismember(&set, SIGPIPE) == 1;
  }
  sigset_t sigpipe_, previous_;
  bool was_pending_;
};

/// Reads what is there without waiting; closes at the end of the stream.
void read_available(Descriptor& descriptor, std::string& text) {
  std::array<char, 1 << 16> buffer;
  while (descriptor) {
    const ssize_t count = read_retrying(descriptor.get(), buffer.data(), buffer.size());
    if (count > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (count < 0 && errno == EAGAIN) {
      return;
    } else {
      descriptor.reset();
    }
  }
}

/// Attributes and file actions of posix_spawn, released with their scope.
struct SpawnPlan {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    sigset_t none, reset;
    sigemptyset(&none);
    sigemptyset(&reset);
    sigaddset(&reset, SIGPIPE);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &reset);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
};

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command) {
  if (command.empty()) throw std::invalid_argument("ChildProcess: no command");
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  // pipe() and the close-on-exec flag are two calls on macOS: a child started by another thread between them would keep
  // this child's input open for ever.
  static std::mutex spawning;
  const std::lock_guard lock(spawning);
  Pipe in = make_pipe(), output = make_pipe(), errors = make_pipe();
  SpawnPlan plan;
  ::posix_spawn_file_actions_adddup2(&plan.actions, in.read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&plan.actions, output.write.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&plan.actions, errors.write.get(), STDERR_FILENO);
  const int error = ::posix_spawnp(&pid_, arguments[0], &plan.actions, &plan.attributes, arguments.data(), environ);
  if (error != 0)
    throw refusal(command[0], "cannot start: " + errno_text(error),
                  "check that the program exists and may be executed");
  in_ = std::move(in.write);
  out_ = std::move(output.read);
  err_ = std::move(errors.read);
  make_nonblocking(in_);
  make_nonblocking(out_);
  make_nonblocking(err_);
}

ChildProcess::~ChildProcess() { finish(); }

void ChildProcess::send(std::string_view& input) {
  const SigpipeBlocked guard;
  while (!input.empty()) {
    const ssize_t count = ::write(in_.get(), input.data(), input.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) {
      // It no longer reads: what becomes of it is for its end to tell.
      in_.reset();
      input = {};
      return;
    }
    input.remove_prefix(static_cast<std::size_t>(count));
  }
}

void ChildProcess::drain() {
  read_available(out_, out);
  read_available(err_, err);
}

ChildProcess::Wait ChildProcess::exchange(std::string_view input, Clock::time_point deadline,
                                          const std::function<bool()>& done) {
  return exchange(input, false, deadline, done);
}

ChildProcess::Wait ChildProcess::communicate(std::string_view input, Clock::time_point deadline,
                                             const std::function<bool()>& stop) {
  return exchange(input, true, deadline, [&] { return stop && stop(); });
}

ChildProcess::Wait ChildProcess::exchange(std::string_view input, bool close_after_input, Clock::time_point deadline,
                                          const std::function<bool()>& done) {
  for (;;) {
    if (in_ && !input.empty()) send(input);
    if (input.empty() && close_after_input) close_input();
    const bool ended = has_ended();  // before the last look into the pipes: afterwards nothing more comes
    drain();
    if (done()) return Wait::done;
    if (ended) return Wait::ended;
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return Wait::timed_out;

    // poll ignores negative descriptors, which are the closed ones.
    std::array<pollfd, 3> waiting = {pollfd{out_.get(), POLLIN, 0}, pollfd{err_.get(), POLLIN, 0},
                                     pollfd{input.empty() ? -1 : in_.get(), POLLOUT, 0}};
    const milliseconds interval = out_ || err_ ? kEndCheckInterval : milliseconds(1);
    ::poll(waiting.data(), waiting.size(), static_cast<int>(std::min(left, interval).count()));
  }
}

bool ChildProcess::has_ended() {
  if (reaped_) return true;
  siginfo_t info{};
  int result;
  // WNOWAIT keeps its process id, and with it the group's, from being given to others before the group is killed.
  do result = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
  while (result != 0 && errno == EINTR);
  return result != 0 || info.si_pid == pid_;
}

bool ChildProcess::wait_for_end(milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  while (!has_ended()) {
    if (Clock::now() >= deadline) return false;
    drain();  // it may be waiting for room in a pipe
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

ProcessResult ChildProcess::finish() {
  ProcessResult result;
  if (reaped_ || pid_ < 0) return result;
  ::kill(-pid_, SIGKILL);
  reaped_ = true;
  int status = 0;
  const auto deadline = Clock::now() + kReapPatience;
  for (pid_t waited = 0; waited != pid_;) {
    waited = ::waitpid(pid_, &status, WNOHANG);
    if (waited < 0 && errno != EINTR) return result;
    if (waited == 0) {
      if (Clock::now() >= deadline) {
        status = SIGKILL;
        break;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  if (WIFSIGNALED(status)) {
    result.end = ProcessResult::End::signalled;
    result.code = WTERMSIG(status);
  } else {
    result.code = WEXITSTATUS(status);
  }
  return result;
}

}  // namespace aneval
