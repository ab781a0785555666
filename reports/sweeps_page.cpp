// Variants of a kernel against each other: how long each takes, how exact it is, which are worth having. Any rows over
// several variants will do: of a sweep, or of `bench --variant` and `validate --variant`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "reports/chart_parts.h"
#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// One variant of one kernel and model.
struct Candidate {
  std::string variant;
  std::map<std::string, double> phases = {};     // median ns
  std::optional<double> error = {}, bound = {};  // the worst rms error / rms of the reference, and error / bound
  Status status = Status::ok;
  std::string reason = {};
  bool best = false;  // no other is both faster and more exact

  std::optional<double> ns() const {
    if (!phases.contains("eval")) return std::nullopt;
    double sum = 0;
    for (const auto& [phase, value] : phases)
      if (in(phase, {"write_acts", "eval", "read"})) sum += value;
    return sum;
  }
};

struct Subject {
  std::string model, kernel;
  std::vector<Candidate> candidates;
};

Candidate& of(std::vector<Subject>& subjects, const SeriesKey& key) {
  const std::string model = model_title(key);
  auto subject = std::find_if(subjects.begin(), subjects.end(),
                              [&](const Subject& s) { return s.model == model && s.kernel == key.kernel; });
  if (subject == subjects.end()) subject = subjects.insert(subjects.end(), {model, key.kernel, {}});
  const std::string variant = key.variant.empty() ? "default" : key.variant;
  for (Candidate& candidate : subject->candidates)
    if (candidate.variant == variant) return candidate;
  subject->candidates.push_back({.variant = variant});
  return subject->candidates.back();
}

void mark_best(Subject& subject) {
  for (Candidate& one : subject.candidates) {
    if (!one.ns() || !one.error || is_failure(one.status)) continue;
    one.best = std::none_of(subject.candidates.begin(), subject.candidates.end(), [&](const Candidate& other) {
      if (!other.ns() || !other.error || is_failure(other.status)) return false;
      const bool no_worse = *other.ns() <= *one.ns() && *other.error <= *one.error;
      return no_worse && (*other.ns() < *one.ns() || *other.error < *one.error);
    });
  }
}

/// Kernels with more than one variant that has a time or is refused.
std::vector<Subject> subjects_of(const SeriesMap& series) {
  std::vector<Subject> subjects;
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.kernel.empty() || key.kernel == "layer" || key.kernel == "dynMatmul") continue;
    const bool phase = is_kernel_phase(key), judged = key.phase == "validate";
    if (!phase && !judged) continue;
    // Only rows of these: looking up a candidate for every row would take long.
    const bool failed = is_failure(values.status) || is_skipped(values.status);
    if (!failed && !(phase && key.metric == "time") && !(judged && in(key.metric, {"error_total", "bound_ratio"})))
      continue;
    Candidate& candidate = of(subjects, key);
    if (failed && candidate.status == Status::ok) {
      candidate.status = values.status;
      candidate.reason = values.reason;
    }
    if (values.values.empty()) continue;
    if (phase && key.metric == "time") candidate.phases[key.phase] = values.median();
    if (key.metric == "bound_ratio") candidate.bound = std::max(candidate.bound.value_or(0), values.median());
    if (key.metric == "error_total" && case_value(key, "data") != "exact" && case_value(key, "grad").empty()) {
      const Series* reference = find(series, key, "reference_rms");
      if (reference == nullptr || reference->median() == 0) continue;
      candidate.error = std::max(candidate.error.value_or(0), values.median() / reference->median());
    }
  }
  std::erase_if(subjects, [](const Subject& s) {
    return std::count_if(s.candidates.begin(), s.candidates.end(),
                         [](const Candidate& c) { return c.ns() || c.status != Status::ok; }) < 2;
  });
  for (Subject& subject : subjects) mark_best(subject);
  return subjects;
}

double fastest(const Subject& subject) {
  double ns = INFINITY;
  for (const Candidate& candidate : subject.candidates)
    if (candidate.ns() && !is_failure(candidate.status)) ns = std::min(ns, *candidate.ns());
  return ns;
}

Table regret_table(const std::vector<Subject>& subjects) {
  Table table{.title = "Variants, and what choosing each costs"};
  table.columns = {"kernel",      "model",         "variant", "status", "run", "slower than the best",
                   "error / rms", "error / bound", "front",   "reason"};
  for (const Subject& subject : subjects) {
    const double best = fastest(subject);
    for (const Candidate& one : subject.candidates) {
      if (!one.ns() && one.status == Status::ok) continue;
      table.rows.push_back({subject.kernel, subject.model, one.variant, std::string(status_name(one.status)),
                            one.ns() ? time_text(*one.ns()) : kNone,
                            one.ns() && std::isfinite(best) ? percent(*one.ns() / best - 1) : kNone,
                            one.error ? fmt::format("{:.1e}", *one.error) : kNone,
                            one.bound ? number3(*one.bound) : kNone, one.best ? "yes" : "", one.reason});
    }
  }
  table.note =
      "A run is writing, evaluation and reading. Front: no other variant of the kernel is both faster and more exact.";
  return table;
}

