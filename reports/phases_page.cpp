// Where time goes: the phases of every kernel, and the steps of a layer; and how those times are distributed.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/names.h"
#include "common/statistics.h"
#include "reports/chart_parts.h"
#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// Bars of stacked times, one picture per setting. `normalised`: shares of each bar.
Json stacked(const std::string& bar, const std::string& part, std::size_t settings, bool normalised) {
  Json drawing = {{"mark", {{"type", "bar"}}}};
  Json x = quantitative("ms", normalised ? "share of the run" : "median time, ms");
  if (normalised) {
    x["stack"] = "normalize";
    x["axis"] = {{"format", ".0%"}};
  }
  drawing["encoding"] = {{"y", in_order(nominal(bar, ""))},
                         {"x", x},
                         {"color", in_order(nominal(part))},
                         {"order", {{"field", "order"}, {"type", "quantitative"}}},
                         {"tooltip", tooltip({bar, part, "ms", kSetting})}};
  drawing["encoding"]["y"]["title"] = nullptr;
  drawing["width"] = "container";
  add_facet(drawing, kSetting, settings);
  return drawing;
}

void add_kernel_charts(Page& page, const ResultSet& set, const std::string& model) {
  ChartRows every, once;
  every.columns = once.columns = {"kernel", "phase", "ms", kSetting, "order"};
  std::size_t shown = 0;
  for (const auto& [name, setting, series] : named_settings(set.settings)) {
    const std::size_t before = every.rows.size() + once.rows.size();
    for (const Entry* entry : series.ordered()) {
      const auto& [key, values] = *entry;
      if (!is_kernel_phase(key) || key.metric != "time" || values.values.empty() || model_title(key) != model) continue;
      const bool first = in(key.phase, {"compile", "load"});
      const auto order = std::find(kKernelPhases.begin(), kKernelPhases.end(), key.phase) - kKernelPhases.begin();
      (first ? once : every)
          .rows.push_back({kernel_title(key), key.phase, values.median() / 1e6, name, static_cast<int>(order)});
    }
    shown += every.rows.size() + once.rows.size() > before;
  }
  const std::string how =
      " One bar per kernel, one colour per phase; medians. The table beside it has the same numbers.";
  if (!every.rows.empty()) {
    page.charts.push_back(
        make_chart("Time of a run by phase, " + model,
                   "Staging weights happens once per optimizer step, the other phases in every run." + how, "", every,
                   stacked("kernel", "phase", shown, false)));
    page.charts.push_back(make_chart("Share of each phase, " + model,
                                     "The same bars, each as long as the whole run." + how, "", every,
                                     stacked("kernel", "phase", shown, true)));
  }
  if (!once.rows.empty())
    page.charts.push_back(make_chart("Compiling and loading, " + model, "What happens once per process." + how, "",
                                     once, stacked("kernel", "phase", shown, false)));
}

void add_layer_chart(Page& page, const ResultSet& set) {
  std::map<std::string, ChartRows> charts;  // by model
  std::map<std::string, std::set<std::string>> shown;
  std::vector<std::string> order;
  for (const auto& [name, setting, series] : named_settings(set.settings)) {
    std::map<std::tuple<std::string, std::string, std::string>, double> ms;  // model, pass, phase
    for (const auto& [key, values] : series) {
      const auto dot = key.item.find('.');
      if (key.kernel != "layer" || key.metric != "time" || values.values.empty() || dot == std::string::npos) continue;
      const std::string pass = key.item.substr(0, dot);
      if (!in(pass, {"layer_forward", "layer_backward"})) continue;
      const std::string variant = key.variant.empty() || key.variant == "default" ? "" : " " + key.variant;
      ms[{model_title(key), pass + variant, key.phase}] += values.median() / 1e6;
    }
    for (const auto& [key, value] : ms) {
      const auto& [model, pass, phase] = key;
      if (!charts.contains(model)) order.push_back(model);
      ChartRows& rows = charts[model];
      rows.columns = {"pass", "phase", "ms", kSetting, "order"};
      rows.rows.push_back({pass, phase, value, name, 0});
      shown[model].insert(name);
    }
  }
  for (const std::string& model : order)
    page.charts.push_back(make_chart("A layer by phase, " + model,
                                     "Medians of all steps of a layer forward and backward, added up by phase. One bar "
                                     "per pass, one colour per phase.",
                                     "", charts.at(model), stacked("pass", "phase", shown.at(model).size(), false)));
}

