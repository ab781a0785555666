#include "reports/gate/ab_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/error.h"
#include "common/names.h"
#include "common/random.h"
#include "common/result_file.h"
#include "reports/gate/ab_builds.h"
#include "reports/gate/ab_environment.h"
#include "reports/gate/ab_findings.h"
#include "reports/gate/ab_journal.h"
#include "reports/gate/ab_shards.h"
#include "reports/gate/deterministic.h"

namespace aneval::gate {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kControls = "^control/";
constexpr int kAttempts = 4;            // at a block: three times again
constexpr std::size_t kDeadBlocks = 2;  // in which a build delivers nothing: more of them will not help

class AbRun {
 public:
  explicit AbRun(const AbOptions& options) : o_(options) {}

  Outcome run() {
    outcome_.mode = "A/B";
    try {
      compare();
    } catch (const Interrupted& interrupted) {
      outcome_.refusals.push_back(
          fmt::format("interrupted by signal {}: --resume goes on with it", interrupted.signal));
    }
    tell("");
    return std::move(outcome_);
  }

 private:
  void tell(const std::string& text) const {
    if (o_.progress) o_.progress(text);
  }

  void compare() {
    a_ = open_build(o_, "a", o_.a);
    b_ = open_build(o_, "b", o_.b);
    describe();
    outcome_.refusals = environment_differences(a_.environment, b_.environment);
    if (!outcome_.refusals.empty()) return;
    list_names();
    AbJournal journal(o_.out, comparison(), o_.resume);
    journal_ = &journal;
    for (Build* build : {&a_, &b_}) validate(*build);
    measure();
  }

  /// Everything that decides what is measured, for the journal.
  Json comparison() const {
    return {{"A", a_.hash},
            {"B", b_.hash},
            {"seed", o_.seed},
            {"blocks", o_.thresholds.blocks},
            {"confirming blocks", o_.thresholds.confirm_blocks},
            {"repetitions", o_.thresholds.repetitions},
            {"timing", o_.timing},
            {"filter", o_.filter},
            {"device options", join(o_.device, " ")},
            {"benchmark flags", join(o_.benchmark, " ")},
            {"programs per process", most_programs()},
            {"machine", environment_fields(a_.environment)}};
  }

  void describe() {
    for (const Build* build : {&a_, &b_}) {
      const auto text = [&](const char* name) {
        return build->environment.contains(name) && build->environment[name].is_string()
                   ? build->environment[name].get<std::string>()
                   : std::string("unknown");
      };
      outcome_.facts.emplace_back(build == &a_ ? "A" : "B", fmt::format("commit {}, build {}, executable {}",
                                                                        text("commit"), text("build"), build->hash));
    }
    if (a_.hash == b_.hash) outcome_.facts.emplace_back("executables", "A and B are the same file");
    outcome_.facts.emplace_back("seed", std::to_string(o_.seed));
  }

  void list_names() {
    for (Build* build : {&a_, &b_}) {
      build->names = benchmark_names(o_, *build, o_.filter);
      build->controls = benchmark_names(o_, *build, kControls);
      for (const std::string& control : build->controls) build->names.erase(control);
    }
    if (a_.names.empty() && b_.names.empty())
      throw input_error("--benchmark_filter=" + o_.filter, "matches no benchmark of A and none of B, controls aside",
                        "see `aneval list benchmarks`");
  }

  /// The deterministic metrics of the kernels, once; bench trusts what was judged here.
  void validate(Build& build) {
    const std::string name = "validate-" + build.letter, file = name + ".csv";
    auto finished = journal_->find(name);
    if (!finished) {
      tell("validate of " + build.letter);
      journal_->discard(file, o_.limit);
      std::vector<std::string> command = {"validate", "--quick", "--out", journal_->result_file(file).string()};
      // More programs than one process may compile.
      if (most_programs() > 0) command.emplace_back("--isolate");
      command.insert(command.end(), o_.device.begin(), o_.device.end());
      const ProcessResult result = start(o_, build, command);
      if (result.end == ProcessResult::End::exited && result.code == 2)
        throw input_error(build.binary.string() + " validate", last_line(result.err), "give options that both take");
      finished = Finished{file, how_it_ended(result)};
      journal_->add(name, *finished);
    }
    std::string trouble = finished->ended;
    try {
      if (trouble.empty())
        visit_results(journal_->result_file(file), [&](const Record& row) {
          // A process about itself says nothing about a case.
          if (!row.kernel.empty() || !row.phase.empty()) build.judged[reports::SeriesKey::of(row)].add(row);
        });
    } catch (const Error& error) {
      trouble = error.reason();
      build.judged.clear();
    }
    if (trouble.empty()) {
      build.validated = journal_->result_file(file);
      return;
    }
    Finding finding{.key = {.item = name, .phase = "validate"}, .benchmark = name, .kind = Kind::contract};
    finding.verdict = Verdict::error;
    finding.note = trouble;
    outcome_.findings.push_back(std::move(finding));
  }

