// aneval validate: kernels and whole layers on a backend against the Eigen reference.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "ane/emulator/device_arithmetic.h"
#include "cli/interrupt.h"
#include "cli/self_test.h"
#include "cli/validate_jobs.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "common/result_file.h"
#include "common/worker.h"
#include "validate/rows.h"
#include "validate/suites.h"

namespace aneval::cli {
namespace {

struct ValidateOptions {
  ValidateSettings settings;
  std::string kernel, case_text, filter, out;
  bool quick = false, full = false, isolate = false, self_test = false;
  double loss_scale = 1;
};

void check_arguments(const ValidateOptions& o) {
  const bool real = !o.settings.weights.empty() || !o.settings.tokenizer.empty() || !o.settings.text.empty();
  if (real && (o.settings.weights.empty() || o.settings.text.empty()))
    throw input_error("arguments", "real data needs --weights and --text", "give both");
  if (real && o.settings.random_init)
    throw input_error("arguments", "--random-init and --weights exclude each other", "give one of them");
  if (!o.filter.empty() && !o.case_text.empty())
    throw input_error("arguments", "--filter and --case exclude each other", "give one of them");
  if (o.quick && o.full) throw input_error("arguments", "--quick and --full exclude each other", "give one of them");
  if (o.self_test && (real || o.settings.random_init || !o.kernel.empty() || !o.case_text.empty()))
    throw input_error("arguments", "--self-test runs through cases of its own",
                      "leave out --kernel, --case, --random-init and what names real data");
  if (!(o.loss_scale > 0) || !std::isfinite(o.loss_scale))
    throw input_error("--loss-scale", "is no positive number", "give a power of two, e.g. 256");
}

/// Every kernel of every layer on the tensors that the model gives it, and every layer end to end.
std::vector<validate::Case> real_cases(const ValidateOptions& o, CaseRunner& runner) {
  validate::Case base;
  base.shape = runner.real_shape();
  base.variant = o.settings.device.parsed_variant();
  // Texts have any length and trained widths are what they are; the engine needs multiples of 32.
  if (!o.settings.random_init && o.settings.device.variant.find("pad=") == std::string::npos)
    base.variant.pad = ane::Pad::multiple_of_32;
  base.data = o.settings.random_init ? validate::DataKind::init : validate::DataKind::real;
  base.seed = o.settings.device.seed;
  base.loss_scale = o.loss_scale;
  std::vector<validate::Case> cases;
  const auto kernels = ane::layer_plan(base.variant).kernels();
  for (std::int64_t layer = 0; layer < base.shape.layers; ++layer) {
    base.layer = layer;
    for (const std::string& kernel : kernels) {
      base.kernel = kernel;
      cases.push_back(base);
    }
    base.kernel = "layer";
    cases.push_back(base);
  }
  return cases;
}

std::vector<validate::Case> synthetic_cases(const ValidateOptions& o) {
  const auto registry = ane::KernelRegistry::builtin();
  const DeviceOptions& device = o.settings.device;
  validate::SuiteOptions suite;
  suite.extent = o.full ? validate::Extent::full : validate::Extent::quick;
  suite.seed = device.seed;
  suite.variant = device.parsed_variant();
  std::vector<validate::Case> cases;
  // No model named: first the small shapes where indices go wrong.
  if (device.model.empty() && device.variant.empty()) cases = validate::edge_cases(registry, suite);
  for (const ModelShape& shape : device.shapes(o.full)) {
    suite.shape = shape;
    const auto of_shape = validate::shape_cases(registry, suite);
    cases.insert(cases.end(), of_shape.begin(), of_shape.end());
    validate::Case layer;
    layer.kernel = "layer";
    layer.shape = shape;
    layer.variant = suite.variant;
    layer.seed = suite.seed;
    cases.push_back(layer);
  }
  // Exact data are integers that nothing rounds; scaled they would be something else.
  for (validate::Case& c : cases)
    if (c.data != validate::DataKind::exact) c.loss_scale = o.loss_scale;
  return cases;
}

std::vector<validate::Case> choose_cases(const ValidateOptions& o, CaseRunner& runner) {
  const DeviceOptions& device = o.settings.device;
  if (!o.case_text.empty()) {
    validate::Case base;
    base.shape = o.settings.real() ? runner.real_shape() : device.shape();
    base.variant = device.parsed_variant();
    base.seed = device.seed;
    base.loss_scale = o.loss_scale;
    base.kernel = o.kernel;
    const validate::Case c = validate::parse_case(o.case_text, base);
    if (!o.kernel.empty() && c.kernel != o.kernel)
      throw input_error("arguments", "--kernel " + o.kernel + " and --case contradict each other", "give one of them");
    if (c.kernel.empty())
      throw input_error("--case " + o.case_text, "names no kernel", "add kernel=NAME (`aneval list kernels`)");
    if (c.data == validate::DataKind::init && c.seed != device.seed)
      throw input_error("--case " + o.case_text, "the model is made from seed " + std::to_string(device.seed),
                        "give --seed " + std::to_string(c.seed) + " as well");
    if (c.kernel == "layer" && c.data != validate::DataKind::random && !validate::from_model(c.data))
      throw input_error("--case " + o.case_text, "a layer has no data=" + std::string(validate::data_kind_name(c.data)),
                        "take data=random");
    emulator::require_rules(c.variant, runner.session().profile);
    return {c};
  }
  auto cases = o.settings.real() ? real_cases(o, runner) : synthetic_cases(o);
  // The edge cases meet every variant; what a chip has no rule for was not asked for.
  std::erase_if(cases,
                [&](const validate::Case& c) { return !emulator::has_rules(runner.session().profile, c.variant); });
  if (!o.kernel.empty()) {
    if (o.kernel != "layer") (void)ane::KernelRegistry::builtin().find(o.kernel);
    std::erase_if(cases, [&](const validate::Case& c) { return c.kernel != o.kernel; });
    if (cases.empty() && o.kernel != "layer") require_kernel(o.kernel, device.parsed_variant());
    if (cases.empty()) throw input_error("--kernel " + o.kernel, "has no case here", "see `aneval list cases`");
  }
  std::erase_if(cases, [&](const validate::Case& c) { return !validate::matches(c, o.filter); });
  if (cases.empty())
    throw input_error("--filter " + o.filter, "fits none of the cases that would run",
                      "see `aneval list cases`; --full has more than --quick");
  return cases;
}

/// The command line that runs one case again. Paths that are absolute are named by their last part.
std::string reproduce_line(const ValidateOptions& o, const Session& session, const validate::Case& c) {
  const auto path = [](const std::string& text) {
    const std::filesystem::path p(text);
    return shell_quoted(p.is_absolute() ? p.filename().string() : text);
  };
  const DeviceOptions& d = o.settings.device;
  std::string line = "aneval validate --backend " + d.backend + " --profile " +
                     (d.profile.empty() ? session.profile.name : path(d.profile));
  if (!d.programs.empty()) line += " --programs " + path(d.programs);
  if (o.settings.random_init)
    line += " --random-init --model " + path(d.model.empty() ? std::string(kDefaultModel) : d.model) + " --seed " +
            std::to_string(d.seed) + (d.seq ? " --seq " + std::to_string(*d.seq) : "");
  else if (o.settings.real())
    line += " --weights " + path(o.settings.weights) +
            (o.settings.tokenizer.empty() ? "" : " --tokenizer " + path(o.settings.tokenizer)) + " --text " +
            shell_quoted(o.settings.text);
  return line + " --case " + shell_quoted(validate::case_text(c));
}

/// Runs cases here, or in worker processes that are replaced when they die or have used up their compiles.
class Runner {
 public:
  Runner(const ValidateOptions& options, CaseRunner& here) : here_(here) {
    // What calls into the engine may hang with.
    if (!options.isolate && !here.session().watchdog) return;
    WorkerOptions worker;
    worker.command = {executable_path(), "worker"};
    // The largest preset takes seconds. On the engine the worker's own watchdog comes first, and knows the call.
    worker.limit = here.session().watchdog ? std::chrono::hours(2) : std::chrono::minutes(10);
    worker_ = std::make_unique<Worker>(worker);
    settings_ = settings_json(options.settings);
  }

