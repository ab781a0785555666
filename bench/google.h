// What stands between this project and Google Benchmark: its command line, and reporters that keep a promise it does
// not know (no host name leaves the process).
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

namespace aneval::bench {

/// Flags of the command line, checked: Google Benchmark itself takes zero repetitions for one, ignores what it does not
/// know until the end, and exits on a file that it cannot open. `--benchmark_min_time=0.05s` and `=0.05` mean the same
/// whatever its version. Errors name the flag.
class GoogleFlags {
 public:
  explicit GoogleFlags(const std::vector<std::string>& arguments);

  /// Hands the flags over (benchmark::Initialize).
  void initialize() const;
  /// The value of --benchmark_<name>, else of its environment variable BENCHMARK_<NAME>, else empty.
  std::string value(const std::string& name) const;
  bool list_only() const;

 private:
  std::vector<std::string> arguments_;
};

/// Whether `name` is chosen by --benchmark_filter as Google Benchmark reads it: a POSIX extended expression found
/// anywhere in the name, negated by a leading '-', everything when empty or "all".
class Filter {
 public:
  /// Errors: no regular expression.
  explicit Filter(const std::string& expression);
  ~Filter();
  bool chooses(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Google Benchmark's reporter for the console (--benchmark_format), and for --benchmark_out; the latter is null when
/// there is no such file. JSON names the machine by `machine` instead of its host name.
std::shared_ptr<benchmark::BenchmarkReporter> display_reporter(const std::string& machine);
std::unique_ptr<benchmark::BenchmarkReporter> file_reporter(const GoogleFlags& flags, const std::string& machine);

}  // namespace aneval::bench
