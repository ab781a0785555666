// Benchmarks whose result is a ratio to a yardstick, with the target that the project sets itself. All names begin with
// "ratio/", so that `--benchmark_filter=ratio/` prints what the harness claims about its own speed.
//
// A target is no test: a machine may be busy. It is stated beside the ratio, in the console and in the summary.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/suites.h"

namespace aneval::bench {

/// "ratio/NAME"; NAME is also the item of its rows.
Benchmark ratio_benchmark(const std::string& name, Yardstick yardstick, std::function<Subject()> prepare);

/// Fraction of the yardstick's speed.
Yardstick at_least(double target, std::string name);
/// Multiple of the yardstick's time.
Yardstick at_most(double target, std::string name);
/// A time that is never exceeded: Subject::yardstick_ns.
Yardstick within(std::string time);
/// To be known, without a target.
Yardstick beside(std::string name, Yardstick::Ratio ratio = Yardstick::Ratio::rate);
/// Without its target unless this build is tuned for this machine: Eigen's products are, when built for any machine, a
/// fraction as fast.
Yardstick in_native_builds(Yardstick yardstick);

/// One Benchmark list per room, put together by ratio_suite (suites.h).
std::vector<Benchmark> staging_ratios(const SuiteOptions& options);
std::vector<Benchmark> surface_ratios(const SuiteOptions& options);
std::vector<Benchmark> emulator_ratios(const SuiteOptions& options);
std::vector<Benchmark> reference_ratios(const SuiteOptions& options);
std::vector<Benchmark> judge_ratios(const SuiteOptions& options);
std::vector<Benchmark> overhead_ratios(const SuiteOptions& options);

/// Copies `bytes` between one pair of buffers after the other, as many pairs as given: more than one so that no cache
/// holds them all.
std::function<void()> rotating_memcpy(std::int64_t bytes, std::int64_t pairs);

}  // namespace aneval::bench
