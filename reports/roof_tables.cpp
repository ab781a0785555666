// Phases against what this machine can do at best.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "reports/format.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// The best median of a host benchmark's metric, over sizes and threads.
double best(const SeriesMap& series, std::string_view item, std::string_view metric) {
  double value = 0;
  for (const auto& [key, values] : series)
    if (key.phase == "host" && key.item == item && key.metric == metric && !values.values.empty())
      value = std::max(value, values.median());
  return value;
}

/// memcpy from memory: the largest size measured.
double memory_bandwidth(const SeriesMap& series) {
  double value = 0;
  std::size_t longest = 0;
  std::string largest;
  for (const auto& [key, values] : series) {
    if (key.phase != "host" || key.item != "memcpy" || key.metric != "gb_per_s" || values.values.empty()) continue;
    const std::string bytes = key.case_text.substr(0, key.case_text.find(';'));
    if (bytes.size() > longest || (bytes.size() == longest && bytes > largest)) {
      longest = bytes.size();
      largest = bytes;
      value = 0;
    }
    if (bytes == largest) value = std::max(value, values.median());
  }
  return value;
}

std::string share(const Series* value, double roof) {
  return value == nullptr || roof == 0 ? kNone : percent(value->median() / roof);
}

/// Every phase of every kernel, one table per model.
std::vector<Table> share_tables(const SeriesMap& series, double bandwidth, double peak) {
  Table empty{.title = "Shares of this machine's roofs", .folded = true};
  empty.columns = {"kernel", "stage_weights", "write_acts", "read", "copy", "eval"};
  TablesByModel tables(empty);
  std::set<SeriesKey> seen;
  for (const Entry* entry : series.ordered()) {
    if (!is_kernel_phase(entry->first) || entry->first.metric != "time") continue;
    SeriesKey key = entry->first;
    key.phase.clear();
    if (!seen.insert(key).second) continue;
    std::vector<std::string> row = {kernel_title(key)};
    for (const char* phase : {"stage_weights", "write_acts", "read", "copy"}) {
      key.phase = phase;
      row.push_back(share(find(series, key, "gb_per_s"), bandwidth));
    }
    key.phase = "eval";
    row.push_back(share(find(series, key, "tflops"), peak));
    tables.of(key).rows.push_back(row);
  }
  if (!tables.tables.empty())
    tables.tables.back().note = "Of memcpy from memory; eval of the peak of fused multiply-adds on all threads.";
  return tables.tables;
}

}  // namespace

Roofs roofs_of(const SeriesMap& series) {
  return {.bandwidth = memory_bandwidth(series), .peak = best(series, "fma_peak", "tflops")};
}

std::vector<Table> roof_tables(const SeriesMap& series) {
  const auto [bandwidth, peak] = roofs_of(series);
  if (bandwidth == 0 && peak == 0) return {};
  Table table{.title = "The slowest of each phase against this machine"};
  table.columns = {"phase", "kernel", "time", "GB/s", "share of memcpy", "TFLOP/s", "share of FMA peak"};
  double slowest = 0;
  std::string slowest_name;
  for (const char* phase : kKernelPhases) {
    const SeriesKey* worst = nullptr;
    double worst_ns = 0;
    for (const auto& [key, values] : series) {
      if (key.metric != "time" || key.phase != phase || !is_kernel_phase(key) || values.values.empty()) continue;
      if (const double ns = values.median(); ns > worst_ns) {
        worst = &key;
        worst_ns = ns;
      }
    }
    if (worst == nullptr) continue;
    const Series *moved = find(series, *worst, "gb_per_s"), *flops = find(series, *worst, "tflops");
    const std::string name = kernel_title(*worst) + " " + model_title(*worst);
    table.rows.push_back({phase, name, time_text(worst_ns), cell(moved, number3), share(moved, bandwidth),
                          cell(flops, number3), share(flops, peak)});
    // Compiling and loading happen once; the others in every step of a training run.
    if (!in(phase, {"compile", "load"}) && worst_ns > slowest) {
      slowest = worst_ns;
      slowest_name = fmt::format("{} of {}", phase, name);
    }
  }
  if (table.rows.empty()) return {};
  table.note = fmt::format(
      "Slowest phase of a step: {}, {}. Roofs measured in this run: memcpy from memory {} GB/s (read + written), fused "
      "multiply-adds {} TFLOP/s (fp32, all threads). Shares above 100 % of memcpy are data in cache.",
      slowest_name, time_text(slowest), number3(bandwidth), number3(peak));
  std::vector<Table> tables = share_tables(series, bandwidth, peak);
  tables.insert(tables.begin(), std::move(table));
  return tables;
}

}  // namespace aneval::reports
