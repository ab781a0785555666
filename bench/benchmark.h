// What a benchmark is: a name, the columns that its records share, and how to prepare the thing that is timed.
//
// To add one: a Benchmark value in one of the suites (suites.h). Timing, warm-up, repetitions, records, console and
// the checks around the timed part are the runner's (runner.h).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/record.h"
#include "common/vocabulary.h"

namespace aneval::bench {

/// What one run moves and computes; zero where it has no meaning.
struct Work {
  double region_bytes = 0;  // of the surface region touched: metric bytes
  double moved_bytes = 0;   // read + written: gb_per_s
  double flops = 0;         // tflops
};

/// What a benchmark is held against: the same work done another way, in alternation, run by run. The ratio of each pair
/// is recorded, because whatever slows this machine for a while slows both.
struct Yardstick {
  enum class Ratio {
    rate,  // the yardstick's time / ours: which part of its speed we reach
    time,  // ours / the yardstick's: how many times as long we take
  };
  std::string name;  // "memcpy"
  Ratio ratio = Ratio::rate;
  std::optional<double> target = {};  // at least, of a rate; at most, of a time
};

/// Pairs of runs of one repetition.
inline constexpr std::int64_t kRatioPairs = 21;

/// A prepared benchmark. `run` alone is timed, and `yardstick`; everything else happens outside.
struct Subject {
  std::function<void()> before;     // before every run: poison, zeroed accumulators
  std::function<void()> run;        // throws Error when the device fails
  std::function<void()> after;      // after every run: throws Error when what it wrote is wrong
  std::function<void()> yardstick;  // when the benchmark has one
  double yardstick_ns = 0;          // in its place: a time that is never exceeded
  std::function<void()> finished;   // after a series of runs: the same, where a check per run would cost too much
  std::function<void()> warm;       // when the runs before were warm-up: forget what they measured
  std::int64_t batch = 1;           // runs between two clock readings, for what takes less than microseconds
  Work work;
  std::function<std::vector<std::pair<std::string, double>>()> counters;  // for the console, after a series
  /// Rows beside the times: hashes, counts, shares of steps. Called once, after the last run. Only what differs from
  /// the benchmark's own row needs to be set: see fact() in common/vocabulary.h.
  std::function<std::vector<Record>(const Record& row)> facts;
};

struct Benchmark {
  std::string name;                         // "sdpaFwd/eval/Qwen3-0.6B"
  Record row;                               // model, seq, kernel, variant, case_text, item, phase
  std::int64_t version = 1;                 // raise it when what is timed changes; the gate then says NOT_COMPARABLE
  bool on_device = true;                    // its numbers carry the backend's name on the console
  std::int64_t iterations = 0;              // of one repetition; 0: Google Benchmark chooses by --benchmark_min_time
  std::optional<Yardstick> yardstick = {};  // then iterations are kRatioPairs unless given
  std::function<Subject()> prepare;
};

}  // namespace aneval::bench
