#include "reports/gate/deterministic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/names.h"
#include "reports/gate/rules.h"

namespace aneval::gate {
namespace {

using reports::SeriesKey;

constexpr double kLargestExact = 0x1p53;
constexpr const char* kUpdate = "better: update the baseline";

/// One side of a metric that has one value, or what is wrong with it.
struct Single {
  std::optional<double> value = {};
  std::string text = {}, wrong = {};
};

/// What a deterministic metric says: once, however many processes and repetitions said it.
Single single(const Samples& samples, const char* side) {
  std::vector<double> values;
  if (samples.stepped) {
    std::map<std::string, double> runs;
    for (const auto& [process, steps] : samples.processes)
      for (const double step : steps) runs[process.run_id] += step;
    for (const auto& [run, total] : runs) values.push_back(total);
  } else {
    for (const auto& [process, repetitions] : samples.processes)
      values.insert(values.end(), repetitions.begin(), repetitions.end());
  }
  Single result;
  if (!values.empty()) result.value = values.front();
  if (!samples.texts.empty()) result.text = *samples.texts.begin();
  for (const double value : values)
    if (value != values.front() && !(std::isnan(value) && std::isnan(values.front()))) {
      result.wrong = fmt::format("{} and {} on the {} side: nothing deterministic differs from run to run",
                                 number_text(values.front()), number_text(value), side);
      break;
    }
  if (samples.texts.size() > 1)
    result.wrong = fmt::format("{} and {} on the {} side: nothing deterministic differs from run to run",
                               *samples.texts.begin(), *samples.texts.rbegin(), side);
  return result;
}

void set(Finding& finding, Verdict verdict, std::string note = {}) {
  finding.verdict = verdict;
  finding.note = std::move(note);
}

void judge_exact(Finding& f, const Rule& rule) {
  for (const auto& value : {f.base, f.now})
    if (value && (!(std::fabs(*value) <= kLargestExact) || std::trunc(*value) != *value))
      return set(f, Verdict::error,
                 fmt::format("{} is no whole number below 2^53, which a count must be", number_text(*value)));
  if (f.base.has_value() != f.now.has_value()) return set(f, Verdict::error, "a value on one side only");
  const bool same_text = f.base_text == f.now_text;
  if (f.base == f.now && same_text) return set(f, Verdict::unchanged);
  if (rule.better == Better::same || !f.base || f.base == f.now)
    return set(f, Verdict::regressed, "it should be the same; when that is meant, list it in --changes");
  const bool better = (*f.now < *f.base) == (rule.better == Better::lower);
  set(f, better ? Verdict::improved : Verdict::regressed, better ? kUpdate : "");
}

/// `scale` of the absolute part; nothing when it is not known: then there is none.
void judge_tolerance(Finding& f, const Rule& rule, std::optional<double> scale) {
  if (!f.base || !f.now) return set(f, Verdict::error, "a value on one side only");
  const double base = *f.base, now = *f.now;
  f.tolerance = rule.relative;
  if (!std::isfinite(now)) return set(f, Verdict::regressed, "not finite");
  if (!std::isfinite(base)) return set(f, Verdict::improved, "the base is not finite");
  const double slack = rule.absolute * (rule.scale.empty() ? 1.0 : scale.value_or(0.0));
  const bool higher = rule.better == Better::higher;
  if (rule.contract && (higher ? now < *rule.contract : now > *rule.contract))
    return set(f, Verdict::regressed, fmt::format("beyond its contract of {}", number_text(*rule.contract)));
  const auto limit = [&](double from) { return higher ? from - slack : from * (1 + rule.relative) + slack; };
  if (higher ? now < limit(base) : now > limit(base))
    return set(f, Verdict::regressed, fmt::format("beyond {}", number_text(limit(base))));
  const bool better = higher ? base < limit(now) : base > limit(now);
  set(f, better ? Verdict::improved : Verdict::unchanged, better ? kUpdate : "");
}

/// How a case, or a phase of a benchmark, ended on one side.
struct State {
  bool present = false, judged = false;  // there; with a metric that the gate judges
  Status status = Status::ok;
  std::string reason = {};
};

using States = std::map<SeriesKey, State>;

States states_of(const SampleMap& samples) {
  States states;
  for (const auto& [key, values] : samples) {
    State& state = states[whole(key)];
    state.present = true;
    state.judged |= find_rule(key.metric) != nullptr || is_timed(key);
    if (badness(values.status) > badness(state.status)) {
      state.status = values.status;
      state.reason = values.reason;
    }
  }
  return states;
}

const State& state_of(const States& states, const SeriesKey& key) {
  static const State absent;
  const auto found = states.find(key);
  return found == states.end() ? absent : found->second;
}

/// Left out on purpose: no evidence of anything.
bool left_out(Status status) { return status == Status::skipped || status == Status::constraint; }
bool holds(Status status) { return badness(status) < 2; }

void judge_status(Finding& f, Status base, Status now) {
  if (!holds(base) && !holds(now) && !left_out(base)) {
    f.verdict = Verdict::error;
    f.gating = false;
    f.note = "failed on the base side as well: " + f.note;
  } else if (!holds(now)) {
    f.verdict = measured(now) ? Verdict::regressed : Verdict::error;
  } else if (badness(now) != badness(base)) {
    f.verdict = badness(now) > badness(base) ? Verdict::regressed : Verdict::improved;
  } else {
    f.verdict = Verdict::unchanged;
  }
  if (f.verdict == Verdict::improved) f.note = fmt::format("{}; the base: {}", kUpdate, f.note);
}

void judge_state(const SeriesKey& key, const State& base, const State& now, std::vector<Finding>& findings) {
  const bool ok = base.status == Status::ok && now.status == Status::ok;
  if (!base.judged && !now.judged && ok) return;
  if (left_out(base.status) && left_out(now.status)) return;
  Finding f{.key = key, .kind = Kind::contract};
  if (base.present) f.base_text = status_name(base.status);
  if (now.present) f.now_text = status_name(now.status);
  f.note = now.status != Status::ok ? now.reason : base.reason;
  if (!base.present)
    f.verdict = Verdict::added;
  else if (!now.present)
    f.verdict = Verdict::removed;
  else if (ok && key.phase != "validate")
    return;  // its metrics say it
  else
    judge_status(f, base.status, now.status);
  findings.push_back(std::move(f));
}

std::optional<double> value_of(const SampleMap& samples, SeriesKey key, std::string_view metric) {
  key.metric = metric;
  const auto found = samples.find(key);
  return found == samples.end() ? std::nullopt : single(found->second, "").value;
}

/// A metric that one side lacks although the thing was measured on both.
void judge_missing(Finding& f, bool in_base, const SampleMap& other) {
  f.verdict = in_base ? Verdict::removed : Verdict::added;
  // A block without any error has no signal-to-noise ratio.
  if (f.key.metric != "snr_db" || value_of(other, f.key, "max_abs") != 0.0) return;
  set(f, in_base ? Verdict::improved : Verdict::added, in_base ? "exact now; update the baseline" : "was exact");
}

void judge_metric(const Rule& rule, const SeriesKey& key, const SampleMap& base, const SampleMap& now,
                  std::vector<Finding>& findings) {
  Finding f{.key = key, .kind = rule.kind};
  const auto a = base.find(key), b = now.find(key);
  Single before, after;
  if (a != base.end()) before = single(a->second, "base"), f.unit = a->second.unit;
  if (b != now.end()) after = single(b->second, "new"), f.unit = b->second.unit;
  f.base = before.value, f.now = after.value;
  f.base_text = before.text, f.now_text = after.text;
  if (f.base && f.now && *f.base != 0) f.change = *f.now / *f.base - 1;
  if (a == base.end() || b == now.end())
    judge_missing(f, a != base.end(), a != base.end() ? now : base);
  else if (!before.wrong.empty() || !after.wrong.empty())
    set(f, Verdict::error, before.wrong.empty() ? after.wrong : before.wrong);
  else if (rule.kind == Kind::exact)
    judge_exact(f, rule);
  else
    judge_tolerance(f, rule, value_of(base, key, rule.scale));
  findings.push_back(std::move(f));
}

}  // namespace

bool is_timed(const SeriesKey& key) {
  return key.metric == "time" && key.phase != "validate" && !key.phase.starts_with("self_test");
}

SeriesKey whole(SeriesKey key) {
  key.item.clear();
  key.metric.clear();
  return key;
}

std::vector<Finding> judge_deterministic(const SampleMap& base, const SampleMap& now) {
  const States before = states_of(base), after = states_of(now);
  std::vector<Finding> findings;
  for (const auto& [key, state] : before) judge_state(key, state, state_of(after, key), findings);
  for (const auto& [key, state] : after)
    if (!before.contains(key)) judge_state(key, {}, state, findings);

  const auto judge = [&](const SeriesKey& key, const Samples& samples) {
    const Rule* rule = find_rule(key.metric);
    if (rule == nullptr || (samples.stepped && rule->kind != Kind::exact)) return;
    // What is there once, or was not measured, has its finding already.
    const State &a = state_of(before, whole(key)), &b = state_of(after, whole(key));
    if (!a.present || !b.present || !measured(a.status) || !measured(b.status)) return;
    judge_metric(*rule, key, base, now, findings);
  };
  for (const auto& [key, samples] : base) judge(key, samples);
  for (const auto& [key, samples] : now)
    if (!base.contains(key)) judge(key, samples);
  return findings;
}

}  // namespace aneval::gate
