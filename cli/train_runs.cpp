#include "cli/train_runs.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <set>

#include "cli/interrupt.h"
#include "cli/train_show.h"
#include "common/error.h"
#include "common/vocabulary.h"

namespace aneval::cli {
namespace {

namespace fs = std::filesystem;

/// The rows of an earlier process in this folder: those being written when it ended, else the finished file. A process
/// that was killed while it made its file left an empty one.
std::vector<Record> earlier_rows(const fs::path& results) {
  const fs::path partial = results.string() + std::string(kPartialSuffix);
  std::vector<Record> rows;
  for (const fs::path& file : {partial, results}) {
    if (!fs::exists(file) || fs::file_size(file) == 0) continue;
    visit_results(file, [&](const Record& row) { rows.push_back(row); });
    break;
  }
  return rows;
}

/// What training on this device compiles beside the proof: `per_staged_layer` for all layers. Errors: the limit is too
/// small for one step.
ane::CompileCounts affordable_compiles(const ane::Device& device, std::int64_t proof, const ModelShape& shape,
                                       const ane::Variant& variant) {
  ane::CompileCounts counts = ane::CompileCounts::of(ane::KernelRegistry::builtin(), shape, variant);
  counts.per_staged_layer *= shape.layers;
  const std::int64_t needed = proof + counts.shared + counts.per_staged_layer;
  if (const auto limit = device.compile_limit(); limit && *limit < needed)
    throw input_error(
        fmt::format("--compile-limit {}", *limit),
        fmt::format("a process compiles {} shared programs, and {} with weights in them for its first step",
                    proof + counts.shared, counts.per_staged_layer),
        fmt::format("allow at least {}, or train fewer --layers", needed));
  return counts;
}

}  // namespace

TrainRuns::TrainRuns(const TrainRunOptions& options, const DeviceOptions& device, Session& session,
                     const train::Experiment& experiment)
    : options_(options),
      session_(session),
      experiment_(experiment),
      proof_compiles_(session.proof ? session.proof->compiles() : 0),
      claimed_(affordable_compiles(*session.device, proof_compiles_, experiment.model.shape, device.parsed_variant())),
      programs_(*session.device, ane::KernelRegistry::builtin(), experiment.model.shape, device.parsed_variant(),
                device.program_options()) {
  RunContext host = session.run;
  host.backend = "reference";
  host.profile.clear();
  others_.push_back(named("reference", options.folder / "reference.safetensors", host));
  for (int i = 1; i <= options.controls; ++i) {
    const std::string name = fmt::format("control{}", i);
    others_.push_back(named(name, options.folder / (name + ".safetensors"), host));
  }
  device_ = named("device", options.checkpoint, session.run);
  device_.row.variant = ane::variant_text(device.parsed_variant());
  options_.dump.about = {
      {"backend", session.run.backend}, {"profile", session.run.profile}, {"variant", device_.row.variant}};

  const fs::path file = options.folder / "results.csv";
  ResultFile::Options results{.file = file, .run = session.run, .command = "train"};
  results.kept = take_up();
  if (!results.kept.empty()) {
    // Further rows of the same run, by another of its processes.
    const RunContext& before = results.kept.back().run;
    for (RunContext* context : {&results.run, &session.run, &device_.row.run}) {
      context->run_id = before.run_id;
      context->proc = before.proc + 1;
    }
    for (Named& other : others_) {
      other.row.run.run_id = before.run_id;
      other.row.run.proc = before.proc + 1;
    }
  }
  results.planned = experiment.settings.schedule.steps * static_cast<std::int64_t>(others_.size() + 1);
  results.threads = session.pool->threads();
  results.about = profile_rows(session);
  results.kept_cases = device_.done;
  for (const Named& other : others_) results.kept_cases += other.done;
  results_ = std::make_unique<ResultFile>(std::move(results));
  write_last_words(session_, *results_);
}

TrainRuns::Named TrainRuns::named(const std::string& name, fs::path checkpoint, const RunContext& context) const {
  Named run;
  run.name = name;
  run.checkpoint = std::move(checkpoint);
  run.row = train::run_row(context, experiment_, name);
  return run;
}

std::vector<Record> TrainRuns::take_up() {
  std::vector<Record> kept;
  const fs::path results = options_.folder / "results.csv";
  const std::vector<Record> rows = options_.resume ? earlier_rows(results) : std::vector<Record>();
  const auto take = [&](Named& run) {
    if (!fs::exists(run.checkpoint)) return;
    if (!options_.resume)
      throw input_error(run.checkpoint.string(), "exists already",
                        "give --resume to continue that run, or another --out and --checkpoint");
    const train::Checkpoint checkpoint = train::read_checkpoint(run.checkpoint);
    train::check_continues(checkpoint, experiment_.model.shape, experiment_.ids, experiment_.identity(),
                           run.checkpoint);
    run.done = checkpoint.state.step;
    run.losses = train::losses_in(rows, run.row, run.done);
    // A device run may begin with another one's checkpoint, perhaps on another backend: it has no rows here.
    const auto known = static_cast<std::int64_t>(run.losses.size());
    if (known != run.done && !(known == 0 && &run == &device_))
      throw input_error(
          results.string(),
          fmt::format("has the losses of {} of the {} steps that {} holds", known, run.done, run.checkpoint.string()),
          "bring them together again, or start anew in another --out");
    const auto of_run = train::rows_before(rows, run.row, run.done);
    kept.insert(kept.end(), of_run.begin(), of_run.end());
  };
  for (Named& other : others_) take(other);
  take(device_);
  for (const std::int64_t step : options_.dump.steps)
    if (step < device_.done && !fs::exists(options_.dump.file(step)))  // else an earlier process wrote it
      throw input_error(fmt::format("--dump-step {}", step),
                        fmt::format("{} holds the {} steps before {} already", device_.checkpoint.string(),
                                    device_.done, device_.done),
                        "leave it out, or start anew in another --out");
  std::set<std::int64_t> processes;
  for (const Record& row : kept) {
    if (row.case_text != device_.row.case_text) continue;
    processes.insert(row.run.proc);
    if (row.metric == "compile_count") compiled_before_ += static_cast<std::int64_t>(row.value.value_or(0));
    if (row.metric == "time") times_.add(row.item, row.phase, static_cast<std::int64_t>(row.value.value_or(0)));
    if (row.metric == "loss") ++timed_steps_;
  }
  processes_before_ = static_cast<std::int64_t>(processes.size());
  return kept;
}

bool TrainRuns::run(Named& run, train::LayerBackend& backend, train::DroppedProducts* dropped) {
  const std::int64_t steps = experiment_.settings.schedule.steps;
  if (run.done == steps) return true;
  const bool device = &run == &device_;
  std::optional<train::Checkpoint> from;
  if (run.done > 0) from = train::read_checkpoint(run.checkpoint);
  train::TrainingRun training(experiment_, backend, run.checkpoint, std::move(from));
  if (device) {
    training.look_at_gradients(dropped);
    training.dump_steps(options_.dump);
  }
  const std::int64_t tokens = experiment_.model.shape.seq * experiment_.settings.accum;
  const bool ended = training.go([&](const train::StepReport& report) {
    std::vector<Record> rows = train::step_rows(run.row, report, tokens, device);
    if (device) rows.push_back(step_compiles(report.result.step));
    results_->append(rows);
    run.losses.push_back(report.result.loss);
    if (device) {
      for (const auto& [key, nanoseconds] : report.times.all()) times_.add(key.first, key.second, nanoseconds);
      ++timed_steps_;
    }
    show_step(run.name, report, device ? &others_.front().losses : nullptr);
    return interrupted() == 0 && !(device && compiles_spent());
  });
  progress("");
  if (ended && !device)
    fmt::print("{:<10} {} steps, loss {:.4f} to {:.4f}\n", run.name, steps, run.losses.front(), run.losses.back());
  return ended;
}

bool TrainRuns::run_device() {
  train::DroppedProducts dropped(session_.profile, session_.pool.get());
  const auto backend = train::make_device_backend(
      programs_,
      {.pool = session_.pool.get(), .overlap_weight_gradients = options_.overlap, .evaluated = dropped.observer()});
  return run(device_, *backend, &dropped);
}

Record TrainRuns::step_compiles(std::int64_t step) {
  const std::int64_t compiled = session_.device->counters().compile_attempts;
  Record row = fact(device_.row, "compile_count", static_cast<double>(compiled - compiles_in_rows_));
  row.step = step;
  compiles_in_rows_ = compiled;
  return row;
}

bool TrainRuns::compiles_spent() const {
  const auto limit = session_.device->compile_limit();
  return limit && session_.device->counters().compile_attempts + claimed_.per_staged_layer > *limit;
}

bool TrainRuns::check_compiles() {
  // All processes compile what is shared, and every step its weights, once: no kill and no limit changes that.
  const std::int64_t compiled = compiled_before_ + session_.device->counters().compile_attempts;
  const std::int64_t processes = processes_before_ + 1;
  const std::int64_t claimed =
      processes * (proof_compiles_ + claimed_.shared) + timed_steps_ * claimed_.per_staged_layer;
  std::string rule = fmt::format("{} kernels need {} compiles", programs_.plan().kernels().size(), claimed_.shared);
  if (claimed_.per_staged_layer > 0)
    rule = fmt::format("{} shared ones per process, {} with weights in them per step", claimed_.shared,
                       claimed_.per_staged_layer);
  const std::string proof =
      proof_compiles_ == 0 ? "" : fmt::format(", and per process {} to prove the engine", proof_compiles_);
  rule += proof;
  Record row = fact(device_.row, "compile_count", static_cast<double>(compiled));
  row.item = "all";
  if (compiled != claimed) {
    row.status = Status::failed;
    row.reason = fmt::format("{} were to be compiled: {}", claimed, rule);
  }
  Record count = fact(device_.row, "process_count", static_cast<double>(processes));
  count.item = "all";
  results_->append({row, count}, 0);
  fmt::print("{} programs compiled for {} layers and {} steps{}{}\n", compiled, experiment_.model.shape.layers,
             timed_steps_, processes > 1 ? fmt::format(" in {} processes", processes) : "",
             compiled != claimed             ? ": " + row.reason
             : claimed_.per_staged_layer > 0 ? ", as claimed: " + rule
                                             : ", as claimed: one per kernel" + proof);
  return compiled == claimed;
}

bool TrainRuns::judge() {
  if (options_.controls < 2) {
    fmt::print("NO VERDICT: a spread needs two controls\n");
    return true;
  }
  // A device run that began with another one's checkpoint has losses of the last steps only.
  const auto count = static_cast<std::ptrdiff_t>(device_.losses.size());
  const auto first = experiment_.settings.schedule.steps - count;
  std::vector<std::vector<double>> controls;
  for (std::size_t i = 1; i < others_.size(); ++i)
    controls.emplace_back(others_[i].losses.end() - count, others_[i].losses.end());
  train::BandResult result = train::compare_with_controls(device_.losses, controls);
  if (result.first_exit) *result.first_exit += first;
  Record row = device_.row;
  const bool differs = result.verdict == train::Verdict::differs;
  if (differs) {
    row.status = Status::failed;
    row.reason = "the final loss lies outside of what fp16 storage explains";
  }
  std::vector<Record> rows = {fact(row, "verdict", result.text())};
  if (result.verdict != train::Verdict::too_short && std::isfinite(result.deviation))
    rows.push_back(fact(row, "control_deviation", result.deviation));
  if (result.first_exit) rows.push_back(fact(row, "band_exit", static_cast<double>(*result.first_exit)));
  results_->append(rows, 0);
  fmt::print("VERDICT: {}\n", result.text());
  return !differs;
}

int TrainRuns::go() {
  const ModelShape& shape = experiment_.model.shape;
  fmt::print("{}: {} layers, seq {}; {} tokens, {} of the {} entries of the vocabulary occur\n", shape.name,
             shape.layers, shape.seq, experiment_.tokens.size(), experiment_.ids.size(), experiment_.vocab);
  if (processes_before_ > 0)
    fmt::print("process {} goes on at step {} of the device's run\n", processes_before_ + 1, device_.done);
  bool ended = true;
  for (std::size_t i = 0; i < others_.size() && ended; ++i) {
    const auto backend = i == 0 ? train::make_reference_backend(experiment_.model.shape, experiment_.cyclic_heads)
                                : train::make_dithered_backend(experiment_.model.shape, i, experiment_.cyclic_heads);
    ended = run(others_[i], *backend, nullptr);
  }
  ended = ended && run_device();
  if (!ended && interrupted() == 0) return kGoOnInFreshProcess;
  if (!ended) {
    results_->close(fmt::format("interrupted by signal {}", interrupted()));
    fmt::print(stderr, "INTERRUPTED: --resume goes on from the last step\n");
    return 128 + interrupted();
  }
  show_phases(times_, timed_steps_, shape.seq * experiment_.settings.accum);
  bool held = check_compiles();
  held = judge() && held;
  results_->close();
  return static_cast<int>(held ? ExitCode::ok : ExitCode::check_failed);
}

}  // namespace aneval::cli
