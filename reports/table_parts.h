// What the tables of a report share: finding series, titles of models and kernels, one table per model.
#pragma once

#include <array>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reports/tables.h"

namespace aneval::reports {

/// A cell without a value.
inline const std::string kNone = "–";

bool in(std::string_view word, std::initializer_list<std::string_view> words);

/// The phases of a kernel, in the order of their columns.
inline constexpr std::array<const char*, 7> kKernelPhases = {"compile", "load", "stage_weights", "write_acts",
                                                             "eval",    "read", "copy"};
/// Whether it is one of them, of a kernel as a whole.
bool is_kernel_phase(const SeriesKey& key);

using Entry = SeriesMap::Entry;

/// The titles of models whose kernels were timed.
std::set<std::string> timed_models(const SeriesMap& series);

/// The same thing's series of another metric; null when it has no values.
const Series* find(const SeriesMap& series, SeriesKey key, const std::string& metric);

std::string cell(const Series* series, std::string (*text)(double));

/// "Qwen3-0.6B seq 256". The generic matmul belongs to no model.
std::string model_title(const SeriesKey& key);

/// The value of a key of the case's canonical text; empty when it is left out.
std::string case_value(const SeriesKey& key, const std::string& name);

/// The kernel, and what tells its instances apart.
std::string kernel_title(const SeriesKey& key);

/// What tells the settings of a result set apart, as short as it goes: "emulator profile h16", and the chip, commit,
/// build, machine or OS where that is not enough.
std::vector<std::string> setting_names(const SettingsMap& settings);

/// Every setting with its name.
struct NamedSetting {
  std::string name;
  const Setting& setting;
  const SeriesMap& series;
};
std::vector<NamedSetting> named_settings(const SettingsMap& settings);

/// The command line that runs a judged or timed thing again; empty when nothing does. Capital letters stand for what
/// rows do not tell.
std::string reproduce_command(const Setting& setting, const SeriesMap& series, const SeriesKey& key);

/// Whether a status says that something is wrong: not ok, degraded, or left out on purpose.
bool is_failure(Status status);
bool is_skipped(Status status);

/// One per model, in the order of first appearance.
class TablesByModel {
 public:
  explicit TablesByModel(Table empty) : empty_(std::move(empty)) {}
  Table& of(const SeriesKey& key);
  std::vector<Table> tables;

 private:
  Table empty_;
  std::map<std::string, std::size_t> place_;
};

}  // namespace aneval::reports
