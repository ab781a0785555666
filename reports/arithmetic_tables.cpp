// What a chip's arithmetic means for the kernels: headroom of accumulators and dropped products under growing loss
// scales, slices against 4094, NaN and infinity, and what the profile's rules rest on.
#include <fmt/format.h>

#include <cmath>

#include "common/names.h"
#include "reports/chart_parts.h"
#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// Where M1 and M2 lose values (ANEForge numeric cliffs): 65504/16.
constexpr double kSliceLimit = 4094;

double loss_scale(const SeriesKey& key) {
  const std::string text = case_value(key, "loss_scale");
  return text.empty() ? 1 : parse_double(text, "loss_scale");
}

/// "×1" … "×65536"
std::string scale_title(double scale) { return fmt::format("×{:.0f}", scale); }

/// What one operation of a kernel gave at one loss scale: the worst over layers, seeds and amplitudes.
struct Cell {
  double acc_peak = INFINITY, headroom = INFINITY, dropped = 0, peak = 0, nan = 0, inf = 0;
};

struct Line {
  SeriesKey key;
  std::string name;  // kernel, and the gradient scale of its data
  std::map<double, Cell> by_scale;
};

/// The operations whose series have one of the metrics, with their cells.
std::vector<Line> lines_of(const SeriesMap& series, std::initializer_list<std::string_view> metrics) {
  std::vector<Line> lines;
  std::map<std::string, std::size_t> place;
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.phase != "validate" || key.item.empty() || values.values.empty() || !in(key.metric, metrics)) continue;
    const std::string gradient = case_value(key, "grad");
    const std::string name = kernel_title(key) + (gradient.empty() ? "" : ", gradients × " + gradient);
    const auto [at, added] = place.try_emplace(model_title(key) + "\n" + name + "\n" + key.item, lines.size());
    if (added) lines.push_back({key, name, {}});
    Cell& cell = lines[at->second].by_scale[loss_scale(key)];
    for (const double value : values.values) {
      if (key.metric == "acc_peak") cell.acc_peak = std::isinf(cell.acc_peak) ? value : std::max(cell.acc_peak, value);
      if (key.metric == "headroom") cell.headroom = std::min(cell.headroom, value);
      if (key.metric == "drop_fraction") cell.dropped = std::max(cell.dropped, value);
      if (key.metric == "slice_peak") cell.peak = std::max(cell.peak, value);
      if (key.metric == "operand_nan_count") cell.nan = std::max(cell.nan, value);
      if (key.metric == "operand_inf_count") cell.inf = std::max(cell.inf, value);
    }
  }
  return lines;
}

std::vector<double> scales_of(const std::vector<Line>& lines) {
  std::map<double, bool> all;
  for (const Line& line : lines)
    for (const auto& [scale, cell] : line.by_scale) all[scale] = true;
  std::vector<double> scales;
  for (const auto& [scale, there] : all) scales.push_back(scale);
  return scales;
}

/// One table per model: kernel, operation, and a column per loss scale.
std::vector<Table> by_loss_scale(const std::vector<Line>& lines, Table empty, std::string (*text)(const Cell&)) {
  const std::vector<double> scales = scales_of(lines);
  empty.folded = true;
  for (const double scale : scales) empty.columns.push_back(scale_title(scale));
  TablesByModel tables(empty);
  for (const Line& line : lines) {
    std::vector<std::string> row = {line.name, line.key.item};
    for (const double scale : scales) {
      const auto found = line.by_scale.find(scale);
      row.push_back(found == line.by_scale.end() ? kNone : text(found->second));
    }
    tables.of(line.key).rows.push_back(std::move(row));
  }
  return tables.tables;
}

}  // namespace

std::vector<Table> headroom_tables(const SeriesMap& series) {
  Table empty{.title = "Headroom of accumulators and dropped products, by loss scale"};
  empty.note =
      "Bits between the largest partial sum and 32768, where every chip's accumulator overflows; share of nonzero "
      "operand pairs that the accumulator of M4 and later drops, because their exponents sum to −17 or less.";
  empty.columns = {"kernel", "product"};
  return by_loss_scale(lines_of(series, {"acc_peak", "headroom", "drop_fraction"}), empty, [](const Cell& cell) {
    const std::string bits = std::isinf(cell.acc_peak) ? "infinite operands"
                             : cell.acc_peak == 0      ? "all zero"
                             : cell.headroom <= 0      ? "overflows"
                                                       : fmt::format("{:.1f} bits", cell.headroom);
    return bits + fmt::format(", {:.2g} %", 100 * cell.dropped);
  });
}

std::vector<Table> slice_tables(const SeriesMap& series) {
  Table empty{.title = "Slices of the last axis against 4094, by loss scale"};
  empty.note =
      "Largest magnitude that a slice with a non-zero begin takes; M1 and M2 turn what exceeds 4094 into "
      "infinity, M3 was not measured.";
  empty.columns = {"kernel", "slice"};
  return by_loss_scale(lines_of(series, {"slice_peak"}), empty, [](const Cell& cell) {
    return number3(cell.peak) + (cell.peak > kSliceLimit ? " (> 4094)" : "");
  });
}