Chart heat_chart(const std::vector<Subject>& subjects, const std::string& name) {
  ChartRows rows{.columns = {"kernel", "variant", "time over best", "status", "reason"}};
  for (const Subject& subject : subjects)
    for (const Candidate& one : subject.candidates) {
      const bool usable = one.ns() && !is_failure(one.status);
      if (!one.ns() && one.status == Status::ok) continue;
      rows.rows.push_back({subject.kernel + ", " + subject.model, one.variant,
                           usable ? Json(*one.ns() / fastest(subject)) : Json(),
                           usable ? "" : std::string(status_name(one.status)), one.reason});
    }
  const Json color = {{"field", "time over best"},
                      {"type", "quantitative"},
                      {"title", "time / best"},
                      {"scale", {{"scheme", "viridis"}, {"reverse", true}}}};
  const Json cells = {{"mark", "rect"},
                      {"transform", {{{"filter", "isValid(datum['time over best'])"}}}},
                      {"encoding", {{"color", color}, {"tooltip", tooltip({"kernel", "variant", "time over best"})}}}};
  const Json invalid = {
      {"mark", {{"type", "text"}, {"text", "✕"}, {"fontSize", 14}, {"fontWeight", "bold"}}},
      {"transform", {{{"filter", "datum.status != ''"}}}},
      {"encoding",
       {{"color", {{"value", "var(--bad)"}}}, {"tooltip", tooltip({"kernel", "variant", "status", "reason"})}}}};
  return make_chart("Time of every variant over the best of its kernel",
                    "One cell per kernel and variant, light is fast. ✕: it was refused or failed; the table says why.",
                    name, rows,
                    {{"width", "container"},
                     {"encoding",
                      {{"x",
                        {{"field", "kernel"},
                         {"type", "nominal"},
                         {"sort", nullptr},
                         {"title", nullptr},
                         {"axis", {{"labelAngle", -30}}}}},
                       {"y", {{"field", "variant"}, {"type", "nominal"}, {"sort", nullptr}, {"title", nullptr}}}}},
                     {"layer", {cells, invalid}}});
}

Chart front_chart(const std::vector<Subject>& subjects, const std::string& name) {
  ChartRows rows{.columns = {"kernel", "variant", "run in ms", "error over rms", "front"}};
  for (const Subject& subject : subjects)
    for (const Candidate& one : subject.candidates)
      if (one.ns() && one.error && *one.error > 0 && !is_failure(one.status))
        rows.rows.push_back({subject.kernel + ", " + subject.model, one.variant, *one.ns() / 1e6, *one.error,
                             one.best ? "on the front" : "behind it"});
  const Json facet = {{"field", "kernel"}, {"type", "nominal"}, {"sort", nullptr}, {"title", nullptr}, {"columns", 3}};
  Json x = quantitative("run in ms", "time of a run, ms"), y = quantitative("error over rms", "error / rms");
  x["scale"]["zero"] = y["scale"]["zero"] = false;
  y["axis"] = {{"format", ".2e"}, {"tickCount", 4}};
  const Json points = {{"mark", {{"type", "point"}, {"filled", true}, {"size", 60}}},
                       {"encoding",
                        {{"color", in_order(nominal("front"))},
                         {"shape", in_order(nominal("front"))},
                         {"tooltip", tooltip({"kernel", "variant", "run in ms", "error over rms"})}}}};
  const Json line = {
      {"mark", {{"type", "line"}, {"interpolate", "step-after"}, {"strokeDash", {4, 3}}}},
      {"transform", {{{"filter", "datum.front == 'on the front'"}}}},
      {"encoding",
       {{"color", {{"value", "var(--c1)"}}}, {"order", {{"field", "run in ms"}, {"type", "quantitative"}}}}}};
  return make_chart(
      "Time against error",
      "One point per variant, one picture per kernel. Left is faster, below is more exact; the line joins the "
      "variants that no other beats in both.",
      name, rows,
      {{"facet", facet},
       {"columns", 3},
       {"spec", {{"height", 130}, {"encoding", {{"x", x}, {"y", y}}}, {"layer", {line, points}}}},
       {"resolve", {{"scale", {{"x", "independent"}, {"y", "independent"}}}}}});
}

}  // namespace

Page sweeps_page(const ResultSet& set) {
  Page page{.id = "sweeps", .title = "Variants"};
  page.missing =
      "No kernel was timed in more than one variant: `aneval bench --variant K=V --out FILE` times one, `aneval list "
      "variants` has them; several files make one report.";
  for (const auto& [name, setting, series] : named_settings(set.settings)) {
    const std::vector<Subject> subjects = subjects_of(series);
    if (subjects.empty()) continue;
    for (Chart chart : {front_chart(subjects, name), heat_chart(subjects, name)})
      if (!chart.data.rows.empty()) page.charts.push_back(std::move(chart));
    Table table = regret_table(subjects);
    table.origin = name;
    if (!table.rows.empty()) page.tables.push_back(std::move(table));
  }
  return page;
}

}  // namespace aneval::reports
