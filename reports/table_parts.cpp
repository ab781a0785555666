#include "reports/table_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/names.h"

namespace aneval::reports {

bool in(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_kernel_phase(const SeriesKey& key) {
  return key.item.empty() && !key.kernel.empty() && key.kernel != "layer" &&
         std::find(kKernelPhases.begin(), kKernelPhases.end(), key.phase) != kKernelPhases.end();
}

std::set<std::string> timed_models(const SeriesMap& series) {
  std::set<std::string> models;
  for (const auto& [key, values] : series)
    if (key.metric == "time" && is_kernel_phase(key) && !values.values.empty()) models.insert(model_title(key));
  return models;
}

const Series* find(const SeriesMap& series, SeriesKey key, const std::string& metric) {
  key.metric = metric;
  const auto found = series.find(key);
  return found == series.end() || found->second.values.empty() ? nullptr : &found->second;
}

std::string cell(const Series* series, std::string (*text)(double)) {
  return series == nullptr ? kNone : text(series->median());
}

std::string model_title(const SeriesKey& key) {
  if (key.kernel == "dynMatmul") return "generic matmul";
  return key.seq ? fmt::format("{} seq {}", key.model, *key.seq) : key.model;
}

std::string case_value(const SeriesKey& key, const std::string& name) {
  const auto at = (";" + key.case_text + ";").find(";" + name + "=");
  if (at == std::string::npos) return {};
  const std::string rest = key.case_text.substr(at + name.size() + 1);
  return rest.substr(0, rest.find(';'));
}

std::string kernel_title(const SeriesKey& key) {
  std::string title = key.kernel;
  if (key.kernel == "dynMatmul")
    title += " " + case_value(key, "ic") + "x" + case_value(key, "oc") + "x" + case_value(key, "seq");
  if (!key.variant.empty() && key.variant != "default") title += " " + key.variant;
  return title;
}

std::vector<std::string> setting_names(const SettingsMap& settings) {
  std::vector<std::string> names;
  for (const auto& [setting, series] : settings) names.push_back(setting.arithmetic());
  using Part = const std::string& (*)(const Setting&);
  constexpr std::array<Part, 5> kParts = {[](const Setting& s) -> const std::string& { return s.chip; },
                                          [](const Setting& s) -> const std::string& { return s.commit; },
                                          [](const Setting& s) -> const std::string& { return s.build; },
                                          [](const Setting& s) -> const std::string& { return s.machine; },
                                          [](const Setting& s) -> const std::string& { return s.os; }};
  for (const Part part : kParts) {
    std::map<std::string, std::set<std::string>> values;  // of the part, by name so far
    std::size_t at = 0;
    for (const auto& [setting, series] : settings) values[names[at++]].insert(part(setting));
    at = 0;
    for (const auto& [setting, series] : settings) {
      std::string& name = names[at++];
      if (values[name].size() > 1) name += ", " + part(setting);
    }
  }
  return names;
}

std::vector<NamedSetting> named_settings(const SettingsMap& settings) {
  std::vector<NamedSetting> named;
  std::vector<std::string> names = setting_names(settings);
  for (const auto& [setting, series] : settings) named.push_back({std::move(names[named.size()]), setting, series});
  return named;
}

std::string reproduce_command(const Setting& setting, const SeriesMap& series, const SeriesKey& key) {
  const std::string device =
      " --backend " + setting.backend + (setting.profile.empty() ? "" : " --profile " + setting.profile);
  if (key.phase == "validate" && !key.case_text.empty()) {
    const bool real = case_value(key, "data") == "real";
    return "aneval validate" + device + (real ? " --weights WEIGHTS --tokenizer TOKENIZER --text TEXT" : "") +
           " --case " + single_quoted(key.case_text);
  }
  SeriesKey name = key;
  name.metric = "benchmark";
  const auto found = series.find(name);
  if (found == series.end() || found->second.text.empty()) return {};
  std::string command = "aneval bench" + device;
  if (!key.model.empty()) command += " --model " + single_quoted(key.model);
  if (key.seq) command += fmt::format(" --seq {}", *key.seq);
  if (!key.variant.empty() && key.variant != "default") command += " --variant " + single_quoted(key.variant);
  return command + " --benchmark_filter=" + single_quoted("^" + found->second.text + "$");
}

bool is_skipped(Status status) { return status == Status::skipped || status == Status::constraint; }

bool is_failure(Status status) { return status != Status::ok && status != Status::degraded && !is_skipped(status); }

Table& TablesByModel::of(const SeriesKey& key) {
  const std::string title = model_title(key);
  const auto found = place_.find(title);
  if (found != place_.end()) return tables[found->second];
  place_[title] = tables.size();
  tables.push_back(empty_);
  tables.back().title += ", " + title;
  return tables.back();
}

}  // namespace aneval::reports
