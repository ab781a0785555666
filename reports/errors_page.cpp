// Errors against what is derived for them, where they come from, and what one chip does otherwise than another.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "common/names.h"
#include "reports/chart_parts.h"
#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// What charts show: the models that were timed; when none was, those with the most judged blocks.
std::set<std::string> main_models(const ResultSet& set) {
  constexpr std::size_t kMost = 2;
  std::set<std::string> timed;
  std::map<std::string, std::size_t> blocks;
  for (const auto& [setting, series] : set.settings) {
    timed.merge(timed_models(series));
    for (const auto& [key, values] : series)
      if (key.metric == "bound_ratio") ++blocks[model_title(key)];
  }
  std::erase_if(timed, [&](const std::string& model) { return !blocks.contains(model); });
  if (!timed.empty()) return timed;
  std::vector<std::pair<std::size_t, std::string>> order;
  for (const auto& [model, count] : blocks) order.emplace_back(count, model);
  std::sort(order.rbegin(), order.rend());
  for (std::size_t i = 0; i < std::min(kMost, order.size()); ++i) timed.insert(order[i].second);
  return timed;
}

/// Per kernel and block the largest error over its bound, of all cases.
Chart bound_chart(const ResultSet& set, const std::string& model) {
  const std::vector<std::string> names = setting_names(set.settings);
  std::vector<std::tuple<std::string, std::string, std::size_t>> order;
  std::map<std::tuple<std::string, std::string, std::size_t>, double> worst;
  std::size_t at = 0;
  for (const auto& [setting, series] : set.settings) {
    for (const Entry* entry : series.ordered()) {
      const auto& [key, values] = *entry;
      if (key.phase != "validate" || key.metric != "bound_ratio" || values.values.empty() ||
          model_title(key) != model || key.kernel == "layer")
        continue;
      const auto [found, added] = worst.try_emplace({kernel_title(key), key.item, at}, 0.0);
      if (added) order.push_back(found->first);
      found->second = std::max(found->second, *std::max_element(values.values.begin(), values.values.end()));
    }
    ++at;
  }
  ChartRows rows{.columns = {"kernel", "block", "error / bound", kSetting, "drawn"}};
  constexpr double kLeast = 1e-3;  // what is exact, or nearly so, stands at the left edge
  for (const auto& line : order) {
    const double value = worst.at(line);
    rows.rows.push_back(
        {std::get<0>(line), std::get<1>(line), value, names[std::get<2>(line)], std::max(value, kLeast)});
  }
  Json x = logarithmic("drawn", "largest error / derived bound (0.001 and less at the left edge)");
  x["scale"]["domain"] = {kLeast, 2};
  x["scale"]["nice"] = false;
  Json dots = {{"mark", {{"type", "point"}, {"filled", true}, {"size", 60}, {"opacity", 0.85}}},
               {"encoding",
                {{"x", x},
                 {"y", in_order(nominal("kernel"))},
                 {"yOffset", nominal(kSetting)},
                 {"color", in_order(nominal(kSetting))},
                 {"shape", in_order(nominal(kSetting))},
                 {"tooltip", tooltip({"kernel", "block", "error / bound", kSetting})}}}};
  dots["encoding"]["y"]["title"] = nullptr;
  const Json limit = {{"mark", {{"type", "rule"}, {"strokeDash", {6, 4}}, {"strokeWidth", 2}, {"aria", false}}},
                      {"encoding", {{"x", {{"datum", 1}}}, {"color", {{"value", "var(--bad)"}}}}}};
  return make_chart(
      "Largest error over its derived bound, " + model,
      "One mark per output block and setting. The dashed line at 1 is the bound: a mark to the right of it is "
      "a failure. 1 itself means that somewhere everything rounded the worst way that it may.",
      "", rows, {{"width", "container"}, {"layer", {dots, limit}}});
}

Chart source_chart(const ResultSet& set, const std::vector<ErrorSource>& sources, const std::string& model) {
  const std::vector<std::string> names = setting_names(set.settings);
  ChartRows rows{.columns = {"block", "part", "share", kSetting}};
  std::set<std::size_t> shown;
  for (const ErrorSource& source : sources) {
    if (model_title(source.key) != model || !source.has_parts || source.key.kernel == "layer") continue;
    // Data of other sizes and variants are in the table.
    if (source.kernel != source.key.kernel) continue;
    shown.insert(source.setting);
    for (std::size_t i = 0; i < kErrorParts.size(); ++i)
      rows.rows.push_back(
          {source.key.kernel + " " + source.key.item, kErrorParts[i].name, source.shares[i], names[source.setting]});
  }
  Json x = quantitative("share", "share of the summed squares");
  x["stack"] = "normalize";
  x["axis"] = {{"format", ".0%"}};
  Json drawing = {{"mark", "bar"},
                  {"width", "container"},
                  {"encoding",
                   {{"y", in_order(nominal("block"))},
                    {"x", x},
                    {"color", in_order(nominal("part"))},
                    {"tooltip", tooltip({"block", "part", "share", kSetting})}}}};
  drawing["encoding"]["y"]["title"] = nullptr;
  add_facet(drawing, kSetting, shown.size());
  return make_chart(
      "Where the error of each block comes from, " + model,
      "One bar per output block, of its worst case: what rounding the inputs, the constants and the output to "
      "fp16 costs on any device, and what this arithmetic adds.",
      "", rows, drawing);
}

}  // namespace