  Outcome run(const validate::Case& c) {
    if (!worker_) return here_.run(c);
    const auto compiles =
        c.kernel == "layer" ? static_cast<std::int64_t>(ane::layer_plan(c.variant).kernels().size()) : 1;
    const TaskResult task = worker_->run(worker_task(settings_, validate::case_text(c)), compiles);
    if (task.end == TaskResult::End::done) return parse_outcome(task.reply);
    return failed_outcome(here_.session().run, c, status_of_lost(task), "worker process: " + task.reason);
  }

 private:
  CaseRunner& here_;
  std::unique_ptr<Worker> worker_;
  std::string settings_;
};

int validate_command(const ValidateOptions& o) {
  check_arguments(o);
  if (o.self_test) return self_test_command(o.settings.device, o.full, o.filter, o.out);
  check_result_file(o.out);  // before any work
  CaseRunner here(o.settings);
  const auto cases = choose_cases(o, here);
  if (o.settings.real()) {
    const auto& trace = here.trace();
    fmt::print("reference loss: {:.4f} nats per token ({} tokens)\n", trace.loss, here.tokens().size());
  }
  Runner runner(o, here);
  ResultFile results({.file = o.out,
                      .run = here.session().run,
                      .command = "validate",
                      .planned = static_cast<std::int64_t>(cases.size()),
                      .threads = here.session().pool->threads(),
                      .about = profile_rows(here.session())});
  std::int64_t ok = 0, degraded = 0, failed = 0;
  watch_interrupts();
  for (std::size_t i = 0; i < cases.size() && interrupted() == 0; ++i) {
    progress(fmt::format("{}/{} {}", i + 1, cases.size(), validate::case_text(cases[i])));
    const Outcome outcome = runner.run(cases[i]);
    progress("");
    fmt::print("{:<12} {}\n", status_name(outcome.status), outcome.summary);
    if (outcome.status != Status::ok)
      fmt::print("             {}\n             reproduce: {}\n", outcome.reason,
                 reproduce_line(o, here.session(), cases[i]));
    std::fflush(stdout);  // a log or a pipe sees each case when it is done
    ++(outcome.status == Status::ok ? ok : outcome.status == Status::degraded ? degraded : failed);
    results.append(outcome.rows);
  }
  if (const int signal = interrupted(); signal != 0) {
    results.close("interrupted by signal " + std::to_string(signal));
    fmt::print("INTERRUPTED after {} of {} cases: {} ok, {} degraded, {} failed\n", ok + degraded + failed,
               cases.size(), ok, degraded, failed);
    return 128 + signal;
  }
  results.close();
  const auto& run = here.session().run;
  fmt::print("{}: {} cases on {}{}: {} ok, {} degraded, {} failed\n", failed > 0 ? "FAILED" : "PASSED", cases.size(),
             run.backend, run.profile.empty() ? "" : " profile " + run.profile, ok, degraded, failed);
  return static_cast<int>(failed > 0 ? ExitCode::check_failed : ExitCode::ok);
}

}  // namespace

void add_validate(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("validate", "kernels and whole layers on a backend against the reference");
  auto options = std::make_shared<ValidateOptions>();
  add_device_options(*command, options->settings.device);
  command->add_option("--kernel", options->kernel, "only this kernel (`aneval list kernels`), or `layer`")
      ->type_name("KERNEL|layer");
  command->add_option("--case", options->case_text, "exactly this case (the `case` column of results)")
      ->check(CLI::Validator(
          [](std::string& text) { return text.empty() ? "is empty: give kernel=NAME at least" : ""; }, "TEXT"));
  command->add_option("--filter", options->filter, "only cases with these keys, e.g. 'kernel=sdpaFwd;data=sinks'")
      ->check(CLI::Validator([](std::string& text) { return text.empty() ? "is empty: give KEY=VALUE at least" : ""; },
                             "TEXT"));
  command->add_flag(
      "--quick", options->quick,
      "small shapes and Qwen3-0.6B; exact, random and structured data, gradients of 1 and 1e-3 (default)");
  command->add_flag("--full", options->full, "all presets, amplitudes, gradient scales and kinds of data");
  command
      ->add_option("--weights", options->settings.weights,
                   "llama2.c, safetensors or a Hugging Face folder: judge on real activations")
      ->type_name("FILE|FOLDER");
  command->add_option("--tokenizer", options->settings.tokenizer, "its llama2.c tokenizer (without: bytes are tokens)")
      ->type_name("FILE");
  command->add_option("--text", options->settings.text, "what the model reads");
  command->add_flag("--random-init", options->settings.random_init,
                    "instead: the activations and gradients of a randomly initialised --model on random tokens");
  command->add_option("--loss-scale", options->loss_scale, "factor on all gradients")->capture_default_str();
  command->add_flag(
      "--self-test", options->self_test,
      "commit every known defect (`aneval list defects`) and demand that each is found and no healthy run "
      "is flagged; --profile, --full and --filter apply");
  command->add_flag("--isolate", options->isolate, "run cases in worker processes (always on the engine)");
  command->add_option("--out", options->out, "write the records to this CSV file")->type_name("FILE");
  command->callback([options, &action] { action = [options] { return validate_command(*options); }; });
}

}  // namespace aneval::cli
