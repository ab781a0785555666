#include "reports/chart_parts.h"

#include <algorithm>
#include <set>

#include "reports/format.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

std::string cell_text(const Json& value) {
  if (value.is_null()) return kNone;
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  if (value.is_number()) return number3(value.get<double>());
  return value.dump();
}

/// The settings that the rows name.
std::string origins_in(const ChartRows& rows) {
  const auto at = std::find(rows.columns.begin(), rows.columns.end(), kSetting);
  if (at == rows.columns.end()) return {};
  const auto column = static_cast<std::size_t>(at - rows.columns.begin());
  std::string text;
  std::set<std::string> seen;
  for (const std::vector<Json>& row : rows.rows)
    if (const auto name = row[column].get<std::string>(); seen.insert(name).second)
      text += (text.empty() ? "" : "; ") + name;
  return text;
}

Json channel(const std::string& field, const char* type, const std::string& title) {
  return {{"field", field}, {"type", type}, {"title", title.empty() ? field : title}};
}

}  // namespace

Chart make_chart(std::string title, std::string description, const std::string& origin, const ChartRows& rows,
                 const Json& drawing) {
  Chart chart{.title = std::move(title), .description = std::move(description)};
  chart.data.title = chart.title;
  chart.data.columns = rows.columns;
  chart.data.origin = origin.empty() ? origins_in(rows) : origin;
  Json values = Json::array();
  for (const std::vector<Json>& row : rows.rows) {
    Json value = Json::object();
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < rows.columns.size(); ++i) {
      if (!row[i].is_null()) value[rows.columns[i]] = row[i];
      cells.push_back(cell_text(row[i]));
    }
    values.push_back(std::move(value));
    chart.data.rows.push_back(std::move(cells));
  }
  Json specification = {{"$schema", "https://vega.github.io/schema/vega-lite/v6.json"},
                        {"description", chart.description},
                        {"data", {{"values", std::move(values)}}}};
  specification.update(drawing);
  chart.specification = specification.dump(-1, ' ', false, Json::error_handler_t::replace);
  return chart;
}

Json nominal(const std::string& field, const std::string& title) { return channel(field, "nominal", title); }

Json quantitative(const std::string& field, const std::string& title) { return channel(field, "quantitative", title); }

Json logarithmic(const std::string& field, const std::string& title) {
  Json result = quantitative(field, title);
  result["scale"] = {{"type", "log"}};
  return result;
}

Json in_order(Json channel) {
  channel["sort"] = nullptr;
  return channel;
}

Json tooltip(const std::vector<std::string>& fields) {
  Json result = Json::array();
  for (const std::string& field : fields) result.push_back({{"field", field}});
  return result;
}

void add_facet(Json& drawing, const std::string& field, std::size_t count) {
  if (count < 2) return;
  drawing["encoding"]["row"] = {{"field", field}, {"type", "nominal"}, {"title", nullptr}, {"sort", nullptr}};
  drawing["encoding"]["row"]["header"] = {{"orient", "top"}};
}

}  // namespace aneval::reports
