// aneval probe: which arithmetic and which limits a device has, found out by experiments, each in a process of its own
// with a time limit. The results are a file that `--profile FILE.json` takes, held against the built-in profile.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "ane/emulator/profile_file.h"
#include "bench/suites.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/probe_jobs.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "common/result_file.h"
#include "common/statistics.h"
#include "common/worker.h"
#include "validate/probe/probe_file.h"

namespace aneval::cli {
namespace {

using std::chrono::milliseconds;

struct ProbeOptions {
  DeviceOptions device;
  std::string out, rows, only;
  bool quick = false;

  bool part(std::string_view name) const { return only.empty() || only == name; }
  /// Of one experiment, its compile included. Compiles that hang do so for half an hour.
  milliseconds limit() const {
    return milliseconds(static_cast<std::int64_t>(std::clamp(device.time_limit.value_or(120), 0.001, 86400.0) * 1000));
  }
};

/// What --only chooses from.
const std::vector<std::string>& parts() {
  static const std::vector<std::string> names = {"numerics", "capabilities", "latency"};
  return names;
}

void check_arguments(const ProbeOptions& o) {
  if (!o.only.empty() && std::ranges::find(parts(), o.only) == parts().end()) unknown_name("--only", o.only, parts());
  if (!o.out.empty() && !emulator::is_profile_file(o.out) && o.out != "-")
    throw input_error("--out " + o.out, "is no name that --profile would take for a file", "let it end in .json");
  if (!o.out.empty()) check_writable(o.out);
  if (!o.rows.empty() && !o.part("latency"))
    throw input_error("--rows", "there are rows of latencies only", "leave it out, or probe latency");
  check_result_file(o.rows);
}

/// What the device should be: its family's profile; of the emulator the one that it runs, without settings.
const emulator::Profile& expected_profile(const ane::DeviceInfo& info) {
  const std::string name = info.family.empty() ? info.profile.substr(0, info.profile.find(':')) : info.family;
  const emulator::Profile* known = emulator::builtin_profile(name);
  return known != nullptr ? *known : emulator::profiles().back();  // a chip of the future: the latest
}

/// ": " and the last words of a process, or nothing.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const std::string line = text.substr(text.find_last_of('\n') + 1);
  return line.empty() ? line : ": " + line;
}

class Prober {
 public:
  explicit Prober(const ProbeOptions& options) : o_(options), session_(open_session(options.device)) {
    const ane::DeviceInfo& info = session_.device->info();
    report_.version = session_.environment.version + " (" + session_.environment.commit + ")";
    report_.backend = info.backend;
    report_.chip = info.chip;
    report_.family = info.family;
    report_.os = session_.environment.os;
    report_.date = session_.run.time_utc;
    report_.base = expected_profile(info).name;
  }

  void probe_rules() {
    const emulator::Profile& builtin = expected_profile(session_.device->info());
    emulator::Profile known = builtin;
    validate::Answers overflow, rounding;
    for (const validate::RuleProbe& probe : validate::rule_probes()) {
      if (interrupted() != 0) return;
      const std::string_view name = emulator::rule_name(probe.rule);
      progress(fmt::format("probing {}", name));
      validate::Answers answers;
      answers.bits.resize(probe.questions.size());
      const TaskResult task = run_fresh(probe_task(o_.device, probe.rule));
      if (task.end == TaskResult::End::done) {
        answers = parse_answers(task.reply);
        pace(answers.status);
      } else {
        answers.failures = {"the probe's process: " + task.reason};
        pace(Status::run_error);
      }
      if (probe.rule == emulator::Rule::overflow) overflow = answers;
      if (probe.rule == emulator::Rule::matmul_rounding) rounding = answers;
      const validate::RuleFinding finding = validate::judge(probe, answers, builtin, known);
      validate::learn(known, finding);
      progress("");
      fmt::print("{:<18} {:<18} {} {:<18} {}{}\n", name, finding.value.empty() ? "-" : finding.value, report_.base,
                 finding.builtin, validate::verdict_name(finding.verdict),
                 finding.reason.empty() ? "" : ": " + finding.reason);
      if (finding.verdict == validate::Verdict::differs)
        for (const std::string& reading : finding.readings) fmt::print("                   {}\n", reading);
      std::fflush(stdout);
      report_.rules.push_back(finding);
    }
    report_.fingerprint = validate::fingerprint(overflow, rounding);
  }

