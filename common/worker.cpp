// Programs run to their end, and workers that take tasks (worker.h), both on ChildProcess.
#include "common/worker.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <stdexcept>

#include "common/child_process.h"
#include "common/error.h"
#include "common/posix.h"

namespace aneval {
namespace {

using std::chrono::milliseconds;

/// How long a worker may take to end by itself after its input was closed.
constexpr milliseconds kGoodbyePatience{2000};
constexpr std::size_t kLastWordsBytes = 200;  // of standard error in a reason

std::string_view signal_name(int signal) {
  switch (signal) {
    case SIGABRT:
      return "SIGABRT";
    case SIGBUS:
      return "SIGBUS";
    case SIGFPE:
      return "SIGFPE";
    case SIGILL:
      return "SIGILL";
    case SIGINT:
      return "SIGINT";
    case SIGKILL:
      return "SIGKILL";
    case SIGPIPE:
      return "SIGPIPE";
    case SIGSEGV:
      return "SIGSEGV";
    case SIGTERM:
      return "SIGTERM";
    case SIGTRAP:
      return "SIGTRAP";
    default:
      return {};
  }
}

/// The last line that is not empty, fit for a field of a record: no control characters, bounded, cut between
/// characters.
std::string last_words(std::string_view text) {
  const auto end = text.find_last_not_of("\r\n \t");
  if (end == std::string_view::npos) return {};
  text = text.substr(0, end + 1);
  text = text.substr(text.find_last_of('\n') + 1);
  if (text.size() > kLastWordsBytes) {
    std::size_t cut = kLastWordsBytes;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
    text = text.substr(0, cut);
  }
  std::string words(text);
  std::replace_if(
      words.begin(), words.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  return words;
}

}  // namespace

std::string ProcessResult::describe() const {
  if (end == End::timed_out) return fmt::format("killed after {} s", static_cast<double>(limit.count()) / 1000);
  if (end == End::exited) return fmt::format("exit code {}", code);
  const std::string_view name = signal_name(code);
  return name.empty() ? fmt::format("killed by signal {}", code) : fmt::format("killed by signal {} ({})", code, name);
}

ProcessResult run_process(const std::vector<std::string>& command, milliseconds limit, std::string_view input,
                          const std::function<bool()>& stop) {
  const auto deadline = ChildProcess::Clock::now() + limit;
  ChildProcess child(command);
  const ChildProcess::Wait wait = child.communicate(input, deadline, stop);
  ProcessResult result = child.finish();
  child.drain();
  if (wait == ChildProcess::Wait::timed_out) {
    result.end = ProcessResult::End::timed_out;
    result.code = SIGKILL;
  }
  result.limit = limit;
  result.out = std::move(child.out);
  result.err = std::move(child.err);
  return result;
}

struct Worker::State {
  WorkerOptions options;
  std::optional<ChildProcess> child;
  std::int64_t compiles_used = 0;
  std::int64_t started = 0;

  /// Lets the worker end by itself, then makes sure.
  void stop() {
    if (!child) return;
    child->close_input();
    child->wait_for_end(kGoodbyePatience);
    child.reset();
  }

  /// A worker that is alive, owes no reply, and has `compiles` left.
  void make_ready(std::int64_t compiles) {
    if (child) {
      child->drain();
      if (child->has_ended() || !child->out.empty() || compiles_used + compiles > options.compiles_per_process) stop();
    }
    if (!child) {
      child.emplace(options.command);
      ++started;
      compiles_used = 0;
    }
    compiles_used += compiles;
  }

  TaskResult give_up(TaskResult::End end) {
    ProcessResult result = child->finish();
    child->drain();
    if (end == TaskResult::End::timed_out) result.end = ProcessResult::End::timed_out;
    result.limit = options.limit;
    const std::string words = last_words(child->err);
    child.reset();
    return {end, {}, words.empty() ? result.describe() : fmt::format("{}: {}", result.describe(), words)};
  }
};

Worker::Worker(WorkerOptions options) : state_(std::make_unique<State>()) { state_->options = std::move(options); }

Worker::~Worker() { state_->stop(); }

std::int64_t Worker::processes_started() const { return state_->started; }

TaskResult Worker::run(std::string_view task, std::int64_t compiles) {
  if (task.find('\n') != std::string_view::npos) throw std::logic_error("Worker: a line feed inside a task");
  State& state = *state_;
  const auto deadline = ChildProcess::Clock::now() + state.options.limit;
  state.make_ready(compiles);
  ChildProcess& child = *state.child;
  child.err.clear();
  std::size_t searched = 0, end_of_reply = std::string::npos;
  const auto replied = [&] {
    end_of_reply = child.out.find('\n', searched);
    searched = child.out.size();
    return end_of_reply != std::string::npos;
  };
  switch (child.exchange(std::string(task) + '\n', deadline, replied)) {
    case ChildProcess::Wait::ended:
      return state.give_up(TaskResult::End::died);
    case ChildProcess::Wait::timed_out:
      return state.give_up(TaskResult::End::timed_out);
    case ChildProcess::Wait::done:
      break;
  }
  TaskResult result{TaskResult::End::done, child.out.substr(0, end_of_reply), {}};
  child.out.erase(0, end_of_reply + 1);
  return result;
}

void serve_tasks(const std::function<std::string(std::string_view task)>& handle) {
  // Replies get a descriptor of their own, so that a library's chatter on standard output cannot pass for one.
  class ReplyChannel {
   public:
    ReplyChannel() {
      std::fflush(stdout);
      descriptor_ = Descriptor(::dup(STDOUT_FILENO));
      ::dup2(STDERR_FILENO, STDOUT_FILENO);
    }
    ~ReplyChannel() {
      std::fflush(stdout);
      ::dup2(descriptor_.get(), STDOUT_FILENO);
    }
    bool send(const std::string& line) { return write_fully(descriptor_.get(), line.data(), line.size()); }

   private:
    Descriptor descriptor_;
  } replies;

  std::string pending;
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const ssize_t count = read_retrying(STDIN_FILENO, buffer.data(), buffer.size());
    if (count <= 0) return;  // a last line without its line feed is a task that was never sent completely
    pending.append(buffer.data(), static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      std::string reply = handle(std::string_view(pending).substr(begin, end - begin));
      if (reply.find('\n') != std::string::npos) throw std::logic_error("serve_tasks: a line feed inside a reply");
      reply += '\n';
      if (!replies.send(reply)) return;
    }
    pending.erase(0, begin);
  }
}

}  // namespace aneval
