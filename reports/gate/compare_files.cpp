#include "reports/gate/compare_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "common/csv.h"
#include "common/names.h"
#include "common/statistics.h"
#include "reports/format.h"
#include "reports/gate/deterministic.h"
#include "reports/gate/paired.h"
#include "reports/gate/rules.h"

namespace aneval::gate {
namespace {

namespace fs = std::filesystem;
using reports::SeriesKey;
using reports::Setting;

/// More processes than this per side are beyond the exact rank test, and say nothing that these do not.
constexpr std::size_t kMostProcesses = 200;

constexpr const char* kMode = "two files";

/// Of the first row; nothing when there is none.
std::optional<std::string> schema_of(const std::vector<fs::path>& results) {
  for (const fs::path& path : results)
    for (const fs::path& file : reports::result_files(path))
      if (auto schema = csv_schema(file)) return schema;
  return std::nullopt;
}

struct Field {
  const char* name;
  std::string Setting::* value;
  bool gates = true;  // another one makes the sides incomparable
};

constexpr std::array<Field, 7> kFields = {{{"chip", &Setting::chip},
                                           {"os", &Setting::os},
                                           {"build", &Setting::build},
                                           {"backend", &Setting::backend},
                                           {"profile", &Setting::profile},
                                           {"commit", &Setting::commit, false},
                                           {"machine", &Setting::machine, false}}};

std::string differ(const Field& field, const std::string& a, const std::string& b) {
  return fmt::format("{} '{}' and '{}'", field.name, a, b);
}

void refuse_mixture(const Side& side, const char* which, Outcome& outcome) {
  if (side.settings.size() < 2) return;
  const Setting &first = side.settings.begin()->first, &second = std::next(side.settings.begin())->first;
  for (const Field& field : kFields)
    if (first.*field.value != second.*field.value) {
      outcome.refusals.push_back(fmt::format("the {} side ({}) has rows of several settings: {}", which, side.name,
                                             differ(field, first.*field.value, second.*field.value)));
      return;
    }
}

void compare_settings(const Setting& base, const Setting& now, Outcome& outcome) {
  for (const Field& field : kFields) {
    if (base.*field.value == now.*field.value) continue;
    const std::string said = differ(field, base.*field.value, now.*field.value);
    if (field.gates)
      outcome.refusals.push_back("the sides were measured with " + said);
    else if (field.value == &Setting::machine)
      outcome.warnings.push_back("the sides were measured on different machines: " + said);
  }
}

void describe(const Side& side, const char* which, Outcome& outcome) {
  std::string text = side.name;
  if (!side.settings.empty()) text += ", commit " + side.settings.begin()->first.commit;
  outcome.facts.emplace_back(
      which, fmt::format("{}, {} process{}", text, side.processes.size(), side.processes.size() == 1 ? "" : "es"));
  for (const std::string& command : side.unfinished)
    outcome.warnings.push_back(fmt::format(
        "`{}` of the {} side did not come to its end: only what it had written is compared", command, which));
}

bool is_control(const SeriesKey& key) { return key.phase == kControlPhase; }

/// The versions of the benchmark that times this; none when it does not say.
std::set<double> versions(const SampleMap& samples, SeriesKey key) {
  key.metric = "benchmark";
  std::set<double> found;
  if (const auto at = samples.find(key); at != samples.end())
    for (const double version : at->second.medians()) found.insert(version);
  return found;
}

/// A timing on both sides, in the order of findings.
struct Timing {
  Finding finding;
  const Samples *base, *now;
};

std::optional<double> impossible_time(const Samples& samples) {
  for (const auto& [process, values] : samples.processes)
    for (const double value : values)
      if (!(value > 0) || !std::isfinite(value)) return value;
  return std::nullopt;
}

void judge_by_medians(Finding& f) {
  f.verdict = std::fabs(*f.change) < f.tolerance ? Verdict::unchanged : Verdict::inconclusive;
  f.note = "medians only: two processes a side are needed for a test";
}

void judge_by_ranks(std::vector<Timing*>& timings, const Thresholds& t, Outcome& outcome) {
  if (timings.empty()) return;
  std::map<ProcessId, std::size_t> places_a, places_b;
  const auto number = [](const Samples& samples, std::map<ProcessId, std::size_t>& places) {
    for (const auto& [process, values] : samples.processes)
      if (!values.empty() && places.size() < kMostProcesses) places.try_emplace(process, places.size());
  };
  for (const Timing* timing : timings) number(*timing->base, places_a), number(*timing->now, places_b);
  const std::vector<double> nothing(timings.size(), std::numeric_limits<double>::quiet_NaN());
  Processes processes{std::vector(places_a.size(), nothing), std::vector(places_b.size(), nothing)};
  Metrics metrics;
  for (std::size_t m = 0; m < timings.size(); ++m) {
    const auto fill = [m](const Samples& samples, const std::map<ProcessId, std::size_t>& places, auto& side) {
      for (const auto& [process, values] : samples.processes)
        if (const auto at = places.find(process); at != places.end() && !values.empty())
          side[at->second][m] = std::log(median(values));
    };
    fill(*timings[m]->base, places_a, processes.a);
    fill(*timings[m]->now, places_b, processes.b);
    (is_control(timings[m]->finding.key) ? metrics.controls : metrics.subjects).push_back(m);
    metrics.tolerances.push_back(timings[m]->finding.tolerance);
  }
  RankSum ranks;
  const Confirmed confirmed = single_stage(std::move(processes), metrics, ranks, t);
  for (const std::size_t m : metrics.subjects) {
    Finding& f = timings[m]->finding;
    const auto& change = confirmed.changes[m];
    if (!change) {  // its processes are beyond those that are taken
      judge_by_medians(f);
      continue;
    }
    f.change = std::expm1(change->shift.estimate);
    f.low = std::expm1(change->shift.low);
    f.high = std::expm1(change->shift.high);
    f.p = confirmed.faster[m] ? change->p_faster : change->p_slower;
    f.detectable = detectable_change(change->spread, f.tolerance, std::min(change->a, change->b),
                                     metrics.subjects.size(), ranks, t);
    f.verdict = confirmed.slower[m]     ? Verdict::regressed
                : confirmed.faster[m]   ? Verdict::improved
                : *f.high < f.tolerance ? Verdict::unchanged
                                        : Verdict::inconclusive;
  }
  if (confirmed.suite_slower || confirmed.suite_faster)
    outcome.warnings.push_back(fmt::format(
        "the median timing of a process is {} by {} (p {})", confirmed.suite_slower ? "slower" : "faster",
        reports::percent(std::fabs(std::expm1(confirmed.suite->shift.estimate))),
        reports::number3(confirmed.suite_slower ? confirmed.suite->p_slower_any : confirmed.suite->p_faster_any)));
}

/// The samples of one process, at most.
std::size_t most_samples(const Samples& samples) {
  std::size_t most = 0;
  for (const auto& [process, values] : samples.processes) most = std::max(most, values.size());
  return most;
}

void warn_about_samples(const std::vector<Timing>& timings, Outcome& outcome) {
  std::size_t single = 0, unequal = 0, lone = 0;
  const Timing* example = nullptr;
  for (const Timing& timing : timings) {
    single += std::min(most_samples(*timing.base), most_samples(*timing.now)) < 2;
    lone += timing.base->medians().size() < 2 || timing.now->medians().size() < 2;
    // Sample counts follow from the time that a benchmark was given: a few more or fewer mean nothing.
    const auto a = timing.base->count(), b = timing.now->count();
    if (timing.base->medians().size() == timing.now->medians().size() && std::max(a, b) <= 2 * std::min(a, b)) continue;
    if (unequal++ == 0) example = &timing;
  }
  if (unequal > 0)
    outcome.warnings.push_back(
        fmt::format("{} of {} timings have other numbers of repetitions on the two sides, all of which are used: {} "
                    "has {} of {} processes and {} of {}",
                    unequal, timings.size(), example->finding.name(), example->base->count(),
                    example->base->medians().size(), example->now->count(), example->now->medians().size()));
  if (single > 0)
    outcome.warnings.push_back(
        fmt::format("{} of {} timings have a single repetition in a process: --benchmark_repetitions=5 takes more",
                    single, timings.size()));
  if (lone > 0)
    outcome.warnings.push_back(
        fmt::format("{} of {} timings have one process on a side: their medians are compared, which proves nothing; "
                    "`aneval bench` with one --run-id and --proc 0, 1, … measures more",
                    lone, timings.size()));
}

/// Findings of times that one side lacks, though the thing itself is on both, and of those that no clock gives.
std::vector<Timing> timings_of(const Side& base, const Side& now, std::vector<Finding>& findings) {
  const auto missing = [&](const SampleMap& some, const SampleMap& others, Verdict verdict) {
    std::set<SeriesKey> there;
    for (const auto& [key, samples] : others) there.insert(whole(key));
    for (const auto& [key, samples] : some)
      if (is_timed(key) && samples.count() > 0 && !others.contains(key) && there.contains(whole(key)))
        findings.push_back({.key = key, .verdict = verdict, .unit = samples.unit});
  };
  std::vector<Timing> timings;
  for (const auto& [key, samples] : base.samples) {
    const auto other = now.samples.find(key);
    if (!is_timed(key) || other == now.samples.end()) continue;
    Finding f{.key = key, .unit = samples.unit};
    auto impossible = impossible_time(samples);
    if (!impossible) impossible = impossible_time(other->second);
    if (impossible) {
      f.verdict = Verdict::error;
      f.note = fmt::format("{} is no time", number_text(*impossible));
      findings.push_back(std::move(f));
      continue;
    }
    if (samples.count() == 0 || other->second.count() == 0) continue;  // not measured: its case has a finding
    f.gating = false;
    f.base = median(samples.medians());
    f.now = median(other->second.medians());
    if (versions(base.samples, key) != versions(now.samples, key)) {
      f.verdict = Verdict::not_comparable;
      f.note = "the benchmark itself was changed: its versions differ";
      findings.push_back(std::move(f));
      continue;
    }
    f.change = *f.now / *f.base - 1;
    f.tolerance = timing_tolerance(key.phase, *f.base);
    timings.push_back({std::move(f), &samples, &other->second});
  }
  missing(base.samples, now.samples, Verdict::removed);
  missing(now.samples, base.samples, Verdict::added);
  return timings;
}

void compare_times(const Side& base, const Side& now, const Thresholds& t, Outcome& outcome) {
  std::vector<Timing> timings = timings_of(base, now, outcome.findings);
  std::vector<Timing*> tested;
  for (Timing& timing : timings)
    if (timing.base->medians().size() >= 2 && timing.now->medians().size() >= 2)
      tested.push_back(&timing);
    else
      judge_by_medians(timing.finding);
  judge_by_ranks(tested, t, outcome);
  warn_about_samples(timings, outcome);
  for (Timing& timing : timings)
    if (!is_control(timing.finding.key)) outcome.findings.push_back(std::move(timing.finding));
}

}  // namespace

Outcome compare_files(const std::vector<fs::path>& base, const std::vector<fs::path>& now, bool timing,
                      const Thresholds& thresholds) {
  if (const auto a = schema_of(base), b = schema_of(now); a && b && *a != *b) {
    Outcome outcome;
    outcome.mode = kMode;
    outcome.refusals.push_back(fmt::format("the sides have schema '{}' and '{}'", *a, *b));
    return outcome;
  }
  return compare_sides(read_side(base), read_side(now), timing, thresholds);
}

Outcome compare_sides(const Side& base, const Side& now, bool timing, const Thresholds& thresholds) {
  Outcome outcome;
  outcome.mode = kMode;
  describe(base, "base", outcome);
  describe(now, "new", outcome);
  refuse_mixture(base, "base", outcome);
  refuse_mixture(now, "new", outcome);
  if (!base.settings.empty() && !now.settings.empty()) {
    const Setting& setting = now.settings.begin()->first;
    if (outcome.refusals.empty()) compare_settings(base.settings.begin()->first, setting, outcome);
    outcome.facts.emplace_back("measured with", setting.arithmetic());
    outcome.facts.emplace_back("on", fmt::format("{}, {}, {}", setting.chip, setting.os, setting.build));
  }
  if (!outcome.refusals.empty()) return outcome;
  outcome.findings = judge_deterministic(base.samples, now.samples);
  if (!timing) return outcome;
  outcome.facts.emplace_back("timings", "advisory: the sides were measured at different moments; --ab gates them");
  compare_times(base, now, thresholds, outcome);
  return outcome;
}

}  // namespace aneval::gate
