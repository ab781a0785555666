// Ends a process whose device does not return. Nobody can take a call back from the engine; what can be done is to say
// which one it was, in the results as well, and to end the process instead of hanging a CI job until it is killed.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "ane/device.h"
#include "common/record.h"

namespace aneval::cli {

struct WatchdogLimits {
  std::chrono::milliseconds compile{600'000};  // and loads; the slowest published compile takes eight seconds
  std::chrono::milliseconds evaluation{60'000};
};

class Watchdog : public ane::CallObserver {
 public:
  explicit Watchdog(const WatchdogLimits& limits);
  ~Watchdog() override;
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Called by the watchdog's own thread before it ends the process (exit code 3), with the status and the reason of a
  /// row: for a last row in the results, while the thread that writes them is held by the call.
  using LastWords = std::function<void(Status status, const std::string& reason)>;
  void before_the_end(LastWords last_words);

  void begins(std::string_view call, const std::string& program) override;
  void ended() override;

 private:
  struct Call {
    std::string_view call;
    std::string program;
    std::chrono::steady_clock::time_point begin;
  };

  void watch();

  const WatchdogLimits limits_;
  LastWords last_words_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Call> call_;
  bool stop_ = false;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace aneval::cli
