// From the times of single runs to what is recorded: samples, and when times are stable enough to begin.
#pragma once

#include <cstdint>
#include <vector>

namespace aneval::bench {

/// One repetition: the time of every iteration in nanoseconds (a batch's time divided by its runs).
struct Series {
  std::vector<double> ns = {};
  std::vector<double> yardstick_ns = {};  // of the run beside it; empty without a yardstick
  double cpu_ns = 0;                      // all threads, all iterations
};

/// Records keep at most this many samples of a repetition: enough for a distribution, and a result file stays readable.
inline constexpr std::size_t kSamplesPerSeries = 32;

/// The series itself when it is short, else means of consecutive iterations, in groups whose sizes differ by at most
/// one. So the mean of the samples is (nearly) Google Benchmark's own number.
std::vector<double> samples_of(const Series& series);

/// Decides when warm-up may end: the last three medians of three consecutive times agree within 2 %, so that neither a
/// single outlier nor a slow drift passes for stable.
class Stability {
 public:
  void add(double ns) { times_.push_back(ns); }
  bool reached() const;
  std::int64_t count() const { return static_cast<std::int64_t>(times_.size()); }

 private:
  std::vector<double> times_;
};

inline constexpr double kStableSpread = 0.02;

}  // namespace aneval::bench
