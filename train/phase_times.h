// Where a training step's time goes: nanoseconds by phase (common/vocabulary.h) and by what the phase belongs to:
// `forward`, `backward`, `step`, or `worker` for weight gradients that another thread makes meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace aneval::train {

class PhaseTimes {
 public:
  using Key = std::pair<std::string, std::string>;  // item, phase

  void add(std::string_view item, std::string_view phase, std::int64_t nanoseconds) {
    times_[{std::string(item), std::string(phase)}] += nanoseconds;
  }
  const std::map<Key, std::int64_t>& all() const { return times_; }
  void clear() { times_.clear(); }

 private:
  std::map<Key, std::int64_t> times_;
};

/// Adds the time of its scope.
class PhaseScope {
 public:
  PhaseScope(PhaseTimes& times, std::string_view item, std::string_view phase)
      : times_(times), item_(item), phase_(phase), begin_(std::chrono::steady_clock::now()) {}
  ~PhaseScope() {
    const auto passed = std::chrono::steady_clock::now() - begin_;
    times_.add(item_, phase_, std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count());
  }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  PhaseTimes& times_;
  std::string_view item_, phase_;
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace aneval::train