  void try_capabilities() {
    for (const validate::Capability& capability : validate::capabilities()) {
      if (interrupted() != 0) return;
      if (capability.large && o_.quick) continue;
      progress("trying " + capability.name());
      const TaskResult task = run_fresh(probe_task(o_.device, capability));
      validate::CapabilityResult result;
      if (task.end == TaskResult::End::done)
        result = parse_capability(task.reply);
      else
        result = {task.end == TaskResult::End::timed_out ? Status::run_timeout : Status::run_error,
                  "the trial's process: " + task.reason};
      pace(result.status);
      progress("");
      fmt::print("{:<38} {}{}{}\n", capability.name(),
                 result.status == Status::ok ? "runs" : status_name(result.status),
                 result.checks.empty() ? "" : " [mil check: " + join(result.checks, ", ") + "]",
                 result.reason.empty() ? "" : ": " + result.reason);
      std::fflush(stdout);
      report_.capabilities.emplace_back(capability.name(), std::move(result));
    }
  }

  /// One `aneval bench` per chain: warm-up, repetitions and rows are its.
  void measure_latencies() {
    bench::SuiteOptions suite;
    if (!quick_latency()) suite.extent = validate::Extent::full;
    const auto benchmarks = bench::engine_suite(suite);
    ResultFile rows({.file = o_.rows,
                     .run = session_.run,
                     .command = "probe",
                     .planned = static_cast<std::int64_t>(benchmarks.size()),
                     .threads = session_.pool->threads(),
                     .about = profile_rows(session_)});
    for (const bench::Benchmark& benchmark : benchmarks) {
      if (interrupted() != 0) break;
      progress("measuring " + benchmark.name);
      std::vector<Record> measured;
      const validate::LatencyFinding finding = measure(benchmark, measured);
      rows.append(measured);
      pace(finding.status);
      progress("");
      if (finding.status == Status::ok)
        fmt::print("{:<46} {:>8.1f} MiB {:>11.1f} us {:>8.3f} TFLOP/s{}\n", finding.name, finding.weight_mib,
                   finding.median_ns / 1000, finding.tflops, on_emulator() ? " (emulator)" : "");
      else
        fmt::print("{:<46} {}: {}\n", finding.name, status_name(finding.status), finding.reason);
      std::fflush(stdout);
      report_.latency.push_back(finding);
    }
    rows.close(interrupted() != 0 ? "interrupted by signal " + std::to_string(interrupted()) : std::string());
  }

  /// The last lines, the file, and the exit code.
  int finish() {
    if (const int signal = interrupted(); signal != 0) {
      fmt::print("INTERRUPTED: nothing was written to {}\n", o_.out.empty() ? "a file" : o_.out);
      return 128 + signal;
    }
    if (!o_.out.empty()) write_file(o_.out, validate::probe_json(report_));
    int count[4] = {};
    for (const validate::RuleFinding& finding : report_.rules) ++count[static_cast<int>(finding.verdict)];
    const auto of = [&](validate::Verdict verdict) { return count[static_cast<int>(verdict)]; };
    if (!report_.rules.empty()) {
      fmt::print("engine: {}\n", validate::engine_text(report_));
      fmt::print("{}: {} of {} rules agree with {}, {} differ, {} undecided, {} failed\n",
                 of(validate::Verdict::differs) > 0                                        ? "DIFFERS"
                 : of(validate::Verdict::agrees) == static_cast<int>(report_.rules.size()) ? "AGREES"
                                                                                           : "INCOMPLETE",
                 of(validate::Verdict::agrees), report_.rules.size(), report_.base, of(validate::Verdict::differs),
                 of(validate::Verdict::undecided), of(validate::Verdict::failed));
    }
    if (!report_.capabilities.empty())
      fmt::print("{} of {} capabilities run\n",
                 std::count_if(report_.capabilities.begin(), report_.capabilities.end(),
                               [](const auto& entry) { return entry.second.status == Status::ok; }),
                 report_.capabilities.size());
    if (!o_.out.empty() && o_.out != "-") print_use();
    return static_cast<int>(of(validate::Verdict::differs) > 0 ? ExitCode::check_failed : ExitCode::ok);
  }

 private:
  bool on_emulator() const { return is_emulated(report_.backend); }
  bool quick_latency() const { return o_.quick || report_.backend != "apple"; }

  TaskResult run_fresh(const std::string& task) const {
    WorkerOptions worker;
    worker.command = {executable_path(), "worker"};
    worker.limit = o_.limit();
    return Worker(worker).run(task, 1);
  }

