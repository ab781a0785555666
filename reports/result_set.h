// Results as a report sees them: rows of one or many files, gathered into series, and what is known about the processes
// that wrote them. Raw rows are not kept, so that a million of them make a small report.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/record.h"

namespace aneval::reports {

/// What was measured with what: numbers of different settings are never mixed.
struct Setting {
  std::string backend, profile, chip, os, build, commit, machine;
  auto operator<=>(const Setting&) const = default;
  bool emulated() const { return is_emulated(backend); }
  /// "emulator profile ieee", "apple h16".
  std::string arithmetic() const;
};

struct SeriesKey {
  std::string model = {}, kernel = {}, variant = {}, case_text = {}, item = {}, phase = {}, metric = {};
  std::optional<std::int64_t> seq = {}, layer = {};
  static SeriesKey of(const Record& row);
  /// What keys are ordered by. (Not by a defaulted three-way comparison: the libc++ of Xcode 15 has none of optionals.)
  auto parts() const { return std::tie(model, kernel, variant, case_text, item, phase, metric, seq, layer); }
  bool operator==(const SeriesKey&) const = default;
  bool operator<(const SeriesKey& other) const { return parts() < other.parts(); }
};

/// All values of one metric of one thing.
struct Series {
  /// Values that one process wrote one after the other.
  struct Part {
    std::string run_id;
    std::int64_t proc = 0;
    std::size_t first = 0;  // place in `values`
  };

  std::string unit;
  std::vector<double> values;
  std::vector<std::int64_t> steps;  // of a training, one per value; empty when the rows have none
  std::vector<Part> parts;          // in the order of `values`
  std::string text;                 // of the last row that had one
  Status status = Status::ok;
  std::string reason;          // of the first row that was not ok
  std::int64_t first_row = 0;  // where it first appeared: tables keep the order of the files
  std::int64_t group_row = 0;  // where the first series of its model and kernel did

  double median() const;  // throws std::logic_error when there is no value
  /// (75th − 25th percentile) / median; 0 for fewer than four values.
  double relative_iqr() const;
};

/// The series of one setting.
class SeriesMap {
  using Map = std::map<SeriesKey, Series>;

 public:
  using Entry = Map::value_type;

  SeriesMap() = default;
  SeriesMap(const SeriesMap& other) : map_(other.map_) {}  // the order is of pointers into the map
  SeriesMap(SeriesMap&&) noexcept = default;
  SeriesMap& operator=(SeriesMap other) noexcept {
    map_.swap(other.map_);
    ordered_.swap(other.ordered_);
    return *this;
  }

  auto begin() const { return map_.begin(); }
  auto end() const { return map_.end(); }
  auto find(const SeriesKey& key) const { return map_.find(key); }
  std::size_t size() const { return map_.size(); }
  auto try_emplace(const SeriesKey& key) {
    ordered_.clear();
    return map_.try_emplace(key);
  }
  /// In the order of the files, but the rows of one kernel together: benchmarks may run interleaved at random. Sorted
  /// once, at the first call: every table begins with it. Not for several threads.
  const std::vector<const Entry*>& ordered() const;

 private:
  Map map_;
  mutable std::vector<const Entry*> ordered_;
};

/// One process of a run, from the rows it writes about itself.
struct Process {
  std::string run_id = {}, command = {}, reason = {};
  std::int64_t proc = 0;
  std::optional<std::int64_t> planned = {}, done = {}, threads = {};
  bool finished() const { return done && planned && *done == *planned; }
};

/// A step of run_all.sh.
struct Step {
  std::string name, result, seconds, note;  // result: ok, failed, skipped
};

/// A file that could not be read, or not to its end: the rows before the place are in the set.
struct Problem {
  std::string file, what;
};

struct ResultSet {
  std::vector<std::string> files;         // read, by name without folders
  std::vector<std::string> environments;  // JSON texts of environment.json files
  std::vector<Step> steps;
  std::vector<Process> processes;
  std::vector<Problem> problems;
  std::map<Setting, SeriesMap> settings;
  std::string began;  // the earliest time of a row
  std::int64_t rows = 0;

  void add(const Record& row);

  ResultSet() = default;
  ResultSet(ResultSet&&) noexcept = default;  // what is kept of the last row points into the maps
  ResultSet& operator=(ResultSet&&) noexcept = default;

 private:
  bool continues_last(const Record& row) const;

  std::map<std::tuple<const void*, std::string, std::string>, std::int64_t> groups_;
  // Most rows are a further value of the series of the row before them: they need no look-up.
  const Setting* last_setting_ = nullptr;
  const SeriesKey* last_key_ = nullptr;
  Series* last_series_ = nullptr;
};

/// What a path of results stands for: the file itself, or a folder's results.csv, else every result file of the folder,
/// finished or not. Error: a folder without any.
std::vector<std::filesystem::path> result_files(const std::filesystem::path& path);

/// Folders (their results.csv, or, when a run was killed, the parts it left) and result files. What cannot be read
/// (another schema, no result file, a line that is cut) is a problem of the set; an error when no row at all can be.
ResultSet read_result_set(const std::vector<std::filesystem::path>& results);

}  // namespace aneval::reports
