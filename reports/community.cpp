// The JSON that the dashboard of the ANE community takes: its benchmarks of the engine and of training steps.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "common/error.h"
#include "common/names.h"
#include "reports/exports.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

using Json = nlohmann::ordered_json;

/// What the dashboard shows, with as many digits.
double rounded(double value, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(value * scale) / scale;
}

/// Rows that the dashboard has a place for.
bool belongs(const SeriesKey& key) {
  return (key.phase == "engine" && key.item == "conv_chain") ||
         (key.phase == "train_step" && (key.item.empty() || key.item == "step"));
}

/// "macOS 26.3.1 (25D2128)": version and build.
std::pair<std::string, std::string> macos(const std::string& os) {
  if (!os.starts_with("macOS ")) return {os, "unknown"};
  const std::string rest = os.substr(6);
  const auto open = rest.find(" (");
  if (open == std::string::npos || !rest.ends_with(")")) return {rest, "unknown"};
  return {rest.substr(0, open), rest.substr(open + 2, rest.size() - open - 3)};
}

Json system_of(const ResultSet& set, const Setting& setting) {
  const auto [version, build] = macos(setting.os);
  Json system = {{"chip", setting.emulated() ? setting.arithmetic() + " on " + setting.chip : setting.chip},
                 {"machine", "unknown"},  // nothing that says whose machine it is leaves the process
                 {"macos_version", version},
                 {"macos_build", build}};
  // Of the environment that is of this machine; several may lie beside each other.
  for (const std::string& text : set.environments) {
    const auto environment = Json::parse(text);
    if (environment.value("chip", "") != setting.chip) continue;
    system["cpu_cores"] = environment.value("processors", 0);
    system["memory_gb"] = std::round(environment.value("memory_gib", 0.0));
    break;
  }
  system["neural_engine_cores"] = "unknown";
  if (setting.emulated()) system["not_an_engine"] = true;
  return system;
}

double number(const SeriesKey& key, const char* name) {
  const std::string text = case_value(key, name);
  return text.empty() ? 0 : parse_double(text, name);
}

}  // namespace

std::string to_community(const ResultSet& set, const CommunityOptions& options) {
  const std::pair<const Setting, SeriesMap>* chosen = nullptr;
  for (const auto& entry : set.settings) {
    if (entry.first.backend == "reference") continue;
    const auto& series = entry.second;
    if (std::none_of(series.begin(), series.end(), [](const auto& one) { return belongs(one.first); })) continue;
    if (chosen != nullptr)
      throw input_error("results", "are of several settings: " + join(setting_names(set.settings), "; "),
                        "a submission is of one: give the results of one machine, build and profile");
    chosen = &entry;
  }
  if (chosen == nullptr)
    throw input_error("results", "have nothing that the community's dashboard shows",
                      "measure it: aneval bench --full --benchmark_filter='conv_chain|train_step'");
  const auto& [setting, series] = *chosen;

  Json sram = Json::array(), peak = Json::array(), training;
  double most = 0, efficiency = 0;
  for (const auto* entry : series.ordered()) {
    const auto& [key, values] = *entry;
    if (!belongs(key) || key.metric != "time" || values.values.empty() || values.status != Status::ok) continue;
    const double ms = values.median() / 1e6;
    if (key.phase == "train_step") {
      if (training.is_null()) training = {{"model", model_title(key)}, {"ms_per_step", rounded(ms, 1)}};
      continue;
    }
    const double channels = number(key, "channels"), depth = number(key, "depth"), spatial = number(key, "spatial");
    const double gflop = 2 * channels * channels * spatial * depth / 1e9,
                 mib = 2 * channels * channels * depth / 1048576;
    if (ms <= 0 || mib <= 0) continue;
    const double tflops = gflop / ms;
    most = std::max(most, tflops);
    if (depth == 1) {
      efficiency = std::max(efficiency, 1e3 * tflops / mib);
      sram.push_back({{"channels", static_cast<std::int64_t>(channels)},
                      {"weight_mb", rounded(mib, 1)},
                      {"ms_per_eval", rounded(ms, 3)},
                      {"tflops", rounded(tflops, 2)},
                      {"gflops_per_mb", rounded(1e3 * tflops / mib, 1)}});
    } else {
      peak.push_back({{"depth", static_cast<std::int64_t>(depth)},
                      {"channels", static_cast<std::int64_t>(channels)},
                      {"spatial", static_cast<std::int64_t>(spatial)},
                      {"weight_mb", rounded(mib, 1)},
                      {"gflops", rounded(gflop, 2)},
                      {"ms_per_eval", rounded(ms, 3)},
                      {"tflops", rounded(tflops, 2)}});
    }
  }
  Json summary = Json::object();
  if (most > 0) summary["peak_tflops"] = rounded(most, 2);
  if (efficiency > 0) summary["sram_peak_efficiency_gflops_per_mb"] = rounded(efficiency, 1);
  Json json = {{"schema_version", 1}};
  if (!options.username.empty()) json["username"] = options.username;
  json["timestamp"] = set.began;
  json["tool"] = "aneval " + setting.commit;
  json["system"] = system_of(set, setting);
  json["benchmarks"] = {{"sram_probe", sram}, {"inmem_peak", peak}};
  if (!training.is_null()) {
    // The classifier runs on the CPU here.
    summary["training_ms_per_step_cpu"] = training["ms_per_step"];
    json["benchmarks"]["training_cpu_classifier"] = training;
  }
  json["summary"] = summary;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace aneval::reports
