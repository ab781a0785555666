// One benchmark while it is measured: its subject, its series, what went wrong, and the records at the end.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ane/device.h"
#include "bench/benchmark.h"
#include "bench/samples.h"
#include "common/error.h"

namespace aneval::bench {

class Measurement {
 public:
  Measurement(Benchmark benchmark, const ane::Device& device) : benchmark_(std::move(benchmark)), device_(device) {}

  const Benchmark& benchmark() const { return benchmark_; }

  /// Prepares the subject when there is none yet.
  void prepare();
  /// Runs until times are stable, at most kWarmUpNs (but three times at least).
  void warm_up();
  /// Starts a series; iterate() is called once per iteration and gives its time in nanoseconds.
  void begin_series();
  double iterate();
  void end_series();

  /// Counts of the device per iteration of the last series; a fraction would mean that runs differ.
  struct Counts {
    double compiles = 0, loads = 0, dispatches = 0;
  };
  const Counts& counts() const { return counts_; }
  const Work& work() const { return subject_->work; }
  /// What the subject wants to be seen beside its times.
  std::vector<std::pair<std::string, double>> counters() const;
  std::int64_t warm_up_count() const { return warm_up_count_; }
  const std::vector<Series>& series() const { return series_; }

  void fail(const Error& error);
  bool failed() const { return status_ != Status::ok; }
  const std::string& reason() const { return reason_; }

  /// Rows from the last `repetitions` series (the ones before were Google Benchmark's search for a number of
  /// iterations), or the row of a failure; and what benchmark they are of. Run columns are filled in. Frees the
  /// subject.
  std::vector<Record> finish(std::size_t repetitions, const RunContext& run);

 private:
  /// before, run, after; adds to cpu_ns and returns nanoseconds, both of one run.
  double timed_run(double& cpu_ns);
  double timed_yardstick();
  /// Ratios of the pairs of a series, ascending.
  std::vector<double> ratios(const Series& series) const;
  void add_ratio_rows(std::span<const Series> series, const Record& base, std::vector<Record>& rows) const;

  Benchmark benchmark_;
  const ane::Device& device_;
  std::optional<Subject> subject_;
  std::vector<Series> series_;
  ane::DeviceCounters at_start_;
  Counts counts_;
  std::int64_t warm_up_count_ = 0;
  double first_ns_ = 0;  // of the very first run
  std::string warm_up_note_;
  Status status_ = Status::ok;
  std::string reason_;
};

/// Warm-up ends here when times do not become stable.
inline constexpr double kWarmUpNs = 2e8;

}  // namespace aneval::bench