  /// A failed compile slows and taints the next ones, of other processes too: the device's own pause ends with its
  /// process.
  void pace(Status status) const {
    if (report_.backend == "apple" && status != Status::ok)
      std::this_thread::sleep_for(apple::AppleOptions().pause_after_failure);
  }

  validate::LatencyFinding measure(const bench::Benchmark& benchmark, std::vector<Record>& rows) const {
    namespace fs = std::filesystem;
    validate::LatencyFinding finding{benchmark.name};
    const fs::path file = fs::temp_directory_path() / ("aneval-probe-" + session_.run.run_id + ".csv");
    std::vector<std::string> command = {executable_path(),
                                        "bench",
                                        "--backend",
                                        o_.device.backend,
                                        "--threads",
                                        std::to_string(o_.device.threads),
                                        "--run-id",
                                        session_.run.run_id,
                                        "--benchmark_filter=^" + benchmark.name + "(/|$)",
                                        "--out",
                                        file.string()};
    if (!o_.device.profile.empty()) command.insert(command.end(), {"--profile", o_.device.profile});
    if (o_.device.time_limit) command.insert(command.end(), {"--time-limit", number_text(*o_.device.time_limit)});
    if (!o_.device.machine_label.empty()) command.insert(command.end(), {"--machine-label", o_.device.machine_label});
    if (!quick_latency()) command.emplace_back("--full");
    const ProcessResult process = run_process(command, o_.limit());
    std::vector<double> times;
    if (fs::exists(file))
      visit_results(file, [&](const Record& row) {
        if (row.phase != benchmark.row.phase) return;
        rows.push_back(row);
        if (row.status != Status::ok) {
          finding.status = row.status;
          finding.reason = row.reason;
        }
        if (row.metric == "time" && row.value) times.push_back(*row.value);
        if (row.metric == "bytes" && row.value) finding.weight_mib = *row.value / (1 << 20);
        if (row.metric == "tflops" && row.value) finding.tflops = *row.value;
      });
    for (const char* suffix : {"", ".partial", ".lock"}) fs::remove(fs::path(file.string() + suffix));
    if (finding.status == Status::ok && (!process.ok() || times.empty())) {
      finding.status = process.end == ProcessResult::End::timed_out ? Status::run_timeout : Status::run_error;
      finding.reason = "the benchmark's process: " + process.describe() + last_line(process.err);
    }
    if (finding.status == Status::ok) {
      finding.median_ns = median(times);
    } else if (rows.empty()) {
      Record row = benchmark.row;
      row.run = session_.run;
      row.status = finding.status;
      row.reason = finding.reason;
      rows.push_back(row);
    }
    return finding;
  }

  /// Whether validation can use the file, and as what.
  void print_use() const {
    try {
      if (!report_.rules.empty())
        fmt::print("aneval validate --profile {} judges by it, as {}\n", shell_quoted(o_.out),
                   emulator::read_profile_file(o_.out).name);
    } catch (const Error& error) {
      fmt::print("no profile for validation: {}\n", error.what());
    }
  }

  const ProbeOptions& o_;
  Session session_;
  validate::ProbeReport report_;
};

int probe_command(const ProbeOptions& o) {
  check_arguments(o);
  watch_interrupts();
  Prober prober(o);
  if (o.part("numerics")) prober.probe_rules();
  if (o.part("capabilities")) prober.try_capabilities();
  if (o.part("latency")) prober.measure_latencies();
  return prober.finish();
}

}  // namespace

void add_probe(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("probe", "finds out which arithmetic and which limits a device has, by experiments");
  auto options = std::make_shared<ProbeOptions>();
  add_device_options(*command, options->device);
  // Questions have shapes of their own.
  for (const char* name : {"--model", "--seq", "--variant", "--programs", "--seed", "--compile-limit"})
    command->remove_option(command->get_option(name));
  command->get_option("--time-limit")->description("seconds that one experiment may take, its compile included (120)");
  command->add_option("--out", options->out, "what was found, as FILE.json for --profile")->type_name("FILE");
  command->add_option("--rows", options->rows, "write the latencies' records to this CSV file")->type_name("FILE");
  command->add_option("--only", options->only, "this part alone")->type_name(join(parts(), "|"));
  command->add_flag("--quick", options->quick,
                    "no large trials, small latency programs only (so anyway on the emulator)");
  command->footer("Exit code 1 when a rule differs from the built-in profile of the chip's family.");
  command->callback([options, &action] { action = [options] { return probe_command(*options); }; });
}

}  // namespace aneval::cli
