#include "bench/runner.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "bench/measurement.h"
#include "common/error.h"
#include "common/random.h"
#include "common/statistics.h"

namespace aneval::bench {
namespace {

const std::string kTimeSuffix = "/manual_time";  // how Google Benchmark ends the names of such benchmarks

/// Hands everything to Google Benchmark's own display, and lets `finished` write the records of each benchmark.
class RecordReporter : public benchmark::BenchmarkReporter {
 public:
  using Finished = std::function<void(const std::string& name, std::size_t repetitions)>;
  RecordReporter(benchmark::BenchmarkReporter& display, Finished finished)
      : display_(display), finished_(std::move(finished)) {}

  bool ReportContext(const Context& context) override { return display_.ReportContext(context); }
  /// Called once or twice per benchmark: with its repetitions (unless only aggregates are wanted), and with aggregates.
  void ReportRuns(const std::vector<Run>& runs) override {
    display_.ReportRuns(runs);
    const Run& run = runs.at(0);
    if (seen_.insert(run.run_name.function_name).second)
      finished_(run.run_name.function_name, static_cast<std::size_t>(run.repetitions));
  }
  void Finalize() override { display_.Finalize(); }

 private:
  benchmark::BenchmarkReporter& display_;
  Finished finished_;
  std::set<std::string> seen_;
};

/// The benchmarks of one run, registered with Google Benchmark.
class Session {
 public:
  Session(const std::vector<const Benchmark*>& chosen, const RunnerOptions& options, ResultFile* results)
      : options_(options), results_(results) {
    for (const Benchmark* benchmark : chosen) {
      auto& measurement =
          *measurements_.emplace(benchmark->name, std::make_unique<Measurement>(*benchmark, *options.device))
               .first->second;
      auto* registered = benchmark::RegisterBenchmark(
          benchmark->name.c_str(), [this, &measurement](benchmark::State& state) { run(measurement, state); });
      registered->UseManualTime();
      const std::int64_t pairs = benchmark->yardstick ? kRatioPairs : 0;
      if (const std::int64_t n = benchmark->iterations > 0 ? benchmark->iterations : pairs; n > 0)
        registered->Iterations(n);
    }
  }
  ~Session() { benchmark::ClearRegisteredBenchmarks(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void finished(const std::string& name, std::size_t repetitions) {
    Measurement& measurement = *measurements_.at(name);
    // A benchmark that the signal kept from its end has no row; the file's last row says so.
    if (signal() != 0) return;
    ++(measurement.failed() ? outcome.failed : outcome.ok);
    if (measurement.failed()) outcome.failures.push_back(name + ": " + measurement.reason());
    results_->append(measurement.finish(repetitions, options_.results.run));
  }

  int signal() const { return options_.interrupted ? options_.interrupted() : 0; }

  RunnerOutcome outcome;

 private:
  /// One call of Google Benchmark: one repetition, or a step of its search for the number of iterations.
  void run(Measurement& measurement, benchmark::State& state) {
    if (signal() != 0) return state.SkipWithError("interrupted");
    if (measurement.failed()) return state.SkipWithError(measurement.reason().c_str());
    try {
      if (measurement.benchmark().on_device && options_.before_device) options_.before_device();
      measurement.prepare();
      // Caches, clocks and the engine belong to whoever ran last.
      if (last_ != &measurement) measurement.warm_up();
      last_ = &measurement;
      measurement.begin_series();
      while (state.KeepRunning()) {
        state.SetIterationTime(measurement.iterate() / 1e9);
        if (signal() != 0) return state.SkipWithError("interrupted");
      }
      measurement.end_series();
      show(measurement, state);
    } catch (const Error& error) {
      measurement.fail(error);
      state.SkipWithError(error.what());
    }
  }

  void show(const Measurement& measurement, benchmark::State& state) const {
    const Work& work = measurement.work();
    const double ns = median(measurement.series().back().ns);
    auto& counters = state.counters;
    if (work.region_bytes > 0) counters["bytes"] = work.region_bytes;
    if (work.moved_bytes > 0) counters["GB/s"] = work.moved_bytes / ns;
    if (work.flops > 0) counters["TFLOP/s"] = work.flops / ns / 1e3;
    for (const auto& [name, value] : measurement.counters()) counters[name] = value;
    counters["warm-up"] = static_cast<double>(measurement.warm_up_count());
    if (!measurement.benchmark().on_device) return;
    counters["compiles"] = measurement.counts().compiles;
    const RunContext& run = options_.results.run;
    state.SetLabel(run.profile.empty() ? run.backend : run.backend + " " + run.profile);
  }

  const RunnerOptions& options_;
  ResultFile* results_;
  std::map<std::string, std::unique_ptr<Measurement>> measurements_;
  const Measurement* last_ = nullptr;
};

std::vector<const Benchmark*> choose(const std::vector<Benchmark>& benchmarks) {
  const std::string expression = benchmark::GetBenchmarkFilter();
  const Filter filter(expression);
  std::vector<const Benchmark*> chosen;
  for (const Benchmark& benchmark : benchmarks)
    if (filter.chooses(benchmark.name + kTimeSuffix)) chosen.push_back(&benchmark);
  if (chosen.empty())
    throw input_error("--benchmark_filter=" + expression,
                      "matches none of " + std::to_string(benchmarks.size()) + " benchmarks",
                      "see `aneval list benchmarks`");
  benchmark::SetBenchmarkFilter("all");  // chosen is chosen: Google Benchmark is given these and no others
  return chosen;
}

/// Each name draws its place: what another build has besides moves none of the others against each other.
void shuffle(std::vector<const Benchmark*>& benchmarks, std::uint64_t seed) {
  const auto place = [&](const Benchmark* benchmark) { return Random(seed, benchmark->name).bits(); };
  std::ranges::sort(benchmarks, {}, [&](const Benchmark* b) { return std::pair(place(b), b->name); });
}

}  // namespace

RunnerOutcome run_benchmarks(const std::vector<Benchmark>& benchmarks, const GoogleFlags& flags,
                             const RunnerOptions& options) {
  benchmark::SetDefaultTimeUnit(benchmark::kMicrosecond);
  flags.initialize();
  auto chosen = choose(benchmarks);
  if (options.order_seed) shuffle(chosen, *options.order_seed);
  RunnerOptions planned = options;
  planned.results.planned = static_cast<std::int64_t>(chosen.size());
  ResultFile results(planned.results);
  if (options.opened) options.opened(results);

  const RunContext& run = planned.results.run;
  benchmark::AddCustomContext("backend", run.backend);
  if (!run.profile.empty()) benchmark::AddCustomContext("profile", run.profile);
  benchmark::AddCustomContext("build", run.build);
  const auto display = display_reporter(run.machine);
  const auto file = file_reporter(flags, run.machine);
  Session session(chosen, planned, &results);
  RecordReporter reporter(
      *display, [&](const std::string& name, std::size_t repetitions) { session.finished(name, repetitions); });
  if (file)
    benchmark::RunSpecifiedBenchmarks(&reporter, file.get());
  else
    benchmark::RunSpecifiedBenchmarks(&reporter);
  session.outcome.planned = planned.results.planned;
  session.outcome.signal = session.signal();
  if (options.closing) results.append(options.closing(), 0);
  results.close(session.outcome.signal == 0 ? "" : "interrupted by signal " + std::to_string(session.outcome.signal));
  return session.outcome;
}

void list_benchmarks(const std::vector<Benchmark>& benchmarks, const GoogleFlags& flags) {
  flags.initialize();
  for (const Benchmark* benchmark : choose(benchmarks)) std::printf("%s\n", benchmark->name.c_str());
}

}  // namespace aneval::bench
