// aneval bench: Google Benchmark suites over kernels, layers, training steps, the CPU's share of a layer, and the host.
#include <fmt/format.h>

#include "bench/runner.h"
#include "bench/suites.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "common/error.h"
#include "common/names.h"
#include "common/platform.h"

namespace aneval::cli {
namespace {

struct BenchOptions {
  DeviceOptions device;
  std::string kernel, out, validated;
  bool full = false;
  std::optional<std::int64_t> layers;
  std::optional<std::uint64_t> order_seed;
};

constexpr const char* kFooter =
    "All of Google Benchmark's flags work, e.g.\n"
    "  --benchmark_filter=REGEX            benchmarks whose names match (`aneval list benchmarks`)\n"
    "  --benchmark_min_time=0.1            seconds per repetition (0.1 here, not Google's 0.5)\n"
    "  --benchmark_repetitions=5           each repetition adds samples\n"
    "  --benchmark_enable_random_interleaving=true   repetitions of all benchmarks in random order\n"
    "  --benchmark_format=console|json|csv, --benchmark_out=FILE, --benchmark_out_format=…\n"
    "  --benchmark_list_tests\n"
    "Kernels and layers are judged first (`aneval validate`), and every timed output is compared with the judged one.\n"
    "Google Benchmark's CPU column counts checks between timed runs too; the records' cpu_time does not.";

bench::SuiteOptions suite_options(const BenchOptions& o) {
  bench::SuiteOptions suite;
  suite.variant = o.device.parsed_variant();
  suite.seed = o.device.seed;
  suite.kernel = o.kernel;
  suite.extent = o.full ? validate::Extent::full : validate::Extent::quick;
  suite.shapes = o.device.shapes(o.full);
  suite.layers = o.layers;
  return suite;
}

int report_outcome(const bench::RunnerOutcome& outcome, const RunContext& run) {
  // To standard error: standard output may be JSON.
  for (const std::string& failure : outcome.failures) fmt::print(stderr, "failed: {}\n", failure);
  if (outcome.signal != 0) {
    fmt::print(stderr, "INTERRUPTED after {} of {} benchmarks: {} ok, {} failed\n", outcome.ok + outcome.failed,
               outcome.planned, outcome.ok, outcome.failed);
    return 128 + outcome.signal;
  }
  fmt::print(stderr, "{}: {} benchmarks on {}{}: {} ok, {} failed\n", outcome.failed > 0 ? "FAILED" : "PASSED",
             outcome.planned, run.backend, run.profile.empty() ? "" : " profile " + run.profile, outcome.ok,
             outcome.failed);
  return static_cast<int>(outcome.failed > 0 ? ExitCode::check_failed : ExitCode::ok);
}

/// "ac, low power off, thermal pressure 0": what decides how fast this machine runs right now.
Record power_row(const RunContext& run, std::string_view when) {
  const PowerState state = power_state();
  std::vector<std::string> parts;
  if (!state.source.empty()) parts.push_back(state.source);
  if (state.low_power) parts.push_back(*state.low_power ? "low power on" : "low power off");
  if (state.thermal) parts.push_back(fmt::format("thermal pressure {}", *state.thermal));
  if (state.celsius) parts.push_back(fmt::format("{:g} degrees", *state.celsius));
  if (!state.governor.empty()) parts.push_back("governor " + state.governor);
  Record row;
  row.run = run;
  row.phase = "power";  // without one it would be of a process by that name
  row.item = when;
  return fact(row, "power_state", parts.empty() ? "unknown" : join(parts, ", "));
}

int bench_command(const BenchOptions& o, std::vector<std::string> google_flags) {
  for (const std::string& flag : google_flags)
    if (!flag.starts_with("--benchmark_") && !flag.starts_with("--v="))
      throw input_error(flag, "is no option of this command", "see `aneval bench --help`");
  google_flags.insert(google_flags.begin(), "--benchmark_min_time=0.1");
  const bench::GoogleFlags flags(google_flags);
  if (!o.kernel.empty() && o.kernel != "layer") require_kernel(o.kernel, o.device.parsed_variant());
  check_result_file(o.out);
  bench::SuiteOptions suite = suite_options(o);
  suite.memory_gib = describe_environment(o.device.machine_label).memory_gib;
  if (flags.list_only()) {
    bench::list_benchmarks(bench::all_benchmarks(suite), flags);
    return 0;
  }
  std::vector<Record> earlier;
  if (!o.validated.empty()) visit_results(o.validated, [&](const Record& row) { earlier.push_back(row); });

  DeviceOptions device = o.device;
  device.timed = true;
  Session session = open_session(device);
  suite.cases = std::make_shared<bench::ValidatedCases>(check_options(o.device, session), session.run, earlier);
  bench::RunnerOptions runner;
  runner.device = session.device.get();
  runner.results = {.file = o.out,
                    .run = session.run,
                    .command = "bench",
                    .threads = session.pool->threads(),
                    .about = profile_rows(session)};
  runner.results.about.push_back(power_row(session.run, "begin"));
  runner.closing = [&] { return std::vector<Record>{power_row(session.run, "end")}; };
  runner.opened = [&](ResultFile& results) { write_last_words(session, results); };
  if (session.proof) runner.before_device = [&] { session.proof->require(); };
  runner.order_seed = o.order_seed;
  runner.interrupted = interrupted;
  watch_interrupts();
  return report_outcome(bench::run_benchmarks(bench::all_benchmarks(suite), flags, runner), session.run);
}

}  // namespace

void add_bench(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("bench", "times kernels, layers and what surrounds them");
  auto options = std::make_shared<BenchOptions>();
  add_device_options(*command, options->device);
  command->add_option("--kernel", options->kernel, "only this kernel (`aneval list kernels`), or `layer`")
      ->type_name("KERNEL|layer");
  command->add_flag("--full", options->full, "both presets, and more sizes of the generic matmul and of conversions");
  command->add_option("--layers", options->layers, "layers of a training step (2, with --full as many as fit)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--validated", options->validated,
                   "result file of `aneval validate`: what it judged is not judged again")
      ->type_name("FILE");
  command->add_option("--order-seed", options->order_seed,
                      "benchmarks in an order that this number shuffles, the same in every build that has them");
  command->add_option("--out", options->out, "write the records to this CSV file")->type_name("FILE");
  command->allow_extras();
  command->footer(kFooter);
  command->callback([command, options, &action] {
    action = [options, flags = command->remaining()] { return bench_command(*options, flags); };
  });
}

}  // namespace aneval::cli
