// This machine: its roofs, where the kernels stand below them, and what was held against yardsticks.
#include <fmt/format.h>

#include <cmath>

#include "reports/chart_parts.h"
#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// Operations per byte of the surfaces against TFLOP/s, and the ceilings that were measured in the same run.
void add_roofline(Page& page, const SeriesMap& series, const std::string& name) {
  const Roofs roofs = roofs_of(series);
  ChartRows rows{.columns = {"what", "operations per byte", "TFLOP per s", "kind", "kernel"}};
  double least = INFINITY, most = 0;
  for (const Entry* entry : series.ordered()) {
    const SeriesKey& key = entry->first;
    if (!is_kernel_phase(key) || key.phase != "eval" || key.metric != "time") continue;
    const Series *rate = find(series, key, "tflops"), *bytes = find(series, key, "bytes"),
                 *time = find(series, key, "time");
    if (rate == nullptr || bytes == nullptr || time == nullptr || rate->median() <= 0 || bytes->median() <= 0) continue;
    const double intensity = rate->median() * 1e3 * time->median() / bytes->median();
    rows.rows.push_back(
        {kernel_title(key) + ", " + model_title(key), intensity, rate->median(), "kernel", kernel_title(key)});
    least = std::min(least, intensity);
    most = std::max(most, intensity);
  }
  if (rows.rows.empty() || roofs.bandwidth == 0 || roofs.peak == 0) return;
  // From left of the kernels to right of them; memory's slope ends at the peak.
  const double ridge = roofs.peak * 1e3 / roofs.bandwidth;
  const double left = std::min(least, ridge) / 2, right = std::max(most, ridge) * 2;
  for (const double intensity : {left, ridge, right})
    rows.rows.push_back(
        {"roof of this machine", intensity, std::min(roofs.peak, intensity * roofs.bandwidth / 1e3), "roof", Json()});
  Json x = logarithmic("operations per byte", "operations per byte of the surfaces");
  Json y = logarithmic("TFLOP per s", "TFLOP/s");
  x["scale"]["nice"] = false;
  const Json points = {{"mark", {{"type", "point"}, {"filled", true}, {"size", 70}}},
                       {"transform", {{{"filter", "datum.kind == 'kernel'"}}}},
                       {"encoding",
                        {{"tooltip", tooltip({"what", "operations per byte", "TFLOP per s"})},
                         {"color", in_order(nominal("kernel"))},
                         {"shape", in_order(nominal("kernel"))}}}};
  const Json roof = {{"mark", {{"type", "line"}, {"strokeWidth", 2}}},
                     {"transform", {{{"filter", "datum.kind == 'roof'"}}}},
                     {"encoding", {{"color", {{"value", "var(--c1)"}}}}}};
  page.charts.push_back(make_chart(
      "Roofline",
      fmt::format(
          "Kernels below what this machine was measured to do in the same run: memcpy from memory {} GB/s, fused "
          "multiply-adds {} TFLOP/s. The higher a point, the faster its evaluation; under the sloped part memory is "
          "the limit.",
          number3(roofs.bandwidth), number3(roofs.peak)),
      name, rows,
      {{"width", "container"}, {"height", 320}, {"encoding", {{"x", x}, {"y", y}}}, {"layer", {roof, points}}}));
}

}  // namespace

Page machine_page(const ResultSet& set) {
  Page page{.id = "machine", .title = "This machine"};
  page.missing =
      "The machine's own speed was not measured: `aneval bench --out FILE` without a filter times memcpy and fused "
      "multiply-adds as well.";
  for (const auto& [name, setting, series] : named_settings(set.settings)) add_roofline(page, series, name);
  add_setting_tables(page, set, {roof_tables, ratio_tables, host_tables});
  return page;
}

}  // namespace aneval::reports
