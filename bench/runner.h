// Runs benchmarks through Google Benchmark with manual time and writes their records.
//
//   prepare -> warm-up until times are stable -> series of { before, [run], after } -> finished -> rows
//
// Only what stands in brackets is between two readings of the clock. Poison, checks of hashes and zeroing happen
// outside, and Google Benchmark's PauseTiming is never used.
#pragma once

#include <functional>
#include <vector>

#include "ane/device.h"
#include "bench/benchmark.h"
#include "bench/google.h"
#include "common/result_file.h"

namespace aneval::bench {

struct RunnerOptions {
  const ane::Device* device = nullptr;                // whose counters are watched; required
  ResultFile::Options results;                        // its `planned` is filled in
  std::function<void(ResultFile&)> opened = {};       // gets the file before the first benchmark, for rows of others
  std::function<std::vector<Record>()> closing = {};  // the last rows: what the machine is like by then
  std::function<void()> before_device = {};           // before a benchmark of the device is prepared: throws Error when
                                                      // there is nothing to time
  std::optional<std::uint64_t> order_seed = {};       // then in an order that this seed shuffles
  std::function<int()> interrupted;                   // 0, or the signal that ends the run early; may be null
};

struct RunnerOutcome {
  std::int64_t planned = 0, ok = 0, failed = 0;
  int signal = 0;
  std::vector<std::string> failures;  // "NAME: reason"
};

/// Benchmarks whose name the filter chooses, in their order or a shuffled one, in which the common benchmarks of two
/// builds follow each other alike, whatever else each of them has (Google Benchmark may interleave them at random). A
/// benchmark that throws becomes a row with its status and reason; the others go on. Errors: no name is chosen.
RunnerOutcome run_benchmarks(const std::vector<Benchmark>& benchmarks, const GoogleFlags& flags,
                             const RunnerOptions& options);

/// The names as Google Benchmark has them, one per line, for --benchmark_list_tests.
void list_benchmarks(const std::vector<Benchmark>& benchmarks, const GoogleFlags& flags);

}  // namespace aneval::bench
