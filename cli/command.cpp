#include "cli/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "common/error.h"
#include "common/names.h"
#include "common/vocabulary.h"

namespace aneval::cli {

ModelShape DeviceOptions::shape() const {
  ModelShape shape = load_model_shape(model.empty() ? kDefaultModel : std::string_view(model));
  if (seq) {
    shape.seq = *seq;
    check_shape(shape, "--seq");
  }
  return shape;
}

std::optional<ModelShape> DeviceOptions::named_shape() const {
  return model.empty() ? std::nullopt : std::optional(shape());
}

std::vector<ModelShape> DeviceOptions::shapes(bool all) const {
  if (!all || !model.empty()) return {shape()};
  std::vector<ModelShape> shapes;
  for (const ModelShape& preset : model_presets()) {
    DeviceOptions named = *this;
    named.model = preset.name;
    shapes.push_back(named.shape());
  }
  return shapes;
}

/// --model --seq --variant
void add_shape_options(CLI::App& app, DeviceOptions& options) {
  app.add_option(
         "--model", options.model,
         fmt::format("model shape: a name of `aneval list models`, or a .json file (default {})", kDefaultModel))
      ->type_name("MODEL|FILE");
  app.add_option("--seq", options.seq, "tokens per evaluation, instead of the model's");
  app.add_option("--variant", options.variant, "key=value;key=value (`aneval list variants`)")->type_name("VARIANT");
}

void add_device_options(CLI::App& app, DeviceOptions& options) {
  add_shape_options(app, options);
  app.add_option("--backend", options.backend, "what runs the kernels")
      ->type_name(join(backend_names(), "|"))
      ->capture_default_str();
  app.add_option(
         "--profile", options.profile,
         fmt::format("numerics profile: the emulator's arithmetic, and what kernels are judged by (`aneval list "
                     "profiles`; default {}, on the engine its own family's), or FILE.json of `aneval probe`",
                     emulator::kDefaultProfile))
      ->type_name("PROFILE|FILE");
  app.add_option("--seed", options.seed, "seed of random tensors")->capture_default_str();
  app.add_option("--threads", options.threads, "threads, 0 for one per processor")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  app.add_option("--programs", options.programs, "folder with <kernel>.mil files that replace built-in programs")
      ->type_name("FOLDER");
  app.add_option("--compile-limit", options.compile_limit,
                 "compiles per process: refuse more; train goes on in a fresh one")
      ->check(CLI::PositiveNumber);
  app.add_option("--time-limit", options.time_limit,
                 "on the engine: seconds until a call that does not return ends its process (600, evaluations 60)")
      ->check(CLI::PositiveNumber);
  app.add_option("--qos", options.qos, "on the engine: quality of service, 9 background to 33 user interactive")
      ->capture_default_str()
      ->check(CLI::Range(0, 63));
  app.add_option("--machine-label", options.machine_label, "name of this machine in the records");
  app.add_option("--run-id", options.run_id, "run_id of the records, for several processes of one run");
  app.add_option("--proc", options.proc, "number of this process within the run")->check(CLI::NonNegativeNumber);
}

void require_kernel(const std::string& kernel, const ane::Variant& variant) {
  const auto registry = ane::KernelRegistry::builtin();
  (void)registry.find(kernel);
  const auto has = [&](const ane::Variant& v) {
    return std::ranges::any_of(registry.of_variant(v), [&](const auto& spec) { return spec.name == kernel; });
  };
  if (has(variant)) return;
  std::string remedy = "see `aneval list variants`";
  for (const ane::VariantChoice& choice : ane::variant_choices())
    for (std::size_t value = 0; value < choice.values.size(); ++value) {
      ane::Variant other = variant;
      choice.set(other, value);
      if (has(other)) remedy = fmt::format("{}={} has it", choice.key, choice.values[value]);
    }
  throw input_error("--kernel " + kernel, "is in no layer of variant " + ane::variant_text(variant), remedy);
}

void add_kernel_options(CLI::App& app, KernelOptions& options) {
  app.add_option("--kernel", options.kernel, "`aneval list kernels`")->type_name("KERNEL")->required();
  add_shape_options(app, options.device);
  app.add_option("--ic", options.ic, "input channels of dynMatmul");
  app.add_option("--oc", options.oc, "output channels of dynMatmul");
}

validate::CheckOptions check_options(const DeviceOptions& options, Session& session) {
  validate::CheckOptions check;
  check.device = session.device.get();
  check.profile = session.profile;
  check.programs = options.program_options();
  check.pool = session.pool.get();
  return check;
}

std::vector<Record> profile_rows(const Session& session) {
  std::vector<Record> rows;
  if (session.run.backend != "emulator") return rows;
  for (const emulator::Rule rule : emulator::all_rules()) {
    const emulator::Ground& ground = session.profile.ground(rule);
    Record row;
    row.run = session.run;
    row.phase = "profile";
    row.item = emulator::rule_name(rule);
    rows.push_back(fact(row, "profile_rule",
                        fmt::format("{}: {} [{}]", emulator::evidence_name(ground.evidence),
                                    emulator::rule_text(session.profile, rule), ground.source)));
  }
  rows.push_back(rows.front());
  rows.back().item = "eight_bits";
  rows.back().text = emulator::eight_bits_text(session.profile);
  return rows;
}

std::string shell_quoted(const std::string& text) {
  const std::string safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%";
  if (!text.empty() && text.find_first_not_of(safe) == std::string::npos) return text;
  return single_quoted(text);
}

bool show_progress() { return isatty(STDERR_FILENO) == 1; }

void progress(const std::string& text) {
  if (show_progress()) std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

}  // namespace aneval::cli
