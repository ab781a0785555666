// aneval sweep: the best variant of every kernel for a chip, by points that are judged and timed in child processes.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/sweep_jobs.h"
#include "cli/validate_jobs.h"
#include "common/csv.h"
#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "common/vocabulary.h"
#include "common/worker.h"
#include "tuning/cost_model.h"
#include "tuning/merge.h"
#include "tuning/summary.h"
#include "tuning/sweep.h"

namespace aneval::cli {
namespace {

namespace fs = std::filesystem;

struct SweepCommand {
  DeviceOptions device;
  std::string file, out, shard, cost_model, replay;
  bool resume = false, allow_stale = false;
};

tuning::Shard parse_shard(const std::string& text) {
  if (text.empty()) return {};
  const std::vector<std::string> parts = split(text, '/');
  if (parts.size() != 2) throw input_error("--shard " + text, "is not i/n", "give e.g. 2/8, the second of eight");
  const tuning::Shard shard{parse_int(parts[0], "--shard"), parse_int(parts[1], "--shard")};
  if (shard.index < 1 || shard.index > shard.count)
    throw input_error("--shard " + text, "is none of the shards", "number them from 1 to n");
  return shard;
}

tuning::PointResult lost(const TaskResult& task, double seconds) {
  tuning::PointResult result;
  result.status = status_of_lost(task);
  result.reason = "worker process: " + task.reason;
  result.seconds = seconds;
  return result;
}

/// Judges and times points in child processes.
class Evaluator {
 public:
  Evaluator(SweepSettings settings, double time_limit) : settings_(std::move(settings)) {
    options_.command = {executable_path(), "worker"};
    options_.limit = std::chrono::milliseconds(static_cast<std::int64_t>(1000 * time_limit));
    worker_ = std::make_unique<Worker>(options_);
  }

  tuning::PointResult evaluate(const tuning::Point& point) {
    const auto begin = std::chrono::steady_clock::now();
    const TaskResult task = worker_->run(point_task(settings_, point), compiles_of(point));
    if (task.end == TaskResult::End::done) return tuning::parse_result(task.reply);
    return lost(task, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }

  /// In a process of its own.
  std::vector<double> measure(const tuning::Point& point) const {
    const TaskResult task = Worker(options_).run(confirmation_task(settings_, point), compiles_of(point));
    return task.end == TaskResult::End::done ? parse_confirmation(task.reply) : std::vector<double>();
  }

 private:
  SweepSettings settings_;
  WorkerOptions options_;
  std::unique_ptr<Worker> worker_;
};

/// A point of the log: what it is and what it costs, then its rows.
void append_log(const tuning::Point& point, const tuning::PointResult& result, const RunContext& run,
                std::vector<Record>& rows) {
  Record row;
  row.run = run;
  if (!point.profile.empty()) row.run.profile = point.profile;
  row.model = point.c.shape.name;
  row.seq = point.c.shape.seq;
  row.kernel = point.c.kernel;
  row.variant = ane::variant_text(point.c.variant);
  row.case_text = validate::case_text(point.c);
  row.phase = "validate";
  row = fact(row, "point", tuning::point_text(point));
  row.status = result.status;
  row.reason = result.reason;
  if (result.time_ns > 0) row.value = result.time_ns;
  rows.push_back(std::move(row));
  for (Record each : result.rows) {
    each.run.run_id = run.run_id, each.run.time_utc = run.time_utc;  // of the sweep, not of the process
    rows.push_back(std::move(each));
  }
}

void write_results(const fs::path& out, const tuning::SweepFile& file, const tuning::SweepOutcome& outcome,
                   const std::vector<tuning::Entry>& entries, const RunContext& run, const std::string& setting) {
  std::vector<Record> rows;
  for (const auto& [point, result] : outcome.points) append_log(point, result, run, rows);
  for (const auto& [point, reason] : outcome.refused) {
    tuning::PointResult refused;
    refused.status = Status::constraint;
    refused.reason = reason;
    append_log(point, refused, run, rows);
  }
  write_csv(out / "log.csv", rows);
  tuning::write_table(out / "best.csv", entries);
  write_file(out / "summary.md", tuning::summary_markdown(file, outcome, entries, setting));
}

/// What must be the same when a sweep goes on.
std::string setting_json(const SweepCommand& o, const RunContext& run) {
  return nlohmann::ordered_json{{"build", run.build},         {"commit", run.commit},       {"backend", run.backend},
                                {"chip", run.chip},           {"family", run.family},       {"os", run.os},
                                {"cost_model", o.cost_model}, {"profile", o.device.profile}}
      .dump();
}

std::string setting_words(const RunContext& run) {
  if (run.backend == tuning::kPredicted)
    return "PREDICTED by a cost model of " + run.family + " from published figures, nothing was measured.";
  if (is_emulated(run.backend))
    return "Times are of the " + std::string(run.backend) + " on " + run.chip + ": they say nothing about an engine.";
  return "Measured on " + run.chip + ", " + run.os + ".";
}

/// Results of an earlier sweep in the place of measurements: to try searches and statistics on.
class Replay {
 public:
  Replay(const fs::path& folder, const std::string& setting, bool allow_stale) {
    tuning::RecordedSweep recorded = tuning::read_journal(tuning::journal_of(folder));
    if (recorded.setting != setting && !allow_stale)
      throw input_error("--replay " + folder.string(), "was recorded by another build, or on another machine",
                        "repeat it here, or take it as it is with --allow-stale");
    for (auto& [point, result] : recorded.points) results_.emplace(point, std::move(result));
  }
  tuning::PointResult evaluate(const tuning::Point& point) const {
    if (const auto known = results_.find(tuning::point_text(point)); known != results_.end()) return known->second;
    tuning::PointResult missing;
    missing.status = Status::skipped;
    missing.reason = "the sweep that is replayed has no such point";
    return missing;
  }

