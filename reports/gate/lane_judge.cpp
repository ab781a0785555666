#include "reports/gate/lane_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "common/names.h"
#include "common/statistics.h"
#include "reports/format.h"
#include "reports/gate/deterministic.h"

namespace aneval::gate {
namespace {

using reports::SeriesKey;

/// A change can be a few runs from where it is found: an acknowledged commit may be that far from it.
constexpr std::size_t kNearRuns = 3;

std::string level_text(const HistorySeries& series, double value) {
  return series.unit == "ns" ? reports::time_text(value) : number_text(value);
}

/// "a1..b2 (time): 1.20 ms -> 1.31 ms (+9.2 %)".
std::string change_text(const HistorySeries& series, const ChangePoint& change) {
  const bool texts = !change.before_text.empty() || !change.after_text.empty();
  std::string said = fmt::format("{}..{} ({}): ", change.from_commit, change.to_commit, change.time_utc);
  said += texts ? fmt::format("{} -> {}", change.before_text, change.after_text)
                : fmt::format("{} -> {}", level_text(series, change.before), level_text(series, change.after));
  if (!texts && change.before != 0) said += fmt::format(" ({:+.1f} %)", 100 * (change.after / change.before - 1));
  return change.acknowledged.empty() ? said : fmt::format("{}, acknowledged: {}", said, change.acknowledged);
}

}  // namespace

LaneJudge::LaneJudge(const History& history, std::size_t lane, const LaneControls& controls,
                     const std::vector<Acknowledgement>& acknowledged, std::vector<bool>& used,
                     const HistoryOptions& options)
    : lane_(history.lanes[lane]),
      number_(lane),
      controls_(controls),
      acknowledged_(acknowledged),
      used_(used),
      options_(options) {
  for (std::size_t i = 0; i < lane_.series.size(); ++i) {
    const HistorySeries& series = lane_.series[i];
    if (series.points.empty()) continue;
    const auto [at, added] = newest_.try_emplace(series.key, i);
    if (!added && lane_.series[at->second].points.back().run < series.points.back().run) at->second = i;
  }
}

void LaneJudge::judge(RankSum& ranks, std::vector<SeriesJudgement>& judged, std::vector<FreshRuns>& tests,
                      std::vector<std::size_t>& places) {
  for (const auto& [key, place] : newest_) {
    const HistorySeries& series = lane_.series[place];
    const Rule* rule = find_rule(key.metric);
    if ((!is_timed(key) && rule == nullptr) || key.phase == kControlPhase) continue;
    SeriesJudgement judgement;
    judgement.lane = number_;
    judgement.series = place;
    Finding& f = judgement.finding;
    f.key = key;
    f.kind = rule ? rule->kind : Kind::timing;
    f.benchmark = series.benchmark;
    f.unit = series.unit;
    f.gating = false;
    say_version(series, f);
    if (rule) {
      judge_exactly(*rule, series, judgement);
    } else {
      tests.push_back(test(ranks, series, judgement));
      places.push_back(judged.size());
    }
    judge_absence(series, f);
    judged.push_back(std::move(judgement));
  }
}

std::vector<Point> LaneJudge::window(const HistorySeries& series) const {
  const std::size_t count = std::min(series.points.size(), options_.window);
  return {series.points.end() - static_cast<std::ptrdiff_t>(count), series.points.end()};
}

void LaneJudge::say_version(const HistorySeries& series, Finding& f) const {
  for (const HistorySeries& other : lane_.series)
    if (&other != &series && other.version != series.version && other.key == series.key && !other.points.empty())
      add_note(f, fmt::format("a new series since version {} of its benchmark at {}", series.version,
                              lane_.runs[series.points.front().run].commit));
}

void LaneJudge::add_note(Finding& f, const std::string& note) {
  if (!f.note.empty()) f.note += "; ";
  f.note += note;
}

void LaneJudge::judge_absence(const HistorySeries& series, Finding& f) const {
  const Point& last = series.points.back();
  if (last.run + 1 + 2 * options_.fresh <= lane_.runs.size()) {
    f.verdict = Verdict::removed;
    add_note(f, fmt::format("in none of the last {} runs", lane_.runs.size() - last.run - 1));
  } else if (last.status != Status::ok && !last.value && series.texts[last.text].empty()) {
    f.verdict = Verdict::error;
    add_note(f, fmt::format("{} in run {}", status_name(last.status), lane_.runs[last.run].id));
  }
}

ChangePoint LaneJudge::change_at(const Finding& f, std::size_t before, std::size_t run) const {
  ChangePoint change;
  change.run = run;
  change.from_commit = lane_.runs[before].commit;
  change.to_commit = lane_.runs[run].commit;
  change.time_utc = lane_.runs[run].time_utc;
  change.acknowledged = acknowledgement(f, run > kNearRuns ? run - kNearRuns : 0, run + kNearRuns);
  return change;
}

std::string LaneJudge::acknowledgement(const Finding& f, std::size_t first, std::size_t last) const {
  const std::string name = f.name();
  for (std::size_t i = 0; i < acknowledged_.size(); ++i) {
    if (!acknowledged_[i].names(name, f.benchmark)) continue;
    for (std::size_t run = first; run <= last && run < lane_.runs.size(); ++run)
      if (acknowledged_[i].is_of(lane_.runs[run].commit)) {
        used_[i] = true;
        return acknowledged_[i].reason;
      }
  }
  return {};
}

void LaneJudge::say_changes(const HistorySeries& series, SeriesJudgement& judgement) const {
  for (const ChangePoint& change : judgement.changes)
    add_note(judgement.finding, "level changed in " + change_text(series, change));
}

FreshRuns LaneJudge::test(RankSum& ranks, const HistorySeries& series, SeriesJudgement& judgement) {
  std::vector<Point> points = window(series);
  std::erase_if(points, [](const Point& p) { return !p.value; });
  const bool controlled =
      std::all_of(points.begin(), points.end(), [&](const Point& p) { return controls_.above[p.run].has_value(); });
  without_controls_ += !controlled;
  const auto value = [&](const Point& p) { return std::log(*p.value) - (controlled ? *controls_.above[p.run] : 0.0); };
  // From the last run backwards: fresh ones are far enough from each other.
  std::vector<double> fresh, before;
  std::vector<std::size_t> runs;
  std::size_t at = points.size(), last = 0, near = 0;
  while (at > 0 && fresh.size() < options_.fresh) {
    const Point& p = points[--at];
    const std::int64_t apart = std::abs(lane_.runs[last].seconds - lane_.runs[p.run].seconds);
    if (!fresh.empty() && apart < options_.apart_seconds) {
      ++near;
      continue;
    }
    fresh.push_back(value(p));
    last = p.run;
  }
  too_near_ = std::max(too_near_, near);
  for (std::size_t i = 0; i < at; ++i) {
    before.push_back(value(points[i]));
    runs.push_back(points[i].run);
  }
  std::reverse(fresh.begin(), fresh.end());
  FreshRuns result = compare_fresh(before, fresh, ranks, options_);
  Finding& f = judgement.finding;
  for (std::size_t i = 1; i < result.begins.size(); ++i) {
    const std::size_t begin = result.begins[i - 1], middle = result.begins[i];
    const std::size_t end = i + 1 < result.begins.size() ? result.begins[i + 1] : before.size();
    const auto level = [&](std::size_t a, std::size_t b) {
      return std::exp(
          median({before.begin() + static_cast<std::ptrdiff_t>(a), before.begin() + static_cast<std::ptrdiff_t>(b)}));
    };
    ChangePoint change = change_at(f, runs[middle - 1], runs[middle]);
    change.before = level(begin, middle);
    change.after = level(middle, end);
    judgement.changes.push_back(std::move(change));
  }
  judgement.baseline = result.baseline;
  judgement.fresh = result.fresh;
  if (result.baseline > 0) f.base = std::exp(result.middle);
  if (!fresh.empty()) f.now = std::exp(median(fresh));
  f.tolerance = std::max(options_.least_change, timing_tolerance(f.key.phase, f.base.value_or(f.now.value_or(0))));
  if (fresh.size() < options_.fresh)
    add_note(f, fmt::format("{} of {} fresh runs", fresh.size(), options_.fresh));
  else if (result.baseline < options_.least_baseline)
    add_note(f, fmt::format("{} runs of a baseline, {} are needed", result.baseline, options_.least_baseline));
  if (at < points.size())
    if (const std::string why = acknowledgement(f, points[at].run, lane_.runs.size()); !why.empty())
      add_note(f, "acknowledged: " + why);
  say_changes(series, judgement);
  return result;
}

std::optional<double> LaneJudge::scale_of(const Rule& rule, SeriesKey key, std::uint32_t run) const {
  if (rule.scale.empty()) return 1.0;
  key.metric = rule.scale;
  const auto found = newest_.find(key);
  if (found == newest_.end()) return std::nullopt;
  const auto& points = lane_.series[found->second].points;
  const auto point =
      std::lower_bound(points.begin(), points.end(), run, [](const Point& p, std::uint32_t r) { return p.run < r; });
  return point == points.end() || point->run != run ? std::nullopt : point->value;
}

bool LaneJudge::is_worse(const Rule& rule, const SeriesKey& key, std::uint32_t run, double from, double to) const {
  if (rule.better == Better::same) return from != to;
  const bool higher = rule.better == Better::higher;
  if (rule.kind != Kind::tolerance) return higher ? to < from : to > from;
  const double slack = rule.absolute * scale_of(rule, key, run).value_or(0.0);
  return higher ? to < from - slack : to > from * (1 + rule.relative) + slack;
}

void LaneJudge::judge_exactly(const Rule& rule, const HistorySeries& series, SeriesJudgement& judgement) const {
  Finding& f = judgement.finding;
  f.verdict = Verdict::unchanged;
  f.tolerance = rule.relative;
  const Point* level = nullptr;
  const Point* last = nullptr;
  const std::vector<Point> points = window(series);
  const std::size_t fresh_from = points.size() > options_.fresh ? points.size() - options_.fresh : 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Point& p = points[i];
    if (!p.value && p.text == 0) continue;  // failed, or not the same twice in one run
    if (level == nullptr || last == nullptr) {
      level = last = &p;
      continue;
    }
    const bool numbers = p.value && level->value;
    const bool worse = numbers && is_worse(rule, f.key, p.run, *level->value, *p.value);
    const bool better = numbers && is_worse(rule, f.key, p.run, *p.value, *level->value);
    if (worse || better || p.text != level->text || p.value.has_value() != level->value.has_value()) {
      ChangePoint change = change_at(f, last->run, p.run);
      change.before = level->value.value_or(0);
      change.after = p.value.value_or(0);
      change.before_text = series.texts[level->text];
      change.after_text = series.texts[p.text];
      judgement.changes.push_back(std::move(change));
      if (i >= fresh_from)
        f.verdict = rule.better == Better::same ? Verdict::not_comparable
                    : better                    ? Verdict::improved
                                                : Verdict::regressed;
      f.base = level->value;
      f.base_text = series.texts[level->text];
      level = &p;
    }
    last = &p;
  }
  judgement.fresh = points.size() - fresh_from;
  judgement.baseline = fresh_from;
  if (last != nullptr) {
    f.now = last->value;
    f.now_text = series.texts[last->text];
    if (f.verdict == Verdict::unchanged) f.base = f.now, f.base_text = f.now_text;
    if (f.base && f.now && *f.base != 0) f.change = *f.now / *f.base - 1;
  }
  say_changes(series, judgement);
}

}  // namespace aneval::gate
