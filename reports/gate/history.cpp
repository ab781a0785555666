#include "reports/gate/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>
#include <map>
#include <set>

#include "common/csv.h"
#include "common/error.h"
#include "common/names.h"

namespace aneval::gate {
namespace {

namespace fs = std::filesystem;
using reports::SeriesKey;

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

bool is_series(const SeriesKey& key, const Record& row) {
  return key.case_text == row.case_text && key.metric == row.metric && key.phase == row.phase && key.item == row.item &&
         key.kernel == row.kernel && key.seq == row.seq && key.layer == row.layer && key.variant == row.variant &&
         key.model == row.model;
}

/// The same thing as the benchmark whose row came before?
bool same_thing(const SeriesKey& key, const Record& row) {
  return key.case_text == row.case_text && key.phase == row.phase && key.item == row.item && key.kernel == row.kernel &&
         key.seq == row.seq && key.layer == row.layer && key.variant == row.variant && key.model == row.model;
}

/// Rows of one file, in order, into lanes.
class FileReader {
 public:
  FileReader(History& history, const fs::path& file) : history_(history), file_(file.string()) {
    name_ = file.filename().string();
  }

  void add(const Record& row) {
    ++line_;
    ++history_.rows;
    if (row.kernel.empty() && row.phase.empty()) {
      if (row.item == kHistoryItem && row.metric == "cases_planned") return begin(row);
      if (row.item == kHistoryItem && row.metric == "cases_done") return finish(row);
    }
    if (!open_) throw error("a row outside of a run", "write a history with `aneval compare --history DIR --append`");
    ++seen_;
    if (lane_ == kNone) {
      if (row.phase == "power" && row.metric == "power_state") {
        conditions_.power = chosen_power(row.text);
        return;
      }
      enter_lane();
    }
    if (row.run.run_id != run_.id) throw error("a row of another run", "restore the order of the file");
    put(row);
  }

  void end() {
    if (open_) drop();
  }

 private:
  Error error(std::string reason, std::string remedy) const {
    return input_error(fmt::format("{}:{}", file_, line_), std::move(reason), std::move(remedy));
  }

  void begin(const Record& row) {
    if (open_) drop();
    const auto seconds = seconds_of(row.run.time_utc);
    if (!seconds)
      throw error(fmt::format("time_utc '{}' is no time", row.run.time_utc), "it looks like 2026-11-28T12:01:26Z");
    if (!row.value) throw error("a run without its number of rows", "restore the file, or remove the run's rows");
    run_ = {row.run.run_id, row.run.commit, row.run.time_utc, *seconds, order_++};
    conditions_ = {row.run.machine, row.run.chip, row.run.os, row.run.backend, row.run.profile, row.run.build, {}};
    planned_ = *row.value;
    seen_ = 0;
    lane_ = kNone;
    benchmark_ = {};
    open_ = true;
  }

  void finish(const Record& row) {
    if (!open_ || row.run.run_id != run_.id)
      throw error("the end of a run that did not begin", "restore the order of the file");
    if (row.value != planned_ || static_cast<double>(seen_) != planned_)
      throw error(fmt::format("run {} has {} rows instead of {:g}", run_.id, seen_, planned_),
                  "restore the file, or remove the run's rows");
    if (lane_ == kNone) enter_lane();
    if (!complete_.insert({run_.id, lane_, run_.commit}).second)
      throw error(fmt::format("run {} is there twice", run_.id), "remove one of them");
    open_ = false;
  }

  void enter_lane() {
    auto& lanes = history_.lanes;
    const auto found = std::find_if(lanes.begin(), lanes.end(),
                                    [&](const Lane& l) { return l.file == name_ && l.conditions == conditions_; });
    lane_ = static_cast<std::size_t>(found - lanes.begin());
    if (found == lanes.end()) lanes.push_back({.conditions = conditions_, .file = name_, .runs = {}, .series = {}});
    lanes[lane_].runs.push_back(run_);
    expected_ = 0;
  }

  /// Rows of a run come in the order of the last one: the next series is nearly always the right one.
  HistorySeries& series_of(const Record& row) {
    const bool of_benchmark = !benchmark_.metric.empty() && same_thing(benchmark_, row);
    const std::int64_t version = of_benchmark ? version_ : 1;
    Lane& lane = history_.lanes[lane_];
    if (expected_ < lane.series.size() && lane.series[expected_].version == version &&
        is_series(lane.series[expected_].key, row))
      return lane.series[expected_++];
    const auto [at, added] = places_[lane_].try_emplace({SeriesKey::of(row), version}, lane.series.size());
    if (added) {
      HistorySeries& series = lane.series.emplace_back();
      series.key = at->first.first;
      series.version = version;
      series.unit = row.unit;
      if (of_benchmark) series.benchmark = name_of_benchmark_;
    }
    expected_ = at->second + 1;
    return lane.series[at->second];
  }

  void put(const Record& row) {
    if (row.metric == "benchmark") {
      benchmark_ = SeriesKey::of(row);
      version_ = static_cast<std::int64_t>(row.value.value_or(1));
      name_of_benchmark_ = row.text;
    }
    HistorySeries& series = series_of(row);
    const auto run = static_cast<std::uint32_t>(history_.lanes[lane_].runs.size() - 1);
    if (!series.points.empty() && series.points.back().run == run)
      throw error(
          fmt::format("{} of {} {} {} is there twice in run {}", row.metric, row.model, row.kernel, row.phase, run_.id),
          "remove one of the two rows");
    if (row.metric == "time" && row.value && !(*row.value > 0))
      throw error(fmt::format("a time of {:g} ns", *row.value), "a time is above zero: remove the run's rows");
    series.points.push_back({run, text_place(series, row.text), row.status, row.value});
  }

