#include "reports/gate/ab_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/names.h"
#include "common/statistics.h"
#include "reports/gate/rules.h"

namespace aneval::gate {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

const Sample* sample_in(const std::vector<Measured>& processes, const std::string& name) {
  for (const Measured& process : processes)
    if (const auto found = process.benchmarks.find(name); found != process.benchmarks.end()) return &found->second;
  return nullptr;
}

std::vector<double> times_in(const std::vector<Measured>& processes, const std::string& name) {
  std::vector<double> times;
  for (const Measured& process : processes)
    if (const auto found = process.benchmarks.find(name);
        found != process.benchmarks.end() && found->second.trouble.empty())
      times.push_back(found->second.ns);
  return times;
}

std::optional<double> median_in(const std::vector<Measured>& processes, const std::string& name) {
  const auto times = times_in(processes, name);
  return times.empty() ? std::nullopt : std::optional(median(times));
}

/// What kept processes from timing a benchmark that they were asked for.
struct Trouble {
  std::string first;
  std::size_t failed = 0, asked = 0;
};

void add_trouble(const std::vector<Measured>& processes, const std::string& name, Trouble& trouble) {
  for (const Measured& process : processes) {
    if (std::ranges::find(process.expected, name) == process.expected.end()) continue;
    ++trouble.asked;
    const std::string why = process.trouble_of(name);
    if (why.empty()) continue;
    ++trouble.failed;
    if (trouble.first.empty()) trouble.first = why;
  }
}

std::set<std::string> control_names(const Stage& stage) {
  std::set<std::string> names;
  for (const auto* side : {&stage.a, &stage.b})
    for (const Measured& process : *side)
      for (const auto& [name, sample] : process.benchmarks)
        if (sample.key.phase == kControlPhase) names.insert(name);
  return names;
}

std::vector<double> row_of(const Measured& process, const std::vector<std::string>& names) {
  std::vector<double> row;
  for (const std::string& name : names) {
    const auto found = process.benchmarks.find(name);
    const bool timed = found != process.benchmarks.end() && found->second.trouble.empty();
    row.push_back(timed ? std::log(found->second.ns) : kNone);
  }
  return row;
}

bool has_any(const std::vector<double>& row, const std::vector<std::size_t>& places) {
  return std::ranges::any_of(places, [&](std::size_t i) { return std::isfinite(row[i]); });
}

std::string percent(double share) { return fmt::format("{:.2g} %", 100 * share); }

std::string median_of(std::vector<double> values) {
  std::erase_if(values, [](double x) { return !std::isfinite(x); });
  return values.empty() ? "none" : percent(median(std::move(values)));
}

/// Verdict and interval of a finding whose tolerance is set.
void judge(Finding& finding, const Shift& shift, bool slower, bool faster) {
  finding.change = std::expm1(shift.estimate);
  // Few processes exclude nothing: an interval without an end is none.
  if (std::isfinite(shift.low)) finding.low = std::expm1(shift.low);
  if (std::isfinite(shift.high)) finding.high = std::expm1(shift.high);
  finding.verdict = slower                                              ? Verdict::regressed
                    : faster                                            ? Verdict::improved
                    : finding.high && *finding.high < finding.tolerance ? Verdict::unchanged
                                                                        : Verdict::inconclusive;
}

}  // namespace

bool TimingComparison::comparable(const std::string& name) const {
  if (!names_a_.contains(name) || !names_b_.contains(name)) return false;
  const Sample* a = sample_in(first_stage_.a, name);
  const Sample* b = sample_in(first_stage_.b, name);
  return a != nullptr && b != nullptr && a->version == b->version && a->key == b->key;
}

Processes TimingComparison::values(const Stage& stage) const {
  Processes processes;
  const auto add = [&](const std::vector<Measured>& side, std::vector<std::vector<double>>& rows) {
    for (const Measured& process : side) {
      auto row = row_of(process, names_);
      // Without its controls nobody knows how slow the moment was.
      if (metrics_.controls.empty() ? has_any(row, metrics_.subjects) : has_any(row, metrics_.controls))
        rows.push_back(std::move(row));
    }
  };
  add(stage.a, processes.a);
  add(stage.b, processes.b);
  return processes;
}

