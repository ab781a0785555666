// Files that are a part of the program (cmake/embed.cmake makes them from the sources and from npm's packages).
#pragma once

#include <string_view>

namespace aneval::reports::assets {

extern const std::string_view kStyle;      // page/page.css
extern const std::string_view kScript;     // page/page.js
extern const std::string_view kPublished;  // published.csv
/// vega, vega-lite, vega-embed and vega-interpreter, ready for a <script>; empty when there was no npm at build time.
extern const std::string_view kCharts;
extern const std::string_view kChartLicences;

}  // namespace aneval::reports::assets
