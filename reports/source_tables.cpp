// Where errors come from, and how they grow through a layer, with all settings of a result set side by side: the
// columns are what differs between two profiles of the emulator, or between one and the hardware.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "reports/format.h"
#include "reports/table_parts.h"
#include "reports/tables.h"

namespace aneval::reports {
namespace {

/// What a column is called: the profile, or what else it takes to tell settings apart.
std::vector<std::string> setting_titles(const SettingsMap& settings) {
  std::map<std::string, int> count;
  for (const auto& [setting, series] : settings) ++count[setting.arithmetic()];
  std::vector<std::string> titles;
  for (const auto& [setting, series] : settings) {
    const std::string name = setting.arithmetic();
    titles.push_back(count[name] == 1 ? (setting.profile.empty() ? name : setting.profile)
                                      : fmt::format("{}, {}, {}", name, setting.chip, setting.commit));
  }
  return titles;
}

/// What tells cases of one model apart whose errors should not be mixed.
std::string data_title(const SeriesKey& key) {
  std::string title;
  const auto add = [&](const std::string& what, const std::string& value) {
    if (!value.empty()) title += ", " + what + value;
  };
  add("gradients × ", case_value(key, "grad"));
  add("loss × ", case_value(key, "loss_scale"));
  const std::string data = case_value(key, "data");
  if (data != "random") add("data ", data);
  return title;
}

std::string relative(double error, double reference) {
  return error == 0 ? "0" : reference == 0 ? "of zero" : fmt::format("{:.1e}", error / reference);
}

/// The case of a line that is worst under one setting.
struct Worst {
  bool known = false;
  double relative = 0;
  std::vector<std::string> cells;
};

struct Line {
  SeriesKey key;
  std::vector<std::string> names;
  double place = 0;
  std::vector<Worst> by_setting;
};

/// Lines in the order in which they first appear, under whatever setting.
class Lines {
 public:
  explicit Lines(std::size_t settings) : settings_(settings) {}

  Line& of(const SeriesKey& key, std::vector<std::string> names) {
    const auto [at, added] = place_.emplace(std::pair(model_title(key), names), lines.size());
    if (added) lines.push_back({key, std::move(names), 0, std::vector<Worst>(settings_)});
    return lines[at->second];
  }
  std::vector<Line> lines;

