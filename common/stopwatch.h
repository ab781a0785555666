// The wall time of a phase, for whatever is measured: benchmarks, the steps of a layer, the judging of a case.
#pragma once

#include <chrono>
#include <cstdint>

namespace aneval {

/// Runs from its construction. Reads the steady clock once to start and once per reading, and does nothing else:
/// benchmark ratio/stopwatch.
class Stopwatch {
 public:
  Stopwatch() : start_(Clock::now()) {}
  void restart() { start_ = Clock::now(); }
  /// Nanoseconds since the start.
  std::int64_t ns() const { return std::chrono::nanoseconds(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_;
};

}  // namespace aneval