Page errors_page(const ResultSet& set) {
  Page page{.id = "errors", .title = "Errors"};
  page.missing = "Nothing was validated, so no error is known: `aneval validate --out FILE`.";
  const std::vector<ErrorSource> sources = error_sources(set.settings);
  for (const std::string& model : main_models(set)) {
    for (Chart chart : {bound_chart(set, model), source_chart(set, sources, model)})
      if (!chart.data.rows.empty()) page.charts.push_back(std::move(chart));
  }
  const std::string origin = join(setting_names(set.settings), "; ");
  for (const auto tables : {source_tables, growth_tables})
    for (Table& table : tables(set.settings)) {
      table.origin = origin;
      page.tables.push_back(std::move(table));
    }
  add_setting_tables(page, set, {gate_tables});
  return page;
}

Page profiles_page(const ResultSet& set) {
  Page page{.id = "profiles", .title = "Profiles side by side"};
  page.missing =
      "The results have one setting only. Give several to see what one chip does otherwise than another: `aneval "
      "validate --profile h13 --out m1.csv`, `--profile h16 --out m4.csv`, `aneval report m1.csv m4.csv --out DIR`.";
  if (set.settings.size() < 2) return page;
  const std::vector<std::string> names = setting_names(set.settings);
  const std::string origin = join(names, "; ");
  const std::set<std::string> models = main_models(set);

  // The worst block of every kernel, per setting.
  struct Line {
    std::vector<std::string> names;
    std::vector<std::optional<double>> errors;
  };
  std::vector<Line> lines;
  std::map<std::vector<std::string>, std::size_t> place;
  ChartRows rows{.columns = {"kernel", "relative error", kSetting}};
  for (const ErrorSource& source : error_sources(set.settings)) {
    const std::string model = model_title(source.key);
    if (!models.contains(model) || source.key.kernel == "layer") continue;
    const std::vector<std::string> named = {model, source.kernel, source.key.item};
    const auto [at, added] = place.emplace(named, lines.size());
    if (added) lines.push_back({named, std::vector<std::optional<double>>(names.size())});
    lines[at->second].errors[source.setting] = source.relative;
    if (source.kernel == source.key.kernel && source.relative > 0 && source.reference > 0)
      rows.rows.push_back({source.key.kernel + " " + source.key.item + (models.size() > 1 ? ", " + model : ""),
                           source.relative, names[source.setting]});
  }
  if (!rows.rows.empty()) {
    Json drawing = {{"mark", {{"type", "point"}, {"filled", true}, {"size", 60}, {"opacity", 0.85}}},
                    {"width", "container"},
                    {"encoding",
                     {{"y", in_order(nominal("kernel"))},
                      {"x", logarithmic("relative error", "rms error / rms of the reference")},
                      {"color", in_order(nominal(kSetting))},
                      {"shape", in_order(nominal(kSetting))},
                      {"tooltip", tooltip({"kernel", "relative error", kSetting})}}}};
    drawing["encoding"]["y"]["title"] = nullptr;
    page.charts.push_back(
        make_chart("Error of every block under each setting",
                   "One row per output block, one mark per setting: marks that lie apart are what one chip "
                   "does otherwise than another.",
                   origin, rows, drawing));
  }
  Table table{.title = "Error / rms of the reference, worst case of each block"};
  table.origin = origin;
  table.in_markdown = false;
  table.columns = {"model", "kernel", "block"};
  table.columns.insert(table.columns.end(), names.begin(), names.end());
  table.columns.emplace_back("largest / smallest");
  for (const Line& line : lines) {
    std::vector<std::string> row = line.names;
    double least = INFINITY, most = 0;
    for (const std::optional<double>& error : line.errors) {
      row.push_back(error ? fmt::format("{:.1e}", *error) : kNone);
      if (!error) continue;
      least = std::min(least, *error);
      most = std::max(most, *error);
    }
    row.push_back(least > 0 && most > 0 ? number3(most / least) : kNone);
    table.rows.push_back(std::move(row));
  }
  if (!table.rows.empty()) page.tables.push_back(std::move(table));

  Table rules{.title = "Rules in which the profiles differ"};
  rules.origin = origin;
  rules.columns = {"rule"};
  rules.columns.insert(rules.columns.end(), names.begin(), names.end());
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> texts;
  std::size_t at = 0;
  for (const auto& [setting, series] : set.settings) {
    for (const Entry* entry : series.ordered()) {
      if (entry->first.metric != "profile_rule") continue;
      const auto [found, added] = texts.try_emplace(entry->first.item, names.size(), kNone);
      if (added) order.push_back(entry->first.item);
      found->second[at] = entry->second.text;
    }
    ++at;
  }
  for (const std::string& rule : order) {
    const auto& cells = texts.at(rule);
    if (std::equal(cells.begin() + 1, cells.end(), cells.begin())) continue;
    rules.rows.push_back({rule});
    rules.rows.back().insert(rules.rows.back().end(), cells.begin(), cells.end());
  }
  rules.note = "What each profile does, and what that rests on.";
  if (!rules.rows.empty()) page.tables.push_back(std::move(rules));
  return page;
}

}  // namespace aneval::reports