void TimingComparison::first(Stage stage) {
  first_stage_ = std::move(stage);
  for (const std::string& name : names_a_) {
    Trouble trouble;
    add_trouble(first_stage_.a, name, trouble);
    add_trouble(first_stage_.b, name, trouble);
    if (trouble.failed > 0 || !comparable(name)) continue;
    metrics_.subjects.push_back(names_.size());
    names_.push_back(name);
    const Sample* sample = sample_in(first_stage_.a, name);
    metrics_.tolerances.push_back(timing_tolerance(sample->key.phase, *median_in(first_stage_.a, name)));
  }
  for (const std::string& name : control_names(first_stage_)) {
    // One that only one build has, or that changed, controls nothing.
    const Sample* a = sample_in(first_stage_.a, name);
    const Sample* b = sample_in(first_stage_.b, name);
    if (a == nullptr || b == nullptr || a->version != b->version) continue;
    metrics_.controls.push_back(names_.size());
    names_.push_back(name);
    metrics_.tolerances.push_back(1);
  }
  first_ = first_stage(values(first_stage_), metrics_, ranks_, thresholds_);
}

std::vector<std::string> TimingComparison::suspects() const {
  std::vector<std::string> names;
  for (const std::size_t m : first_.suspects()) names.push_back(names_[m]);
  return names;
}

void TimingComparison::second(Stage stage) {
  second_stage_ = std::move(stage);
  second_ = second_stage(values(second_stage_), metrics_, first_, ranks_, thresholds_);
}

/// What is known of a benchmark without any statistics.
Finding TimingComparison::plain(const std::string& name) const {
  Finding finding{.key = {.item = name, .metric = "time"}};
  const Sample* a = sample_in(first_stage_.a, name);
  const Sample* b = sample_in(first_stage_.b, name);
  if (a != nullptr || b != nullptr) finding.key = (a != nullptr ? a : b)->key;
  finding.benchmark = name;
  finding.unit = "ns";
  finding.base = median_in(first_stage_.a, name);
  finding.now = median_in(first_stage_.b, name);
  return finding;
}

/// Of a benchmark that was not compared: who does not have it, or what happened to it.
Finding TimingComparison::incomplete(const std::string& name) const {
  Finding finding = plain(name);
  const bool in_a = names_a_.contains(name), in_b = names_b_.contains(name);
  Trouble a, b;
  for (const Stage* stage : {&first_stage_, &second_stage_}) {
    add_trouble(stage->a, name, a);
    add_trouble(stage->b, name, b);
  }
  if (!in_a || !in_b) {
    finding.verdict = in_b ? Verdict::added : Verdict::removed;
    finding.gating = !in_b;
    if (b.failed > 0) finding.note = b.first;
    return finding;
  }
  if (a.failed == 0 && b.failed == 0) {
    finding.verdict = Verdict::not_comparable;
    const Sample* of_a = sample_in(first_stage_.a, name);
    const Sample* of_b = sample_in(first_stage_.b, name);
    finding.gating = false;
    if (of_a == nullptr || of_b == nullptr)
      finding.note = "not measured";
    else if (of_a->version != of_b->version)
      finding.note = fmt::format("the benchmark has version {} in A and {} in B", of_a->version, of_b->version);
    else
      finding.note = "rows of the two builds have other columns";
    return finding;
  }
  finding.verdict = Verdict::error;
  // What A cannot do at all is no fault of B.
  finding.gating = a.failed < a.asked;
  std::vector<std::string> notes;
  if (a.failed > 0) notes.push_back(fmt::format("A failed in {} of {} processes: {}", a.failed, a.asked, a.first));
  if (b.failed > 0) notes.push_back(fmt::format("B failed in {} of {} processes: {}", b.failed, b.asked, b.first));
  finding.note = join(notes, "; ");
  return finding;
}

