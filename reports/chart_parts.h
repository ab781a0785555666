// What charts share: rows that become both the data of a Vega-Lite specification and the table beside it, and the
// pieces of specifications that are the same everywhere. Colours, fonts and sizes are the page's own (page/page.js).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reports/report.h"

namespace aneval::reports {

/// Keeps the order of keys, so that equal reports are equal bytes.
using Json = nlohmann::ordered_json;

/// The column that says which setting a row is of.
inline constexpr const char* kSetting = "backend, profile";

/// Column names are field names of Vega: no dots, no brackets. A null is a value that is missing.
struct ChartRows {
  std::vector<std::string> columns = {};
  std::vector<std::vector<Json>> rows = {};
};

/// `drawing` has mark and encoding, or layers; data, titles and the schema are added. `origin` as of a table; empty:
/// what the column kSetting names.
Chart make_chart(std::string title, std::string description, const std::string& origin, const ChartRows& rows,
                 const Json& drawing);

/// A channel: {"field": …, "type": …, "title": …}.
Json nominal(const std::string& field, const std::string& title = {});
Json quantitative(const std::string& field, const std::string& title = {});
/// With logarithmic scale.
Json logarithmic(const std::string& field, const std::string& title);
/// In the order of the rows.
Json in_order(Json channel);
/// Several fields on hover and focus.
Json tooltip(const std::vector<std::string>& fields);
/// One picture per setting below each other, when there are several.
void add_facet(Json& drawing, const std::string& field, std::size_t count);

}  // namespace aneval::reports
