// What commands have in common: how they register, the options of everything that uses a device, and the session that
// those options open. One file per command; main.cpp lists them and catches errors, once.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ane/apple/apple_device.h"
#include "ane/compiled_kernel.h"
#include "ane/device.h"
#include "ane/emulator/profile.h"
#include "ane/variant.h"
#include "cli/watchdog.h"
#include "common/environment.h"
#include "common/record.h"
#include "common/result_file.h"
#include "common/thread_pool.h"
#include "validate/kernel_check.h"
#include "validate/probe/engine_proof.h"

namespace aneval::cli {

/// What main runs after parsing; a command sets it from its callback. Returns the exit code, or kGoOnInFreshProcess.
using Action = std::function<int()>;

/// The command has used up what one process may compile: everything is on disk, and the same command with --resume is
/// to take this process' place (main.cpp).
inline constexpr int kGoOnInFreshProcess = -1;

/// The preset with grouped heads: what commands use that are given no model.
inline constexpr std::string_view kDefaultModel = "Qwen3-0.6B";

/// --model --backend --profile --seed --seq --threads --variant --programs --compile-limit --time-limit --qos
/// --machine-label --run-id --proc
struct DeviceOptions {
  std::string model, backend = "auto", variant, programs, machine_label;
  std::string profile;  // empty: the default, or that of the engine's family
  std::string run_id;   // empty: a new one
  std::int64_t proc = 0;
  std::uint64_t seed = 1;
  std::optional<std::int64_t> seq, compile_limit;
  std::optional<double> time_limit;  // seconds, of calls into the engine
  unsigned qos = apple::kDefaultQos;
  bool timed = false;  // not an option: compiles are measured, so none may come from a cache
  int threads = 0;

  /// What --model names, with --seq applied; nothing when it was not given.
  std::optional<ModelShape> named_shape() const;
  /// The same; kDefaultModel when none was given.
  ModelShape shape() const;
  /// That one shape, or all presets with --seq applied when `all` is asked for and no model was given.
  std::vector<ModelShape> shapes(bool all) const;
  ane::Variant parsed_variant() const { return ane::parse_variant(variant); }
  ane::ProgramOptions program_options() const { return {programs}; }
};

void add_device_options(CLI::App& app, DeviceOptions& options);

/// Errors: an unknown kernel, or one that a layer of the variant does not have; then with a choice whose layer has it.
void require_kernel(const std::string& kernel, const ane::Variant& variant);

/// One kernel at one shape, for commands that need no device.
struct KernelOptions {
  DeviceOptions device;  // model, seq and variant of it
  std::string kernel;
  std::int64_t ic = 0, oc = 0;

  ane::KernelConfig config() const { return {device.shape(), device.parsed_variant(), ic, oc}; }
};

/// --kernel --model --seq --variant --ic --oc
void add_kernel_options(CLI::App& app, KernelOptions& options);

/// A device and what surrounds it.
struct Session {
  Environment environment;
  RunContext run;
  std::unique_ptr<ThreadPool> pool;
  emulator::Profile profile;
  std::unique_ptr<Watchdog> watchdog;  // of the engine's calls; none for the emulator
  std::unique_ptr<ane::Device> device;
  /// To be required before the first result that is told as the engine's; none for the emulator, whose profile says
  /// what it computes with.
  std::unique_ptr<validate::EngineProof> proof;
};

/// Errors: a backend that this build or machine does not have (exit code 3), an unknown one (2), `reference` where a
/// device is needed (2).
Session open_session(const DeviceOptions& options);

/// Should a call into the engine not return, the results end with a row that says so.
void write_last_words(Session& session, ResultFile& results);

/// What validation and benchmarks run kernels with. Refers to the session.
validate::CheckOptions check_options(const DeviceOptions& options, Session& session);

/// What the emulator's profile does, rule by rule, with its evidence; none for other backends.
std::vector<Record> profile_rows(const Session& session);

/// The backend that `auto` means here, and why; without paths, because environment.json has it.
struct BackendChoice {
  std::string backend, why;
};
BackendChoice choose_backend(const Environment& environment);

/// What --backend takes.
const std::vector<std::string>& backend_names();

/// Quoted for a shell when it needs to be.
std::string shell_quoted(const std::string& text);

/// Whether standard error is a terminal: only then is progress shown.
bool show_progress();
/// Overwrites the progress line; empty text clears it.
void progress(const std::string& text);

void add_doctor(CLI::App& app, Action& action);
void add_list(CLI::App& app, Action& action);
void add_validate(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_train(CLI::App& app, Action& action);
void add_probe(CLI::App& app, Action& action);
void add_sweep(CLI::App& app, Action& action);
void add_tune(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action);
void add_stage(CLI::App& app, Action& action);
void add_mil(CLI::App& app, Action& action);
void add_completion(CLI::App& app, Action& action);
void add_man(CLI::App& app, Action& action);
void add_worker(CLI::App& app, Action& action);

}  // namespace aneval::cli
