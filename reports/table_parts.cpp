#include "reports/table_parts.h"

#include <fmt/format.h>

#include <algorithm>

namespace aneval::reports {

bool in(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool is_kernel_phase(const SeriesKey& key) {
  return !key.kernel.empty() && key.kernel != "layer" && key.item.empty() &&
         std::find(kKernelPhases.begin(), kKernelPhases.end(), key.phase) != kKernelPhases.end();
}

std::vector<const Entry*> ordered(const SeriesMap& series) {
  std::map<std::pair<std::string, std::string>, std::int64_t> begin;
  for (const auto& [key, values] : series) {
    const auto [at, added] = begin.try_emplace({key.model, key.kernel}, values.first_row);
    at->second = std::min(at->second, values.first_row);
  }
  std::vector<const Entry*> entries;
  for (const Entry& entry : series) entries.push_back(&entry);
  const auto place = [&](const Entry* entry) {
    return std::pair(begin.at({entry->first.model, entry->first.kernel}), entry->second.first_row);
  };
  std::sort(entries.begin(), entries.end(), [&](const Entry* a, const Entry* b) { return place(a) < place(b); });
  return entries;
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