 private:
  std::size_t settings_;
  std::map<std::pair<std::string, std::vector<std::string>>, std::size_t> place_;
};

/// The row's names, then the cells of every setting; dashes where a setting has none.
std::vector<std::string> row_of(const Line& line, std::size_t cells) {
  std::vector<std::string> row = line.names;
  for (const Worst& worst : line.by_setting) {
    if (worst.known)
      row.insert(row.end(), worst.cells.begin(), worst.cells.end());
    else
      row.insert(row.end(), cells, kNone);
  }
  return row;
}

double value_of(const SeriesMap& series, const SeriesKey& key, const char* metric) {
  const Series* found = find(series, key, metric);
  return found == nullptr ? NAN : found->median();
}

/// "57 / 0 / 31 / 12"
std::string parts_text(const std::array<double, 4>& shares) {
  std::string parts;
  for (const double share : shares) parts += fmt::format("{}{:.0f}", parts.empty() ? "" : " / ", 100 * share);
  return parts;
}

}  // namespace

std::vector<ErrorSource> error_sources(const SettingsMap& settings) {
  std::vector<ErrorSource> sources;
  std::map<std::pair<std::string, std::size_t>, std::size_t> place;
  std::size_t at = 0;
  for (const auto& [setting, series] : settings) {
    for (const Entry* entry : series.ordered()) {
      const auto& [key, values] = *entry;
      // Exact data are integers of any size: their errors say nothing about those of a model.
      if (key.phase != "validate" || key.metric != "error_total" || values.values.empty() ||
          case_value(key, "data") == "exact")
        continue;
      ErrorSource source{
          .setting = at, .key = key, .kernel = kernel_title(key) + data_title(key), .total = values.median()};
      source.reference = value_of(series, key, "reference_rms");
      source.relative = source.reference > 0 ? source.total / source.reference : source.total;
      const auto [found, added] =
          place.emplace(std::pair(model_title(key) + "\n" + source.kernel + "\n" + key.item, at), sources.size());
      if (!added && !(source.relative > sources[found->second].relative)) continue;
      double sum = 0;
      for (std::size_t i = 0; i < kErrorParts.size(); ++i) {
        const double part = value_of(series, key, kErrorParts[i].metric);
        source.shares[i] = part * part;
        sum += part * part;
      }
      source.has_parts = sum > 0;
      for (double& share : source.shares) share = sum > 0 ? share / sum : 0;
      const Series* excess = find(series, key, "excess");
      source.excess = excess == nullptr ? "exact" : number3(excess->median());
      if (added)
        sources.push_back(std::move(source));
      else
        sources[found->second] = std::move(source);
    }
    ++at;
  }
  return sources;
}

std::vector<Table> source_tables(const SettingsMap& settings) {
  Lines lines(settings.size());
  std::set<std::string> timed;
  for (const auto& [setting, series] : settings) timed.merge(timed_models(series));
  for (const ErrorSource& source : error_sources(settings))
    lines.of(source.key, {source.kernel, source.key.item}).by_setting[source.setting] = {
        true,
        source.relative,
        {relative(source.total, source.reference), source.has_parts ? parts_text(source.shares) : kNone,
         source.excess}};
  Table empty{.title = "Where errors come from"};
  empty.note =
      "End to end: rms of (device − reference on the fp32 inputs) over the reference's rms, of the worst case. Parts: "
      "shares in percent of the summed squares of input / constants / output rounding / arithmetic, which add up "
      "element by element; their rms do not. Excess: error on the fp16 inputs over that of rounding the reference to "
      "fp16.";
  empty.columns = {"kernel", "block"};
  for (const std::string& title : setting_titles(settings)) {
    const std::string prefix = settings.size() > 1 ? title + ": " : "";
    for (const char* column : {"error / rms", "parts", "excess"}) empty.columns.push_back(prefix + column);
  }
  TablesByModel tables(empty);
  for (const Line& line : lines.lines) {
    Table& table = tables.of(line.key);
    table.folded = !timed.empty() && !timed.contains(model_title(line.key));
    table.rows.push_back(row_of(line, 3));
  }
  return tables.tables;
}

std::vector<Table> growth_tables(const SettingsMap& settings) {
  std::map<std::string, Lines> chains;  // by model and what differs between its layers
  std::vector<std::string> order;
  std::size_t at = 0;
  for (const auto& [setting, series] : settings) {
    for (const Entry* entry : series.ordered()) {
      const auto& [key, values] = *entry;
      if (key.metric != "chain_step" || values.values.empty()) continue;
      const std::string variant = key.variant.empty() || key.variant == "default" ? "" : ", " + key.variant;
      const std::string title = model_title(key) + variant + data_title(key);
      if (chains.emplace(title, Lines(settings.size())).second) order.push_back(title);
      Line& line = chains.at(title).of(key, {key.item, values.text});
      line.place = values.median();
      Worst& worst = line.by_setting[at];
      const double error = value_of(series, key, "chain_error"), own = value_of(series, key, "chain_own");
      if (std::isnan(error) || (worst.known && !(error > worst.relative))) continue;
      worst = {true, error, {relative(error, 1), relative(own, 1)}};
    }
    ++at;
  }
  std::vector<Table> tables;
  for (const std::string& title : order) {
    Table table{.title = "How the error grows through a layer, " + title};
    table.note =
        "Every tensor in the order in which the layer makes it, forward and backward: rms of (device − double "
        "reference of the whole layer) over the reference's rms, of the worst layer; own: the part that the step "
        "itself added to what it was given.";
    table.columns = {"tensor", "made by"};
    for (const std::string& name : setting_titles(settings)) {
      const std::string prefix = settings.size() > 1 ? name + ": " : "";
      for (const char* column : {"error", "own"}) table.columns.push_back(prefix + column);
    }
    std::vector<Line>& lines = chains.at(title).lines;
    std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.place < b.place; });
    for (const Line& line : lines) table.rows.push_back(row_of(line, 2));
    tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace aneval::reports