std::vector<Table> special_tables(const SeriesMap& series) {
  Table table{.title = "Operations that met NaN or infinity", .folded = true};
  table.columns = {"model", "kernel", "operation", "loss scale", "NaN", "infinite"};
  for (const Line& line : lines_of(series, {"operand_nan_count", "operand_inf_count"}))
    for (const auto& [scale, cell] : line.by_scale)
      if (cell.nan + cell.inf > 0)
        table.rows.push_back({model_title(line.key), line.name, line.key.item, scale_title(scale),
                              fmt::format("{:.0f}", cell.nan), fmt::format("{:.0f}", cell.inf)});
  return {table};
}

std::vector<Table> profile_tables(const SeriesMap& series) {
  Table table{.title = "What the profile's rules rest on", .folded = true};
  table.columns = {"rule", "what it does, and the source"};
  std::string weak;
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.metric != "profile_rule") continue;
    const bool sure = values.text.starts_with("measured") || values.text.starts_with("defined");
    table.rows.push_back({key.item, values.text});
    if (!sure) weak += (weak.empty() ? "" : ", ") + key.item;
  }
  if (!weak.empty()) table.note = "Not measured on this chip, or contested: " + weak + ".";
  return {table};
}

std::vector<Table> arithmetic_tables(const SeriesMap& series) {
  Table table{.title = "Exact arithmetic against fp32", .folded = true};
  table.columns = {"product", "data", "shape", "threads", "time", "ratio", "quartiles", "summed in order"};
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.phase != "arithmetic" || key.metric != "time" || values.values.empty()) continue;
    const Series *low = find(series, key, "ratio_q1"), *high = find(series, key, "ratio_q3");
    table.rows.push_back(
        {key.item, case_value(key, "data"), case_value(key, "shape"), case_value(key, "threads"),
         time_text(values.median()), cell(find(series, key, "ratio"), number3),
         low == nullptr || high == nullptr ? kNone : number3(low->median()) + " – " + number3(high->median()),
         cell(find(series, key, "fallback_share"), percent)});
  }
  if (table.rows.empty()) return {};
  table.note =
      "Ratio: on one thread the time of Eigen's fp32 product of the same operands, on several that of the exact "
      "product on "
      "one, divided by the exact product's own.";
  return {table};
}

Page arithmetic_page(const ResultSet& set) {
  Page page{.id = "arithmetic", .title = "Headroom and dropped products"};
  page.intro =
      "Of the data, not of a judgement: what an accumulator that overflows at 32768 and drops small products makes of "
      "these kernels' operands, at several loss scales.";
  page.missing = "Nothing was validated: `aneval validate --out FILE` looks at the operands of every product.";
  bool drawn = false;
  for (const auto& [name, setting, series] : named_settings(set.settings)) {
    if (drawn) break;
    std::map<std::string, ChartRows> charts;
    std::vector<std::string> order;
    const std::set<std::string> timed = timed_models(series);
    for (const Line& line : lines_of(series, {"acc_peak", "headroom", "drop_fraction"})) {
      // Edge shapes and variants are in the tables.
      if (kernel_title(line.key) != line.key.kernel || (!timed.empty() && !timed.contains(model_title(line.key))))
        continue;
      ChartRows& rows = charts[model_title(line.key)];
      if (rows.columns.empty()) order.push_back(model_title(line.key));
      rows.columns = {"product", "loss scale", "dropped", "headroom in bits", "state"};
      for (const auto& [scale, cell] : line.by_scale) {
        const bool finite = std::isfinite(cell.acc_peak) && std::isfinite(cell.headroom);
        rows.rows.push_back({line.key.item + " of " + line.name, fmt::format("{:.0f}", scale), cell.dropped,
                             finite ? Json(cell.headroom) : Json(),
                             !finite              ? "infinite or zero"
                             : cell.headroom <= 0 ? "overflows"
                                                  : ""});
      }
    }
    // The operands are the same under every profile, or nearly so: one picture is enough, the tables have all.
    for (const std::string& model : order) {
      const Json y = {{"field", "product"}, {"type", "nominal"}, {"sort", nullptr}, {"title", nullptr}};
      const Json x = {{"field", "loss scale"}, {"type", "ordinal"}, {"sort", nullptr}, {"axis", {{"labelAngle", 0}}}};
      const Json color = {{"field", "dropped"},
                          {"type", "quantitative"},
                          {"title", "products dropped"},
                          {"scale", {{"scheme", "viridis"}, {"domain", {0, 1}}}},
                          {"legend", {{"format", ".0%"}}}};
      const Json cells = {{"mark", "rect"},
                          {"encoding",
                           {{"color", color},
                            {"tooltip", tooltip({"product", "loss scale", "dropped", "headroom in bits", "state"})}}}};
      const Json text = {{"mark", {{"type", "text"}, {"fontSize", 10}}},
                         {"transform", {{{"filter", "datum.state == 'overflows'"}}}},
                         {"encoding", {{"text", {{"value", "overflow"}}}, {"color", {{"value", "#fff"}}}}}};
      page.charts.push_back(make_chart(
          "Dropped products and overflows by loss scale, " + model,
          "One cell per product and loss scale. Colour: share of nonzero operand pairs that the accumulator of M4 and "
          "later drops. 'overflow': partial sums pass 32768, where every chip's accumulator ends.",
          name, charts.at(model),
          {{"width", "container"}, {"encoding", {{"x", x}, {"y", y}}}, {"layer", {cells, text}}}));
      drawn = true;
    }
  }
  add_setting_tables(page, set, {headroom_tables, slice_tables, special_tables, profile_tables, arithmetic_tables});
  return page;
}

}  // namespace aneval::reports
