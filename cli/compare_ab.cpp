#include "cli/compare_ab.h"

#include "cli/interrupt.h"
#include "common/error.h"
#include "common/names.h"
#include "reports/gate/ab_run.h"

namespace aneval::cli {
namespace {

/// As words of a command line; what was not given is left to each build.
std::vector<std::string> words_of(const DeviceOptions& device) {
  std::vector<std::string> words = {"--backend", device.backend, "--seed", std::to_string(device.seed)};
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {option, value});
  };
  add("--model", device.model);
  add("--profile", device.profile);
  add("--variant", device.variant);
  add("--programs", device.programs);
  add("--machine-label", device.machine_label);
  if (device.seq) add("--seq", std::to_string(*device.seq));
  if (device.compile_limit) add("--compile-limit", std::to_string(*device.compile_limit));
  if (device.time_limit) add("--time-limit", number_text(*device.time_limit));
  if (device.threads != 0) add("--threads", std::to_string(device.threads));
  if (device.qos != DeviceOptions().qos) add("--qos", std::to_string(device.qos));
  return words;
}

}  // namespace

void add_ab_options(CLI::App& app, AbCommand& command) {
  add_device_options(app, command.device);
  app.remove_option(app.get_option("--run-id"));  // its processes have their own
  app.remove_option(app.get_option("--proc"));
  app.get_option("--seed")->description("--ab: seed of random tensors, and of the order of processes and benchmarks");
  app.add_option("--blocks", command.blocks, "--ab: blocks of one process of each build, all benchmarks")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--confirm", command.confirm, "--ab: fresh blocks of what looked suspicious")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  app.add_option("--process-limit", command.process_limit, "--ab: seconds until a process is killed")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 1e6));
  app.add_flag("--resume", command.resume, "--ab: go on with the comparison in --out");
}

gate::Outcome compare_builds(const AbCommand& command) {
  if (command.out.empty())
    throw input_error("--out", "a comparison of two builds needs a folder for its journal", "give --out DIR");
  gate::AbOptions options;
  options.a = command.a;
  options.b = command.b;
  options.out = command.out;
  options.device = words_of(command.device);
  const std::string filter = "--benchmark_filter=";
  for (const std::string& flag : command.flags) {
    if (!flag.starts_with("--benchmark_"))
      throw input_error(flag, "is no option of this command", "see `aneval compare --help`");
    if (flag.starts_with(filter))
      options.filter = flag.substr(filter.size());
    else
      options.benchmark.push_back(flag);
  }
  options.backend = command.device.backend;
  options.compile_limit = command.device.compile_limit;
  options.seed = command.device.seed;
  options.thresholds.blocks = command.blocks;
  options.thresholds.confirm_blocks = command.confirm;
  options.resume = command.resume;
  options.timing = command.timing;
  options.negative_controls = command.negative_controls;
  options.limit = std::chrono::milliseconds(static_cast<std::int64_t>(command.process_limit * 1000));
  options.interrupted = interrupted;
  if (show_progress()) options.progress = progress;
  watch_interrupts();
  return gate::run_ab(options);
}

}  // namespace aneval::cli
