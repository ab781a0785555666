#include "cli/watchdog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "common/error.h"

namespace aneval::cli {

Watchdog::Watchdog(const WatchdogLimits& limits) : limits_(limits), thread_([this] { watch(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watchdog::before_the_end(LastWords last_words) {
  const std::lock_guard lock(mutex_);
  last_words_ = std::move(last_words);
}

void Watchdog::begins(std::string_view call, const std::string& program) {
  // Within what benchmarks time: no notification, which would be a system call, and no text until one is needed.
  const std::lock_guard lock(mutex_);
  call_ = Call{call, program, std::chrono::steady_clock::now()};
}

void Watchdog::ended() {
  const std::lock_guard lock(mutex_);
  call_.reset();
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  const auto pause = std::min({limits_.compile, limits_.evaluation, std::chrono::milliseconds(1000)});
  for (;;) {
    changed_.wait_for(lock, pause, [this] { return stop_; });
    if (stop_) return;
    if (!call_) continue;
    const bool evaluation = call_->call == "eval";
    const auto limit = evaluation ? limits_.evaluation : limits_.compile;
    if (std::chrono::steady_clock::now() - call_->begin < limit) continue;
    const Status status = evaluation ? Status::run_timeout : Status::compile_timeout;
    const std::string reason = fmt::format("{} of {} has not returned for {} s", call_->call, call_->program,
                                           std::chrono::duration<double>(limit).count());
    if (last_words_) last_words_(status, reason);
    std::fflush(stdout);
    // The status first: whoever started this process as a worker takes it for the case's row.
    std::fprintf(stderr, "aneval: %s: %s: see `aneval doctor`, or give a longer --time-limit\n",
                 std::string(status_name(status)).c_str(), reason.c_str());
    // Without destructors: they would wait for the call.
    ::_exit(static_cast<int>(ExitCode::refused));
  }
}

}  // namespace aneval::cli