  static std::uint32_t text_place(HistorySeries& series, const std::string& text) {
    // The last one mostly.
    for (std::size_t i = series.texts.size(); i-- > 0;)
      if (series.texts[i] == text) return static_cast<std::uint32_t>(i);
    series.texts.push_back(text);
    return static_cast<std::uint32_t>(series.texts.size() - 1);
  }

  /// A run that never ended.
  void drop() {
    open_ = false;
    history_.warnings.push_back(
        fmt::format("{}: run {} was cut off while it was written and is left out: append it again", name_, run_.id));
    if (lane_ == kNone) return;
    Lane& lane = history_.lanes[lane_];
    lane.runs.pop_back();
    for (HistorySeries& series : lane.series)
      if (!series.points.empty() && series.points.back().run == lane.runs.size()) series.points.pop_back();
  }

  History& history_;
  std::string file_, name_;
  std::size_t line_ = 1;  // the header's
  std::size_t order_ = 0;
  // the run that is being read
  bool open_ = false;
  HistoryRun run_;
  Conditions conditions_;
  std::size_t lane_ = kNone, seen_ = 0, expected_ = 0;
  double planned_ = 0;
  SeriesKey benchmark_;  // of its last row
  std::int64_t version_ = 1;
  std::string name_of_benchmark_;
  // all of them
  std::map<std::size_t, std::map<std::pair<SeriesKey, std::int64_t>, std::size_t>> places_;
  std::set<std::tuple<std::string, std::size_t, std::string>> complete_;
};

void warn_of_clocks(History& history) {
  for (const Lane& lane : history.lanes)
    for (std::size_t i = 1; i < lane.runs.size(); ++i)
      if (lane.runs[i].seconds < lane.runs[i - 1].seconds)
        history.warnings.push_back(fmt::format("{}: run {} ({}) follows a run of {}: the order is that of appending",
                                               lane.file, lane.runs[i].id, lane.runs[i].time_utc,
                                               lane.runs[i - 1].time_utc));
}

}  // namespace

std::string Conditions::text() const {
  std::vector<std::string> parts;
  for (const std::string* part : {&machine, &chip})
    if (!part->empty()) parts.push_back(*part);
  parts.push_back(profile.empty() ? backend : backend + " " + profile);
  return join(parts, ", ");
}

bool same_stream(const Lane& a, const Lane& b) {
  return a.file == b.file && a.conditions.machine == b.conditions.machine && a.conditions.chip == b.conditions.chip &&
         a.conditions.backend == b.conditions.backend && a.conditions.profile == b.conditions.profile;
}

std::size_t History::runs() const {
  std::size_t count = 0;
  for (const Lane& lane : lanes) count += lane.runs.size();
  return count;
}

bool History::has(const RunContext& run) const {
  for (const Lane& lane : lanes) {
    const Conditions& c = lane.conditions;
    if (c.machine != run.machine || c.chip != run.chip || c.os != run.os || c.backend != run.backend ||
        c.profile != run.profile || c.build != run.build)
      continue;
    for (const HistoryRun& known : lane.runs)
      if (known.id == run.run_id && known.commit == run.commit) return true;
  }
  return false;
}

History read_history(const fs::path& folder) {
  std::error_code failed;
  if (!fs::is_directory(folder, failed))
    throw input_error(folder.string(), "is no folder", "name the folder of a history, or make one with --append");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".csv" && entry.path().filename() != kAcknowledgedFile)
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  History history;
  for (const fs::path& file : files) {
    if (fs::file_size(file) == 0) continue;  // made, and nothing was written yet
    FileReader reader(history, file);
    visit_csv(file, [&](const Record& row) { reader.add(row); }, LastLine::complete);
    reader.end();
    ++history.files;
  }
  warn_of_clocks(history);
  return history;
}

std::string chosen_power(const std::string& power_state) {
  std::vector<std::string> chosen;
  for (const std::string& part : split(power_state, ',')) {
    const std::string word = part.substr(std::min(part.find_first_not_of(' '), part.size()));
    if (word.empty() || word == "unknown" || word.starts_with("thermal pressure") || word.ends_with("degrees"))
      continue;
    chosen.push_back(word);
  }
  return join(chosen, ", ");
}

std::optional<std::int64_t> seconds_of(const std::string& time_utc) {
  // yyyy-mm-ddThh:mm:ssZ
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  if (time_utc.size() != kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i)
    if (kForm[i] == '0' ? time_utc[i] < '0' || time_utc[i] > '9' : time_utc[i] != kForm[i]) return std::nullopt;
  const auto number = [&](std::size_t begin, std::size_t size) {
    int value = 0;
    std::from_chars(time_utc.data() + begin, time_utc.data() + begin + size, value);
    return value;
  };
  using namespace std::chrono;
  const year_month_day date(year(number(0, 4)), month(static_cast<unsigned>(number(5, 2))),
                            day(static_cast<unsigned>(number(8, 2))));
  const int hours = number(11, 2), minutes = number(14, 2), seconds = number(17, 2);
  if (!date.ok() || hours > 23 || minutes > 59 || seconds > 60) return std::nullopt;
  return sys_days(date).time_since_epoch().count() * 86400LL + hours * 3600LL + minutes * 60LL + seconds;
}

}  // namespace aneval::gate
