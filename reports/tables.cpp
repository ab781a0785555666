#include "reports/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "reports/format.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

/// Which kernels compiled anything in a phase that should not.
std::string recompile_note(const SeriesMap& series) {
  std::string names;
  for (const auto& [key, values] : series)
    if (key.metric == "compile_count" && is_kernel_phase(key) && !in(key.phase, {"compile", "load"}) &&
        !values.values.empty() && *std::max_element(values.values.begin(), values.values.end()) > 0)
      names += (names.empty() ? "" : ", ") + kernel_title(key) + " " + key.phase;
  return names.empty() ? " Nothing recompiled outside of compile and load." : " **Recompiled:** " + names + ".";
}

std::string spread_note(const SeriesMap& series) {
  double worst = 0;
  std::size_t fewest = SIZE_MAX, most = 0;
  for (const auto& [key, values] : series) {
    if (key.metric != "time" || !is_kernel_phase(key) || values.values.empty()) continue;
    worst = std::max(worst, values.relative_iqr());
    fewest = std::min(fewest, values.values.size());
    most = std::max(most, values.values.size());
  }
  if (most == 0) return {};
  return fmt::format("Medians of {} to {} samples; the widest interquartile range is {} of its median.", fewest, most,
                     percent(worst)) +
         recompile_note(series);
}

}  // namespace

std::vector<Table> phase_tables(const SeriesMap& series) {
  Table empty{.title = "Time per phase"};
  empty.columns = {"kernel"};
  empty.columns.insert(empty.columns.end(), kKernelPhases.begin(), kKernelPhases.end());
  for (const char* column : {"eval TFLOP/s", "staging GB/s"}) empty.columns.emplace_back(column);
  TablesByModel tables(empty);
  std::set<SeriesKey> seen;
  for (const Entry* entry : series.ordered()) {
    const SeriesKey& series_key = entry->first;
    if (!is_kernel_phase(series_key) || series_key.metric != "time") continue;
    SeriesKey key = series_key;
    key.phase.clear();
    if (!seen.insert(key).second) continue;
    std::vector<std::string> row = {kernel_title(key)};
    for (const char* phase : kKernelPhases) {
      key.phase = phase;
      key.metric = "time";
      const auto found = series.find(key);
      const bool wrong = found != series.end() && found->second.status != Status::ok;
      row.push_back(wrong ? std::string(status_name(found->second.status))
                          : cell(find(series, key, "time"), time_text));
    }
    key.phase = "eval";
    row.push_back(cell(find(series, key, "tflops"), number3));
    key.phase = "stage_weights";
    row.push_back(cell(find(series, key, "gb_per_s"), number3));
    tables.of(key).rows.push_back(row);
  }
  if (!tables.tables.empty()) tables.tables.back().note = spread_note(series);
  return tables.tables;
}