 private:
  std::map<std::string, tuning::PointResult> results_;
};

int print_outcome(const SweepCommand& o, const tuning::SweepOutcome& outcome,
                  const std::vector<tuning::Entry>& entries) {
  for (const tuning::Entry& entry : entries) fmt::print("{}\n", tuning::entry_line(entry));
  if (outcome.signal != 0) {
    fmt::print("INTERRUPTED: {}; go on with --resume\n", tuning::counts_line(outcome));
    return 128 + outcome.signal;
  }
  fmt::print("FINISHED: {}; results in {}\n", tuning::counts_line(outcome), o.out);
  return 0;
}

int sweep_command(const SweepCommand& o) {
  if (o.out.empty()) throw input_error("--out", "is missing", "name a folder for journal and results");
  tuning::SweepOptions sweep;
  sweep.file = tuning::read_sweep_file(o.file);
  sweep.shard = parse_shard(o.shard);
  sweep.out = o.out;
  sweep.resume = o.resume;
  if (!o.cost_model.empty() && !o.replay.empty())
    throw input_error("--cost-model and --replay", "exclude each other", "give one of them");
  // Which backend it will be, and what the rows say of the machine.
  Session session = open_session(o.device);
  RunContext run = session.run;
  std::unique_ptr<Evaluator> evaluator;
  std::unique_ptr<Replay> replay;
  if (!o.cost_model.empty()) {
    const tuning::CostModel model = tuning::cost_model(o.cost_model);
    run.backend = tuning::kPredicted;
    run.family = model.family;
    sweep.file.phases = {"eval"};  // of the engine: what the CPU needs is no figure of a chip
    sweep.evaluate = [model, run](const tuning::Point& point) { return tuning::predict_point(model, point, run); };
  } else if (!o.replay.empty()) {
    replay = std::make_unique<Replay>(o.replay, setting_json(o, run), o.allow_stale);
    sweep.evaluate = [&](const tuning::Point& point) { return replay->evaluate(point); };
  } else {
    SweepSettings settings{o.device, sweep.file.phases, sweep.file.repetitions, sweep.file.iterations};
    settings.device.run_id = run.run_id;
    evaluator = std::make_unique<Evaluator>(std::move(settings), sweep.file.time_limit);
    sweep.evaluate = [&](const tuning::Point& point) { return evaluator->evaluate(point); };
    sweep.measure = [&](const tuning::Point& point) { return evaluator->measure(point); };
  }
  // A profile that the file does not vary is the one of the command line.
  const std::string& own = session.run.profile.empty() ? session.profile.name : session.run.profile;
  sweep.file.set_profile(o.cost_model.empty() ? own : o.cost_model);
  sweep.setting = setting_json(o, run);
  session = {};  // the workers have their own
  sweep.interrupted = interrupted;
  sweep.progress = [](const std::string& text) { progress(text); };
  sweep.done = [](const tuning::Point& point, const tuning::PointResult& result) {
    progress("");
    fmt::print("{:<12} {:>10.1f} µs  {}{}\n", status_name(result.status), result.time_ns / 1e3,
               tuning::point_text(point), result.reason.empty() ? "" : ": " + result.reason);
    std::fflush(stdout);
  };
  watch_interrupts();
  const tuning::SweepOutcome outcome = tuning::run_sweep(sweep);
  progress("");
  if (outcome.repaired)
    fmt::print("{}/journal.jsonl: its last line was cut by a crash; that point was run again\n", o.out);
  const auto entries = tuning::entries_of(outcome, run, !o.cost_model.empty());
  write_results(o.out, sweep.file, outcome, entries, run, setting_words(run));
  return print_outcome(o, outcome, entries);
}

struct MergeCommand {
  std::vector<std::string> from;
  std::string out;
};

int merge_command(const MergeCommand& o) {
  const tuning::MergedSweep merged = tuning::merge_journals({o.from.begin(), o.from.end()});
  const auto setting = nlohmann::json::parse(merged.setting);
  RunContext run = make_run_context(describe_environment({}));
  run.build = setting.at("build"), run.commit = setting.at("commit"), run.backend = setting.at("backend");
  run.chip = setting.at("chip"), run.os = setting.at("os"), run.family = setting.at("family");
  tuning::SweepOutcome outcome;
  outcome.points = merged.points;
  outcome.contests = tuning::contests_of(merged.points, merged.error_ratio);
  tuning::judge_contests(
      outcome.contests,
      [&](const std::string& name) {
        const auto found = merged.processes.find(name);
        return found == merged.processes.end() ? nullptr : &found->second;
      },
      merged.blocks);
  make_folder(o.out);
  const auto entries = tuning::entries_of(outcome, run, run.backend == tuning::kPredicted);
  tuning::SweepFile file;
  file.name = "merged";
  write_results(o.out, file, outcome, entries, run, setting_words(run));
  for (const tuning::Entry& entry : entries) fmt::print("{}\n", tuning::entry_line(entry));
  for (const std::string& conflict : merged.conflicts) fmt::print("conflict: {}\n", conflict);
  fmt::print("{}: {} points from {} journals, {} of them more than once, {} conflicts\n",
             merged.conflicts.empty() ? "MERGED" : "CONFLICTS", merged.points.size(), o.from.size(), merged.duplicates,
             merged.conflicts.size());
  return static_cast<int>(merged.conflicts.empty() ? ExitCode::ok : ExitCode::check_failed);
}

}  // namespace

void add_sweep(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("sweep", "tries variants, sizes and settings; each judged, timed and journaled");
  auto options = std::make_shared<SweepCommand>();
  command->add_option("file", options->file, "JSON description (docs/tuning.md, examples/sweeps/)")->type_name("FILE");
  add_device_options(*command, options->device);
  command->add_option("--out", options->out, "folder of journal.jsonl, log.csv, best.csv and summary.md")
      ->type_name("FOLDER");
  command->add_flag("--resume", options->resume, "go on with the sweep in --out");
  command->add_option("--shard", options->shard, "i/n: only this part of the points");
  command
      ->add_option("--cost-model", options->cost_model,
                   "predict times of a family (h13 … h18) from published figures instead of measuring")
      ->type_name("FAMILY");
  command->add_option("--replay", options->replay, "take results from this sweep's journal instead of measuring")
      ->type_name("FOLDER");
  command->add_flag("--allow-stale", options->allow_stale, "with --replay: also of another build or machine");
  auto* merge = command->add_subcommand("merge", "joins the journals of shards");
  auto merging = std::make_shared<MergeCommand>();
  merge->add_option("journals", merging->from, "folders of sweeps, or their journals")
      ->type_name("FOLDER|FILE")
      ->required();
  merge->add_option("--out", merging->out, "folder of the merged sweep")->type_name("FOLDER")->required();
  merge->callback([merging, &action] { action = [merging] { return merge_command(*merging); }; });
  command->callback([command, options, &action] {
    if (command->get_subcommands().empty())
      action = [options] {
        if (options->file.empty()) throw input_error("sweep", "names no file", "give a JSON description");
        return sweep_command(*options);
      };
  });
}

}  // namespace aneval::cli
