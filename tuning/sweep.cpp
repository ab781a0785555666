#include "tuning/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace aneval::tuning {
namespace {

using Json = nlohmann::ordered_json;

bool has_a_candidate(const ContestOutcome& outcome) {
  return outcome.opposed && knobs_turned(outcome.contest.best) > 0;
}

std::string process_name(const Contest& contest, bool best, std::size_t block) {
  return fmt::format("{} {} {}", best ? "best" : "default", block, best ? point_text(contest.best) : contest.context);
}

class Sweep {
 public:
  explicit Sweep(const SweepOptions& options)
      : options_(options),
        search_(options.file, options.shard),
        journal_(options.out, identity(options), options.resume) {}

  SweepOutcome run() {
    outcome_.repaired = journal_.repaired();
    outcome_.exhaustive = search_.exhaustive();
    run_points();
    outcome_.runnable = search_.runnable();
    outcome_.same = search_.same();
    outcome_.refused = search_.refused_points();
    std::ranges::sort(outcome_.points, {}, [](const auto& each) { return point_text(each.first); });
    outcome_.contests = contests_of(outcome_.points, options_.file.error_ratio);
    if (options_.measure && options_.file.confirm_blocks > 0 && outcome_.signal == 0) confirm();
    return std::move(outcome_);
  }

 private:
  static std::string identity(const SweepOptions& options) {
    return Json{{"file", Json::parse(options.file.identity)},
                {"shard", fmt::format("{}/{}", options.shard.index, options.shard.count)},
                {"setting", Json::parse(options.setting)}}
        .dump();
  }

  bool stopped() {
    outcome_.signal = options_.interrupted ? options_.interrupted() : 0;
    if (outcome_.signal != 0) outcome_.ended = fmt::format("signal {}", outcome_.signal);
    return outcome_.signal != 0;
  }

  /// The budget that is spent, or nothing. A pure function of the results, so that a resumed sweep ends alike.
  std::string spent() const {
    const Budget& budget = options_.file.budget;
    if (budget.points && static_cast<std::int64_t>(outcome_.points.size()) >= *budget.points) return "budget of points";
    if (budget.compiles && compiles_ >= *budget.compiles) return "budget of compiles";
    if (budget.seconds && seconds_ >= *budget.seconds) return "budget of seconds";
    return {};
  }

  void run_points() {
    while (!stopped()) {
      const std::string budget = spent();
      const std::optional<Point> point = search_.next();
      if (!point) return;
      if (!budget.empty()) {
        outcome_.ended = budget;
        return;
      }
      const std::string text = point_text(*point);
      if (journal_.find(text) == nullptr) {
        if (options_.progress) options_.progress(fmt::format("{} {}", outcome_.points.size() + 1, text));
        PointResult result = options_.evaluate(*point);
        // What a signal cut short has not happened.
        if (stopped()) return;
        journal_.add(text, std::move(result));
        if (options_.done) options_.done(*point, *journal_.find(text));
      }
      const PointResult& result = *journal_.find(text);
      compiles_ += result.compiles;
      seconds_ += result.seconds;
      search_.tell(*point, result.usable() ? std::optional(result.time_ns) : std::nullopt);
      outcome_.points.emplace_back(*point, result);
    }
  }

  /// Blocks outside, contests inside: a slow hour meets all of them.
  void confirm() {
    Random coin(options_.file.seed, "confirm");
    const auto blocks = static_cast<std::size_t>(options_.file.confirm_blocks);
    for (std::size_t block = 0; block < blocks; ++block)
      for (const ContestOutcome& outcome : outcome_.contests) {
        if (!has_a_candidate(outcome)) continue;
        const Contest& contest = outcome.contest;
        const bool best_first = coin.below(2) == 1;
        for (const bool best : {best_first, !best_first}) {
          const std::string name = process_name(contest, best, block);
          if (journal_.find_process(name) != nullptr) continue;
          if (options_.progress) options_.progress("confirming: " + name);
          std::vector<double> values = options_.measure(best ? contest.best : contest.plain);
          if (stopped()) return;
          journal_.add_process(name, std::move(values));
        }
      }
    judge_contests(outcome_.contests, [&](const std::string& name) { return journal_.find_process(name); }, blocks);
  }

  const SweepOptions& options_;
  Search search_;
  SweepJournal journal_;
  SweepOutcome outcome_;
  std::int64_t compiles_ = 0;
  double seconds_ = 0;
};

}  // namespace

std::vector<ContestOutcome> contests_of(const std::vector<std::pair<Point, PointResult>>& points,
                                        std::optional<double> error_ratio) {
  std::map<std::string, ContestOutcome> contests;
  std::map<std::string, bool> has_default;
  for (const auto& [point, result] : points) {
    ContestOutcome& contest = contests[context_text(point)];
    ++contest.points;
    contest.usable += result.usable() ? 1 : 0;
    if (knobs_turned(point) == 0 && result.usable()) {
      contest.contest.plain = point;
      contest.contest.plain_result = result;
      has_default[context_text(point)] = true;
    }
  }
  for (const auto& [point, result] : points) {
    if (!result.usable()) continue;
    const std::string context = context_text(point);
    Contest& contest = contests.at(context).contest;
    if (error_ratio && has_default[context] && !(result.error <= *error_ratio * contest.plain_result.error)) continue;
    if (contest.context.empty() || better(point, result, contest.best, contest.best_result)) {
      contest.context = context;
      contest.best = point;
      contest.best_result = result;
    }
  }
  std::vector<ContestOutcome> all;
  for (auto& [context, contest] : contests) {
    contest.opposed = has_default[context];
    if (!contest.contest.context.empty()) all.push_back(std::move(contest));
  }
  return all;
}

void judge_contests(std::vector<ContestOutcome>& contests, const Processes& processes, std::size_t blocks) {
  std::vector<std::vector<Block>> measured;
  std::vector<ContestOutcome*> judged;
  for (ContestOutcome& outcome : contests) {
    if (!has_a_candidate(outcome)) continue;
    std::vector<Block> of_contest;
    for (std::size_t block = 0; block < blocks; ++block) {
      const auto* plain = processes(process_name(outcome.contest, false, block));
      const auto* best = processes(process_name(outcome.contest, true, block));
      if (plain != nullptr && best != nullptr) of_contest.push_back({*plain, *best});
    }
    if (of_contest.empty()) continue;
    judged.push_back(&outcome);
    measured.push_back(std::move(of_contest));
  }
  const std::vector<Win> wins = judge_wins(measured);
  for (std::size_t i = 0; i < judged.size(); ++i) judged[i]->win = wins[i];
}

SweepOutcome run_sweep(const SweepOptions& options) { return Sweep(options).run(); }

}  // namespace aneval::tuning
