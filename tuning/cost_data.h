// The figures of the cost model, made a part of the program by tuning/CMakeLists.txt: it needs no file beside it.
#pragma once

#include <string_view>

namespace aneval::tuning {

extern const std::string_view kCostModelsCsv;          // cost_models.csv
extern const std::string_view kPublishedLatenciesCsv;  // published_latencies.csv

}  // namespace aneval::tuning
