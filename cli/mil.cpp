// aneval mil: write a kernel's program, check any MIL file (mil_check.cpp), run any supported one.
#include <fmt/format.h>

#include <algorithm>

#include "ane/emulator/emulator.h"
#include "ane/mil/text.h"
#include "cli/command.h"
#include "cli/mil_check.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "validate/kernel_check.h"

namespace aneval::cli {
namespace {

struct EmitOptions {
  KernelOptions instance;
  std::string out = "-", dialect = "modern";
};

/// What --dialect takes.
const std::vector<std::string>& dialects() {
  static const std::vector<std::string> names = {"modern", "legacy"};
  return names;
}

int emit(const EmitOptions& o) {
  if (std::ranges::find(dialects(), o.dialect) == dialects().end()) unknown_name("dialect", o.dialect, dialects());
  if (o.out != "-") check_writable(o.out);
  const ane::KernelConfig config = o.instance.config();
  const auto kernel = ane::prepare_kernel(ane::KernelRegistry::builtin().find(o.instance.kernel), config);
  const auto dialect = o.dialect == "modern" ? mil::Dialect::modern : mil::Dialect::legacy;
  if (o.out != "-") {
    // Beside a file, its weight files: the folder is then ready for --programs.
    const auto folder = std::filesystem::absolute(o.out).parent_path();
    for (const auto& [path, bytes] : kernel.program.weights) {
      const auto file = folder / path.substr(std::string_view("@model_path/").size());
      make_folder(file.parent_path());
      write_file(file, bytes);
    }
  }
  write_file(o.out, mil::print(kernel.program.graph, dialect));
  return 0;
}

struct RunMilOptions {
  std::string file, inputs, out, profile{emulator::kDefaultProfile}, weights_dir;
  int threads = 0;
};

int run(const RunMilOptions& o) {
  check_writable(o.out);
  const emulator::Profile profile = emulator::find_profile(o.profile);
  const mil::Program program = mil::parse(read_text_file(o.file, kMaxProgramBytes), o.file);
  const auto folder =
      o.weights_dir.empty() ? std::filesystem::path(o.file).parent_path() : std::filesystem::path(o.weights_dir);
  const ane::WeightFiles weights = ane::read_weight_files(program, folder);
  ThreadPool pool(o.threads);
  write_safetensors(o.out, emulator::run_program(program, weights, read_safetensors(o.inputs), profile, &pool));
  return 0;
}

void add_emit(CLI::App& mil, Action& action) {
  auto* command = mil.add_subcommand("emit", "print a kernel's program");
  auto options = std::make_shared<EmitOptions>();
  add_kernel_options(*command, options->instance);
  command->add_option("--dialect", options->dialect, "modern is program 1.3, legacy program 1.0, for M1 and M2")
      ->type_name(join(dialects(), "|"));
  command->add_option("--out", options->out, "file; its weights go to weights/ beside it")
      ->type_name("FILE")
      ->capture_default_str();
  command->callback([options, &action] { action = [options] { return emit(*options); }; });
}

void add_run_mil(CLI::App& mil, Action& action) {
  auto* command = mil.add_subcommand("run", "execute any supported MIL file on the emulator");
  auto options = std::make_shared<RunMilOptions>();
  command->add_option("file", options->file, "MIL text")->type_name("FILE")->required();
  command->add_option("--inputs", options->inputs, "tensors by parameter name (safetensors)")
      ->type_name("FILE")
      ->required();
  command->add_option("--out", options->out, "outputs by name (safetensors, F32)")->type_name("FILE")->required();
  command->add_option("--profile", options->profile, "numerics profile")
      ->type_name("PROFILE|FILE")
      ->capture_default_str();
  command->add_option("--weights-dir", options->weights_dir, "what @model_path/ means; default: the file's folder")
      ->type_name("FOLDER");
  command->add_option("--threads", options->threads, "threads, 0 for one per processor");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace

void add_mil(CLI::App& app, Action& action) {
  auto* mil = app.add_subcommand("mil", "MIL programs: emit, check, run");
  mil->require_subcommand(1);
  add_emit(*mil, action);
  add_mil_check(*mil, action);
  add_run_mil(*mil, action);
}

}  // namespace aneval::cli