std::vector<Table> error_tables(const SeriesMap& series) {
  const std::set<std::string> timed = timed_models(series);

  struct Worst {
    SeriesKey key;
    std::set<std::string> cases = {};
    double max_abs = 0, snr = 1e9, cosine = 1, ratio = 0;
    Status status = Status::ok;
  };
  std::vector<Worst> worsts;
  std::map<std::string, std::size_t> place;
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.phase != "validate" || key.kernel.empty()) continue;
    const std::string name = model_title(key) + " " + key.kernel;
    const auto [at, added] = place.emplace(name, worsts.size());
    if (added) worsts.push_back({.key = key});
    Worst& worst = worsts[at->second];
    // One such row per case; rows of other loss scales carry cases that were not judged.
    if (in(key.metric, {"time", "compile_count"})) worst.cases.insert(key.case_text);
    if (values.status != Status::ok && worst.status == Status::ok) worst.status = values.status;
    // Exact data are integers of any size: their errors say nothing about those of a model.
    const bool exact = case_value(key, "data") == "exact";
    for (const double value : values.values) {
      if (exact && key.metric != "bound_ratio") break;
      if (key.metric == "max_abs") worst.max_abs = std::max(worst.max_abs, value);
      if (key.metric == "snr_db") worst.snr = std::min(worst.snr, value);
      if (key.metric == "cosine") worst.cosine = std::min(worst.cosine, value);
      if (key.metric == "bound_ratio") worst.ratio = std::max(worst.ratio, value);
    }
  }

  Table empty{.title = "Errors against the reference"};
  empty.columns = {"kernel", "cases", "verdict", "largest error", "signal to noise", "cosine", "worst error / bound"};
  TablesByModel tables(empty);
  for (const bool first : {true, false}) {
    for (const Worst& worst : worsts) {
      if (timed.contains(model_title(worst.key)) != first) continue;
      const bool layer = worst.key.kernel == "layer";
      Table& table = tables.of(worst.key);
      table.folded = !first && !timed.empty();
      table.rows.push_back({worst.key.kernel, std::to_string(worst.cases.size()),
                            std::string(status_name(worst.status)), number3(worst.max_abs),
                            worst.snr < 1e9 ? fmt::format("{:.1f} dB", worst.snr) : "exact",
                            fmt::format("{:.8f}", worst.cosine), (layer ? "CPU steps: " : "") + number3(worst.ratio)});
    }
  }
  return tables.tables;
}

std::vector<Table> layer_tables(const SeriesMap& series) {
  std::vector<Table> tables;
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.kernel != "layer" || key.metric != "time" || !key.item.empty() || values.values.empty() ||
        !in(key.phase, {"layer_forward", "layer_backward", "train_step"}))
      continue;
    struct Share {
      std::string name, phase;
      double ns, share;
    };
    std::vector<Share> steps;
    for (const auto& [step_key, step] : series) {
      if (step_key.case_text != key.case_text || step_key.metric != "time" || step.values.empty() ||
          !step_key.item.starts_with(key.phase + "."))
        continue;
      const Series* share = find(series, step_key, "ratio");
      steps.push_back({step_key.item.substr(key.phase.size() + 1), step_key.phase, step.median(),
                       share != nullptr ? share->median() : 0});
    }
    std::sort(steps.begin(), steps.end(), [](const Share& a, const Share& b) { return a.ns > b.ns; });
    Table table;
    table.title = fmt::format("{}, {}: {}", key.phase, model_title(key), time_text(values.median()));
    if (const Series* flops = find(series, key, "tflops"))
      table.title += fmt::format(", {} TFLOP/s", number3(flops->median()));
    SeriesKey whole = key;
    whole.item = "all";
    if (const Series* compiles = find(series, whole, "compile_count"))
      table.title += fmt::format(", {:.0f} compiles", compiles->median());
    table.columns = {"step", "phase", "time", "share"};
    double rest = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      constexpr std::size_t kShown = 10;
      if (i < kShown)
        table.rows.push_back({steps[i].name, steps[i].phase, time_text(steps[i].ns), percent(steps[i].share)});
      else
        rest += steps[i].share;
    }
    if (rest > 0)
      table.note = fmt::format("The other {} steps take {}.", steps.size() - table.rows.size(), percent(rest));
    tables.push_back(std::move(table));
  }
  return tables;
}

std::vector<Table> host_tables(const SeriesMap& series) {
  Table table{.title = "The CPU's share, conversions, and this machine", .folded = true};
  table.columns = {"operation", "size", "time", "GB/s", "TFLOP/s"};
  for (const Entry* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (key.metric != "time" || !key.kernel.empty() || values.values.empty() ||
        !in(key.phase, {"rmsnorm", "silu", "tile", "reduce", "weight_grad", "convert", "host"}))
      continue;
    table.rows.push_back({key.item, key.model.empty() ? key.case_text : model_title(key), time_text(values.median()),
                          cell(find(series, key, "gb_per_s"), number3), cell(find(series, key, "tflops"), number3)});
  }
  return table.rows.empty() ? std::vector<Table>() : std::vector<Table>{table};
}

}  // namespace aneval::reports