Finding TimingComparison::timing(std::size_t metric, double detectable) const {
  const std::string& name = names_[metric];
  Finding finding = plain(name);
  const bool again = !second_.changes.empty() && second_.changes[metric].has_value();
  const auto& change = again ? second_.changes[metric] : first_.changes[metric];
  if (again) {
    finding.base = median_in(second_stage_.a, name);
    finding.now = median_in(second_stage_.b, name);
  }
  finding.tolerance = metrics_.tolerances[metric];
  if (!change) {
    finding.verdict = Verdict::inconclusive;
    finding.note = "no process has its controls";
    return finding;
  }
  const bool slower = again && second_.slower[metric], faster = again && second_.faster[metric];
  judge(finding, change->shift, slower, faster);
  finding.p = faster ? change->p_faster : change->p_slower;
  if (std::isfinite(detectable)) finding.detectable = detectable;
  if (again && !slower && !faster) finding.note = "suspected, and not confirmed";
  return finding;
}

/// All benchmarks together: a small change of everything, which none of them shows alone.
Finding TimingComparison::suite() const {
  Finding finding{.key = {.item = "suite", .metric = "time"}};
  finding.note = "the median benchmark of a process";
  finding.tolerance = thresholds_.suite_shift;
  const Change& change = second_.suite ? *second_.suite : *first_.suite;
  judge(finding, change.shift, second_.suite_slower, second_.suite_faster);
  finding.p = second_.suite_faster ? change.p_faster_any : change.p_slower_any;
  return finding;
}

TimingComparison::Result TimingComparison::result(bool negative_controls) {
  Result result;
  std::set<std::string> all = names_a_, timed;
  all.insert(names_b_.begin(), names_b_.end());
  const std::size_t tested = std::max<std::size_t>(first_.suspects().size(), 1);
  std::vector<double> spreads, detectables, control_spreads;
  std::size_t significant = 0;
  for (const std::size_t m : metrics_.subjects) {
    Trouble trouble;
    add_trouble(second_stage_.a, names_[m], trouble);
    add_trouble(second_stage_.b, names_[m], trouble);
    if (trouble.failed > 0 || !first_.changes[m]) continue;
    double spread = first_.changes[m]->spread;
    // The second stage may have met a noisier machine, and it is what decides.
    if (!second_.changes.empty() && second_.changes[m]) spread = std::max(spread, second_.changes[m]->spread);
    const double detectable =
        detectable_change(spread, metrics_.tolerances[m], static_cast<std::size_t>(thresholds_.blocks),
                          static_cast<std::size_t>(thresholds_.confirm_blocks), tested, ranks_, thresholds_);
    spreads.push_back(spread);
    detectables.push_back(detectable);
    Finding finding = timing(m, detectable);
    significant += finding.verdict == Verdict::regressed || finding.verdict == Verdict::improved;
    finding.gating = !negative_controls;
    if (negative_controls) finding.note += finding.note.empty() ? "negative control" : "; negative control";
    result.findings.push_back(std::move(finding));
    timed.insert(names_[m]);
  }
  for (const std::string& name : all)
    if (!timed.contains(name)) result.findings.push_back(incomplete(name));
  if (first_.suite_suspected) {
    result.findings.push_back(suite());
    result.findings.back().gating = !negative_controls;
  }

  // As they were measured: their spread is the machine's, which the subjects' no longer have.
  const Processes raw = values(first_stage_);
  for (const std::size_t m : metrics_.controls)
    if (const auto change = change_of(raw, m, ranks_, thresholds_)) control_spreads.push_back(change->spread);
  result.facts = {
      {"benchmarks", fmt::format("{} compared of {}", timed.size(), all.size())},
      {"suspects", fmt::format("{}{}", first_.suspects().size(), first_.suite_suspected ? ", all of the suite" : "")},
      {"controls",
       fmt::format("{}, median spread between processes {}", metrics_.controls.size(), median_of(control_spreads))},
      {"median spread (sigma) of a process' time", median_of(spreads)},
      {"median detectable change", median_of(detectables)}};
  if (!first_.controlled && !metrics_.subjects.empty())
    result.warnings.push_back("no controls that both builds have: the median of all benchmarks stands in for them");
  const double share = timed.empty() ? 0 : static_cast<double>(significant) / static_cast<double>(timed.size());
  if (negative_controls && share > thresholds_.contaminated)
    result.refusals.push_back(fmt::format(
        "environment contaminated: both builds are the same file, and {} of {} timings differ significantly",
        significant, timed.size()));
  return result;
}

}  // namespace aneval::gate
