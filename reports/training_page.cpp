// Training: the loss of the device beside the fp32 reference and its controls, and how near its gradients are.
#include <fmt/format.h>

#include <algorithm>

#include "reports/chart_parts.h"
#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// At most so many points of a curve: every n-th step, and the last.
std::vector<std::size_t> drawn_points(std::size_t count) {
  constexpr std::size_t kMost = 400;
  const std::size_t stride = std::max<std::size_t>(1, (count + kMost - 1) / kMost);
  std::vector<std::size_t> points;
  for (std::size_t i = 0; i < count; i += stride) points.push_back(i);
  if (count > 0 && points.back() + 1 != count) points.push_back(count - 1);
  return points;
}

/// Series of a training: with a step per value.
bool is_curve(const Series& series) { return !series.values.empty() && series.steps.size() == series.values.size(); }

std::string run_name(const SeriesKey& key) { return case_value(key, "run"); }

Json curve(const std::string& value, Json y) {
  if (!y.contains("scale")) y["scale"]["zero"] = false;
  return {{"mark", {{"type", "line"}}},
          {"width", "container"},
          {"height", 260},
          {"encoding",
           {{"x", quantitative("step")},
            {"y", y},
            {"color", in_order(nominal("run"))},
            {"strokeDash", in_order(nominal("run"))},
            {"tooltip", tooltip({"run", "step", value})}}}};
}

}  // namespace

Page training_page(const ResultSet& set) {
  Page page{.id = "training", .title = "Training"};
  page.missing =
      "Nothing was trained in these results: `aneval train --out DIR` trains on the device, beside fp32 and controls.";
  for (const auto& [name, setting, series] : named_settings(set.settings)) {
    ChartRows loss{.columns = {"run", "step", "loss"}}, cosine{.columns = {"weight", "step", "1 − cosine"}};
    Table table{.title = "Runs"};
    table.origin = name;
    table.columns = {"run", "steps", "first loss", "last loss", "least gradient cosine", "tokens / s", "verdict"};
    for (const Entry* entry : series.ordered()) {
      const auto& [key, values] = *entry;
      if (key.metric != "loss" || !is_curve(values) || run_name(key).empty()) continue;
      for (const std::size_t i : drawn_points(values.values.size()))
        loss.rows.push_back({run_name(key), values.steps[i], values.values[i]});
      double least = 2;
      std::string rate = kNone, verdict = kNone;
      for (const auto& [other, found] : series) {
        if (other.case_text != key.case_text || other.model != key.model) continue;
        if (other.metric == "grad_cosine")
          for (const double value : found.values) least = std::min(least, value);
        if (other.metric == "tokens_per_s" && !found.values.empty()) rate = number3(found.median());
        if (other.metric == "verdict") verdict = found.text;
      }
      table.rows.push_back({run_name(key), std::to_string(values.values.size()),
                            fmt::format("{:.4f}", values.values.front()), fmt::format("{:.4f}", values.values.back()),
                            least <= 1 ? fmt::format("{:.6f}", least) : kNone, rate, verdict});
    }
    if (loss.rows.empty()) continue;
    // Per weight over all layers: the least cosine of each step that was looked at.
    std::map<std::pair<std::string, std::int64_t>, double> least;
    for (const auto& [key, values] : series) {
      if (key.metric != "grad_cosine" || !is_curve(values)) continue;
      for (std::size_t i = 0; i < values.values.size(); ++i) {
        const auto [found, added] = least.try_emplace({key.item, values.steps[i]}, values.values[i]);
        found->second = std::min(found->second, values.values[i]);
      }
    }
    for (const auto& [key, value] : least) cosine.rows.push_back({key.first, key.second, 1 - value});
    page.charts.push_back(
        make_chart("Loss by step",
                   "One line per run: the device, the fp32 reference from the same weights, and controls, whose "
                   "spread says what difference is chance.",
                   name, loss, curve("loss", quantitative("loss", "loss, nats per token"))));
    if (!cosine.rows.empty()) {
      Json drawing = curve("1 − cosine", logarithmic("1 − cosine", "1 − cosine"));
      drawing["encoding"]["color"]["field"] = drawing["encoding"]["color"]["title"] = "weight";
      drawing["encoding"].erase("strokeDash");
      drawing["encoding"]["tooltip"] = tooltip({"weight", "step", "1 − cosine"});
      page.charts.push_back(
          make_chart("How far gradients point beside the reference's",
                     "1 − cosine of each weight's gradient and the fp32 reference's at the same weights, of the "
                     "layer where it is largest.",
                     name, cosine, drawing));
    }
    page.tables.push_back(std::move(table));
  }
  return page;
}

}  // namespace aneval::reports