  std::int64_t most_programs() const {
    const bool apple =
        o_.backend == "apple" || (o_.backend == "auto" && a_.environment.value("backend", "") == "apple");
    if (!apple && !o_.compile_limit) return 0;
    return std::min(kProgramsPerProcess, o_.compile_limit.value_or(kProgramsPerProcess));
  }

  /// One process, unless it has been measured before.
  Measured process(Build& build, const std::string& name, std::uint64_t order,
                   const std::vector<std::string>& benchmarks) {
    std::vector<std::string> expected;
    for (const std::string& benchmark : benchmarks)
      if (build.names.contains(benchmark) || build.controls.contains(benchmark)) expected.push_back(benchmark);
    if (expected.empty()) return {};
    const std::string file = name + ".csv";
    auto finished = journal_->find(name);
    if (!finished) {
      journal_->discard(file, o_.limit);
      std::vector<std::string> command = {
          "bench",
          "--out",
          journal_->result_file(file).string(),
          "--run-id",
          fmt::format("ab-{}", o_.seed),
          "--proc",
          std::to_string(journal_->size()),
          "--order-seed",
          std::to_string(order),
          fmt::format("--benchmark_repetitions={}", o_.timing ? o_.thresholds.repetitions : 1)};
      if (!o_.timing) command.emplace_back("--benchmark_min_time=0.001");
      if (!build.validated.empty()) command.insert(command.end(), {"--validated", build.validated.string()});
      command.insert(command.end(), o_.device.begin(), o_.device.end());
      command.insert(command.end(), o_.benchmark.begin(), o_.benchmark.end());
      command.push_back("--benchmark_filter=" + filter_of(expected));
      finished = Finished{file, how_it_ended(start(o_, build, command))};
      journal_->add(name, *finished);
    }
    Measured measured = read_measured(journal_->result_file(finished->file), finished->ended, build.counted);
    measured.expected = std::move(expected);
    return measured;
  }

  struct Block {
    Stage stage;
    bool throttled = false;
  };

  /// Every shard once with A and once with B, who comes first by a fair coin.
  Block block(int stage, std::int64_t number, int attempt, const std::vector<std::vector<std::string>>& groups) {
    Block block;
    for (std::size_t shard = 0; shard < groups.size(); ++shard) {
      const std::string name = fmt::format("{}.{}.{}.{}", stage, number, shard, attempt);
      Random random(o_.seed, name);
      const bool b_first = random.below(2) == 1;
      const std::uint64_t order = random.bits() >> 1;
      for (Build* build : b_first ? std::array{&b_, &a_} : std::array{&a_, &b_}) {
        tell(fmt::format("stage {}, block {} of {}, part {} of {}: {}", stage, number + 1,
                         stage == 1 ? o_.thresholds.blocks : o_.thresholds.confirm_blocks, shard + 1, groups.size(),
                         build->letter));
        Measured measured = process(*build, name + "." + build->letter, order, groups[shard]);
        block.throttled = block.throttled || measured.throttled;
        thermal_told_ = thermal_told_ || measured.thermal.has_value();
        (build == &a_ ? block.stage.a : block.stage.b).push_back(std::move(measured));
      }
    }
    return block;
  }

  static bool dead(const std::vector<Measured>& processes) {
    return std::ranges::none_of(processes, [](const Measured& process) { return process.delivered(); });
  }