/// Quantiles of sorted values, few enough to draw.
std::vector<std::pair<double, double>> distribution(std::vector<double> values) {
  constexpr std::size_t kMost = 33;
  std::sort(values.begin(), values.end());
  const std::size_t count = std::min(values.size(), kMost);
  std::vector<std::pair<double, double>> points;
  for (std::size_t i = 0; i < count; ++i) {
    const double q = count == 1 ? 1 : static_cast<double>(i) / static_cast<double>(count - 1);
    points.emplace_back(quantile(values, q), q);
  }
  return points;
}

}  // namespace

Page phases_page(const ResultSet& set) {
  Page page{.id = "phases", .title = "Phases"};
  page.missing = "No kernel was timed: `aneval bench --out FILE` measures every phase.";
  std::set<std::string> models;
  for (const auto& [setting, series] : set.settings) models.merge(timed_models(series));
  for (const std::string& model : models) add_kernel_charts(page, set, model);
  add_layer_chart(page, set);
  add_setting_tables(page, set, {layer_tables});
  return page;
}

Page latency_page(const ResultSet& set) {
  Page page{.id = "latency", .title = "Latency distributions"};
  page.intro = "Every sample counts: two humps or a long tail show here and not in a median.";
  page.missing = "No kernel was timed often enough: `aneval bench --benchmark_repetitions=3 --out FILE`.";
  const std::vector<std::string> names = setting_names(set.settings);
  Table table{.title = "Quantiles of all samples"};
  table.origin = join(names, "; ");
  table.in_markdown = false;
  table.columns = {"kernel", "model", "phase", "backend, profile", "samples",     "processes", "5 %", "25 %",
                   "median", "75 %",  "95 %",  "largest",          "IQR / median"};
  std::map<std::string, ChartRows> charts;
  for (const auto& [name, setting, series] : named_settings(set.settings)) {
    for (const Entry* entry : series.ordered()) {
      const auto& [key, values] = *entry;
      const bool layer = key.kernel == "layer" && key.item.empty();
      if (key.metric != "time" || key.phase == "validate" || (!is_kernel_phase(key) && !layer) ||
          values.values.size() < 2)
        continue;
      std::vector<double> sorted = values.values;
      std::sort(sorted.begin(), sorted.end());
      std::vector<std::string> row = {kernel_title(key),
                                      model_title(key),
                                      key.phase,
                                      name,
                                      std::to_string(sorted.size()),
                                      std::to_string(values.parts.size())};
      for (const double q : {0.05, 0.25, 0.5, 0.75, 0.95, 1.0}) row.push_back(time_text(quantile(sorted, q)));
      row.push_back(percent(values.relative_iqr()));
      table.rows.push_back(std::move(row));
      if (key.phase != "eval") continue;
      ChartRows& rows = charts[model_title(key)];
      rows.columns = {"kernel", "time in ms", "share of samples", kSetting, "process", "line"};
      for (std::size_t p = 0; p < values.parts.size(); ++p) {
        const std::size_t end = p + 1 < values.parts.size() ? values.parts[p + 1].first : values.values.size();
        const auto from = values.values.begin() + static_cast<std::ptrdiff_t>(values.parts[p].first);
        const auto to = values.values.begin() + static_cast<std::ptrdiff_t>(end);
        const std::string process = fmt::format("{} process {}", values.parts[p].run_id, values.parts[p].proc);
        for (const auto& [ns, q] : distribution({from, to}))
          rows.rows.push_back({kernel_title(key), ns / 1e6, q, name, process, name + " " + process});
      }
    }
  }
  for (const auto& [model, rows] : charts) {
    Json x = logarithmic("time in ms", "time of an evaluation, ms");
    x["scale"]["nice"] = false;
    x["axis"] = {{"tickCount", 4}, {"format", "~g"}};
    Json drawing = {
        {"mark", {{"type", "line"}, {"interpolate", "linear"}, {"point", {{"size", 12}}}}},
        {"encoding",
         {{"facet", {{"field", "kernel"}, {"type", "nominal"}, {"sort", nullptr}, {"title", nullptr}, {"columns", 3}}},
          {"x", x},
          {"y", quantitative("share of samples")},
          {"color", in_order(nominal(kSetting))},
          {"detail", nominal("line")},
          {"tooltip", tooltip({"kernel", "time in ms", "share of samples", kSetting, "process"})}}},
        {"resolve", {{"scale", {{"x", "independent"}}}}},
        {"height", 110}};
    page.charts.push_back(
        make_chart("Evaluation times, " + model,
                   "Empirical distribution per kernel: a curve that rises steeply is a steady time, a flat "
                   "part a gap between humps, a long right end a tail. One line per process.",
                   "", rows, drawing));
  }
  if (!table.rows.empty()) page.tables.push_back(std::move(table));
  return page;
}

}  // namespace aneval::reports
