#include "tuning/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "common/names.h"
#include "reports/format.h"
#include "reports/report.h"
#include "tuning/tradeoff.h"

namespace aneval::tuning {
namespace {

constexpr std::size_t kMostReasons = 20;

std::string time_text(double ns) { return ns > 0 ? reports::time_text(ns) : "-"; }

std::string gain_text(const Entry& e) {
  if (e.default_ns <= 0) return "-";
  if (e.blocks == 0) return fmt::format("{:+.1f} %", 100 * e.gain);
  return fmt::format("{:+.1f} % [{:+.1f}, {:+.1f}], p {:.1e}", 100 * e.gain, 100 * e.gain_low, 100 * e.gain_high, e.p);
}

using Points = std::vector<const std::pair<Point, PointResult>*>;

std::string front_table(const Points& of_contest, const Contest& contest) {
  reports::Table table{.title = context_words(contest.best) + ", " + contest.best.profile};
  table.columns = {"knobs", "time", "relative rms error", "staged"};
  for (const auto* each : pareto_front(of_contest))
    table.rows.push_back({knobs_text(each->first), time_text(each->second.time_ns),
                          fmt::format("{:.3g}", each->second.error),
                          fmt::format("{:.2f} MiB", each->second.bytes / 0x1p20)});
  return table.rows.empty() ? "" : to_markdown(table);
}

std::string fronts(const SweepOutcome& outcome) {
  std::map<std::string, Points> contests;
  for (const auto& each : outcome.points) contests[context_text(each.first)].push_back(&each);
  std::string text;
  for (const ContestOutcome& contest : outcome.contests)
    text += front_table(contests.at(contest.contest.context), contest.contest);
  return text.empty() ? "" : "## Time against error\nWhat no other point beats in both.\n\n" + text;
}

std::string regret_table(const SweepOutcome& outcome) {
  reports::Table table{.title = "Regret"};
  table.columns = {"context", "best of", "on", "ratio"};
  table.note = "The best knobs of one profile on another, over the best there: 1.10 takes a tenth longer.";
  for (const Regret& regret : regrets(outcome.points))
    table.rows.push_back({regret.context, regret.from, regret.on,
                          regret.ratio > 0 ? fmt::format("{:.2f}", regret.ratio) : "not usable there"});
  return table.rows.empty() ? "" : to_markdown(table);
}

std::string failure_lines(const SweepOutcome& outcome) {
  std::string text;
  std::map<std::string, std::int64_t> reasons;
  for (const auto& [point, reason] : outcome.refused) ++reasons[reason];
  if (!reasons.empty()) text += "\n## Points that cannot run\n";
  std::vector<std::pair<std::int64_t, std::string>> sorted;
  for (const auto& [reason, count] : reasons) sorted.emplace_back(-count, reason);
  std::ranges::sort(sorted);
  for (std::size_t i = 0; i < std::min(sorted.size(), kMostReasons); ++i)
    text += fmt::format("* {} by {}\n", -sorted[i].first, sorted[i].second);
  if (sorted.size() > kMostReasons) text += fmt::format("* and {} other reasons\n", sorted.size() - kMostReasons);
  std::string failed;
  for (const auto& [point, result] : outcome.points)
    if (!result.usable())
      failed += fmt::format("* {} `{}`: {}\n", status_name(result.status), point_text(point), result.reason);
  if (!failed.empty()) text += "\n## Points that failed\n" + failed;
  return text;
}

}  // namespace

std::string entry_line(const Entry& e) {
  return fmt::format("{:<11} {:<9} {:<36} {:<48} {:>11} default {:>11}  {}", verdict_name(e.verdict), e.profile,
                     context_words(e.point()), e.knobs, time_text(e.time_ns), time_text(e.default_ns), gain_text(e));
}

std::string counts_line(const SweepOutcome& outcome) {
  std::map<Status, std::int64_t> counts;
  for (const auto& [point, result] : outcome.points) ++counts[result.status];
  std::vector<std::string> parts;
  for (const auto& [status, count] : counts) parts.push_back(fmt::format("{} {}", count, status_name(status)));
  std::string text = fmt::format("{} points: {}", outcome.points.size(), parts.empty() ? "none" : join(parts, ", "));
  if (outcome.runnable > 0) text += fmt::format(" of {} that can run", outcome.runnable);
  if (!outcome.refused.empty()) text += fmt::format("; {} cannot run", outcome.refused.size());
  if (outcome.same > 0) text += fmt::format("; {} are the same work as another", outcome.same);
  if (!outcome.ended.empty()) text += "; ended by " + outcome.ended;
  return text;
}

std::string summary_markdown(const SweepFile& file, const SweepOutcome& outcome, const std::vector<Entry>& entries,
                             std::string_view setting) {
  std::string text =
      fmt::format("# Sweep {}\n{}\n{}{}\n", file.name, setting, file.note.empty() ? "" : file.note + "\n",
                  counts_line(outcome) + (outcome.exhaustive ? " (all of them)" : " (a search)"));
  reports::Table table{.title = "Best of every contest"};
  table.columns = {"verdict", "profile", "context", "knobs", "time", "default", "gain", "error", "error of default"};
  for (const Entry& e : entries)
    table.rows.push_back({std::string(verdict_name(e.verdict)), e.profile, context_words(e.point()), e.knobs,
                          time_text(e.time_ns), time_text(e.default_ns), gain_text(e), fmt::format("{:.3g}", e.error),
                          fmt::format("{:.3g}", e.default_error)});
  return text + '\n' + to_markdown(table) + fronts(outcome) + regret_table(outcome) + failure_lines(outcome);
}

}  // namespace aneval::tuning
