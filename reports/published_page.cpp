// What others measured on real chips, each with its source, beside what these results have of the same kind.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/csv.h"
#include "common/names.h"
#include "reports/assets.h"
#include "reports/chart_parts.h"
#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// One published reading, or one of these results.
struct Reading {
  std::string kind, chip, os, what;
  double low = 0, high = 0;
  std::string unit, source, note;
};

/// The project's own file, checked by a test; a mistake in it is a mistake of the program.
std::vector<Reading> published() {
  std::vector<Reading> readings;
  for (const std::string& line : split(assets::kPublished, '\n')) {
    if (line.empty() || line.starts_with("kind,")) continue;
    const auto fields = csv_fields(line);
    if (!fields || fields->size() != 9) throw std::logic_error("published.csv: " + line);
    const auto& f = *fields;
    readings.push_back({f[0], f[1], f[2], f[3], parse_double(f[4], "published.csv"),
                        parse_double(f[5], "published.csv"), f[6], f[7], f[8]});
  }
  return readings;
}

/// The same kinds of numbers from these results.
std::vector<Reading> own(const ResultSet& set) {
  std::vector<Reading> readings;
  for (const auto& [name, setting, series] : named_settings(set.settings)) {
    const std::string source = "these results: " + name;
    const auto add = [&](const char* kind, const std::string& what, double value, const char* unit) {
      readings.push_back({kind, setting.emulated() ? "not an engine: " + setting.chip : setting.chip, setting.os, what,
                          value, value, unit, source, ""});
    };
    double peak = 0;
    std::string peak_case;
    std::map<std::string, std::pair<double, int>> compiles;  // by model
    for (const Entry* entry : series.ordered()) {
      const auto& [key, values] = *entry;
      if (values.values.empty()) continue;
      if (key.metric == "time" && key.phase == "train_step" && (key.item.empty() || key.item == "step"))
        add("training step", model_title(key) + (case_value(key, "run").empty() ? "" : ", aneval train"),
            values.median() / 1e6, "ms");
      if (key.metric == "time" && key.phase == "engine" && key.item == "conv_chain" && case_value(key, "depth") == "1")
        add("evaluation",
            "conv " + case_value(key, "channels") + "x" + case_value(key, "channels") + " spatial " +
                case_value(key, "spatial"),
            values.median() / 1e3, "µs");
      if (key.metric == "tflops" && key.phase == "engine" && values.median() > peak) {
        peak = values.median();
        peak_case = key.case_text;
      }
      if (key.metric == "time" && key.phase == "compile" && is_kernel_phase(key) && key.kernel != "dynMatmul") {
        auto& [ns, count] = compiles[model_title(key)];
        ns += values.median();
        ++count;
      }
    }
    if (peak > 0) add("peak fp16", "convs, " + peak_case, peak, "TFLOP/s");
    for (const auto& [model, sum] : compiles)
      add("compile", fmt::format("{} kernels, {}", sum.second, model), sum.first / 1e6, "ms");
  }
  return readings;
}

std::string range(const Reading& reading) {
  return reading.low == reading.high ? number3(reading.low) : number3(reading.low) + " – " + number3(reading.high);
}

}  // namespace

Page published_page(const ResultSet& set) {
  Page page{.id = "published", .title = "Published measurements"};
  page.intro =
      "What others measured on real chips and published, as they published it, with its source. Nobody ran these with "
      "this tool. Pipelines, shapes and what is inside the clock differ between rows.";
  const std::vector<Reading> others = published(), mine = own(set);
  std::vector<std::string> kinds;
  for (const Reading& reading : others)
    if (std::find(kinds.begin(), kinds.end(), reading.kind) == kinds.end()) kinds.push_back(reading.kind);
  ChartRows rows{.columns = {"chip", "ms from", "ms to", "what", "who", "source"}};
  for (const std::string& kind : kinds) {
    Table table{.title = "Published: " + kind, .folded = true};
    table.in_markdown = false;
    table.columns = {"chip", "OS", "what", "value", "unit", "source", "note"};
    for (const auto* readings : {&mine, &others})
      for (const Reading& r : *readings) {
        if (r.kind != kind) continue;
        table.rows.push_back({r.chip, r.os, r.what, range(r), r.unit, r.source, r.note});
        if (kind == "training step" && r.what.find("Stories110M") != std::string::npos)
          rows.rows.push_back({r.chip, r.low, r.high, r.what,
                               readings == &others                   ? "published"
                               : r.chip.starts_with("not an engine") ? "these results: not an engine"
                                                                     : "these results",
                               r.source});
      }
    page.tables.push_back(std::move(table));
  }
  Json bars = {{"mark", {{"type", "bar"}, {"height", 6}}},
               {"encoding",
                {{"x", quantitative("ms from", "ms per training step of Stories110M")}, {"x2", {{"field", "ms to"}}}}}};
  Json dots = {
      {"mark", {{"type", "point"}, {"filled", true}, {"size", 55}}},
      {"encoding", {{"x", {{"field", "ms to"}, {"type", "quantitative"}}}, {"shape", in_order(nominal("who"))}}}};
  page.charts.push_back(
      make_chart("Time of a training step of Stories110M, as published",
                 "One line per chip, one mark per published run; bars are ranges.", "published by others", rows,
                 {{"width", "container"},
                  {"encoding",
                   {{"y", {{"field", "chip"}, {"type", "nominal"}, {"sort", nullptr}, {"title", nullptr}}},
                    {"color", in_order(nominal("who"))},
                    {"tooltip", tooltip({"chip", "what", "ms from", "ms to", "source"})}}},
                  {"layer", {bars, dots}}}));
  return page;
}

}  // namespace aneval::reports