  /// Nothing when the machine throttled too often.
  std::optional<Stage> measure_stage(int stage, std::int64_t blocks, const std::vector<std::string>& names) {
    auto groups = shards(names, most_programs(), o_.thresholds.repetitions);
    std::set<std::string> controls = a_.controls;
    controls.insert(b_.controls.begin(), b_.controls.end());
    for (auto& group : groups) group.insert(group.end(), controls.begin(), controls.end());
    Stage all;
    for (std::int64_t number = 0; number < blocks; ++number) {
      Block measured = block(stage, number, 0, groups);
      for (int attempt = 1; measured.throttled && attempt < kAttempts; ++attempt) {
        ++measured_again_;
        measured = block(stage, number, attempt, groups);
      }
      if (measured.throttled) return std::nullopt;
      for (const auto& [from, to] : {std::pair{&measured.stage.a, &all.a}, {&measured.stage.b, &all.b}})
        std::ranges::move(*from, std::back_inserter(*to));
      if (static_cast<std::size_t>(number) + 1 >= kDeadBlocks && (dead(all.a) || dead(all.b))) break;
    }
    processes_ += all.a.size() + all.b.size();
    return all;
  }

  void refuse_throttled() {
    outcome_.refusals.push_back(
        fmt::format("thermal pressure was not zero in {} measurements of a block one after the other", kAttempts));
  }

  void measure() {
    std::set<std::string> all = a_.names;
    all.insert(b_.names.begin(), b_.names.end());
    TimingComparison timing(a_.names, b_.names, o_.thresholds);
    auto first = measure_stage(1, o_.timing ? o_.thresholds.blocks : 1, {all.begin(), all.end()});
    if (!first) return refuse_throttled();
    timing.first(std::move(*first));
    const std::vector<std::string> suspects = timing.suspects();
    if (o_.timing && !suspects.empty()) {
      auto second = measure_stage(2, o_.thresholds.confirm_blocks, suspects);
      if (!second) return refuse_throttled();
      timing.second(std::move(*second));
    }
    judge_counts();
    add(timing.result(o_.negative_controls && a_.hash == b_.hash));
    outcome_.facts.emplace_back("blocks", fmt::format("{} of everything, {} of suspects", o_.thresholds.blocks,
                                                      suspects.empty() ? 0 : o_.thresholds.confirm_blocks));
    outcome_.facts.emplace_back("processes", std::to_string(processes_));
    outcome_.facts.emplace_back("thermal pressure",
                                thermal_told_ ? fmt::format("zero; blocks measured again: {}", measured_again_)
                                              : std::string("not told by this system"));
  }

  /// What both builds validated and counted. A benchmark that only one of them has, or that failed in one, has its
  /// finding among the timings.
  void judge_counts() {
    std::set<reports::SeriesKey> in_a, in_b;
    for (const auto& [key, samples] : a_.counted) in_a.insert(whole(key));
    for (const auto& [key, samples] : b_.counted) in_b.insert(whole(key));
    std::erase_if(a_.counted, [&](const auto& entry) { return !in_b.contains(whole(entry.first)); });
    std::erase_if(b_.counted, [&](const auto& entry) { return !in_a.contains(whole(entry.first)); });
    for (Build* build : {&a_, &b_}) build->counted.merge(build->judged);
    std::ranges::move(judge_deterministic(a_.counted, b_.counted), std::back_inserter(outcome_.findings));
  }

  void add(TimingComparison::Result result) {
    // Without timing there is one process of each: who is missing or failed is all that their times say.
    if (!o_.timing)
      std::erase_if(result.findings, [](const Finding& finding) {
        return finding.verdict == Verdict::inconclusive || finding.verdict == Verdict::unchanged;
      });
    for (Finding& finding : result.findings) outcome_.findings.push_back(std::move(finding));
    if (o_.timing) std::ranges::move(result.facts, std::back_inserter(outcome_.facts));
    if (o_.timing) std::ranges::move(result.warnings, std::back_inserter(outcome_.warnings));
    std::ranges::move(result.refusals, std::back_inserter(outcome_.refusals));
  }

  const AbOptions& o_;
  Build a_, b_;
  Outcome outcome_;
  AbJournal* journal_ = nullptr;
  std::size_t processes_ = 0;
  int measured_again_ = 0;
  bool thermal_told_ = false;
};

void check_flags(const AbOptions& options) {
  for (const std::string& flag : options.benchmark)
    for (const char* own : {"--benchmark_out", "--benchmark_format", "--benchmark_list_tests", "--benchmark_filter"})
      if (flag.starts_with(own))
        throw input_error(flag, "is the comparison's own", "leave it out; --benchmark_filter is given once");
}

}  // namespace

Outcome run_ab(const AbOptions& options) {
  check_flags(options);
  return AbRun(options).run();
}

}  // namespace aneval::gate
