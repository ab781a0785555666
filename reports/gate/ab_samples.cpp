#include "reports/gate/ab_samples.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/error.h"
#include "common/names.h"
#include "common/result_file.h"
#include "common/statistics.h"
#include "reports/gate/rules.h"

namespace aneval::gate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kThermal = "thermal pressure ";

/// A benchmark while its rows are read.
struct Reading {
  std::vector<double> ns;
  std::string trouble;
  std::string name;  // empty: times of a part of a benchmark, which nobody compares
  std::int64_t version = 1;
};
using Readings = std::map<reports::SeriesKey, Reading>;

reports::SeriesKey times_of(const Record& row) {
  auto key = reports::SeriesKey::of(row);
  key.metric = "time";
  return key;
}

void note_thermal(const Record& row, Measured& measured) {
  const auto at = row.text.find(kThermal);
  if (at == std::string::npos) return;
  const std::string rest = row.text.substr(at + kThermal.size());
  const std::int64_t level = parse_int(rest.substr(0, rest.find(',')), "thermal pressure");
  measured.throttled = measured.throttled || level != 0;
  measured.thermal = std::max(measured.thermal.value_or(level), level);
}

void note_time(const Record& row, Reading& reading) {
  if (row.status != Status::ok) {
    reading.trouble = fmt::format("{}: {}", status_name(row.status), row.reason);
  } else if (!row.value) {
    reading.trouble = "a row without a time";
  } else if (!(*row.value > 0)) {
    reading.trouble = fmt::format("a time of {} ns", number_text(*row.value));
  } else {
    reading.ns.push_back(*row.value);
  }
}

void note_benchmark(const Record& row, Reading& reading) {
  if (!reading.name.empty())
    throw input_error("benchmark " + row.text,
                      reading.name == row.text ? "is named twice" : "has the columns of " + reading.name,
                      "a process measures every benchmark once");
  reading.name = row.text;
  reading.version = static_cast<std::int64_t>(row.value.value_or(0));
}

Sample sample_of(const reports::SeriesKey& key, const Reading& reading) {
  Sample sample{.key = key, .version = reading.version, .trouble = reading.trouble};
  if (!sample.trouble.empty()) return sample;
  if (reading.ns.empty())
    sample.trouble = "no time";
  else
    sample.ns = median(reading.ns);
  return sample;
}

}  // namespace

bool Measured::delivered() const {
  for (const auto& [name, sample] : benchmarks)
    if (sample.trouble.empty()) return true;
  return false;
}

std::string Measured::trouble_of(const std::string& name) const {
  const auto found = benchmarks.find(name);
  if (found != benchmarks.end()) return found->second.trouble;
  return trouble.empty() ? "the process does not mention it" : trouble;
}

Measured read_measured(const fs::path& file, const std::string& ended, SampleMap& facts) {
  Measured measured;
  measured.trouble = ended;
  fs::path partial = file;
  partial += kPartialSuffix;
  const fs::path& there = fs::exists(file) ? file : partial;
  if (!fs::exists(there)) {
    if (ended.empty()) measured.trouble = "it wrote no result file";
    return measured;
  }
  Readings readings;
  std::vector<Record> ruled;
  try {
    visit_results(there, [&](const Record& row) {
      if (row.metric == "power_state") note_thermal(row, measured);
      if (row.metric == "time") note_time(row, readings[times_of(row)]);
      if (row.metric == "benchmark") note_benchmark(row, readings[times_of(row)]);
      if (find_rule(row.metric) != nullptr) ruled.push_back(row);
    });
    for (const auto& [key, reading] : readings) {
      if (reading.name.empty()) continue;
      if (!measured.benchmarks.emplace(reading.name, sample_of(key, reading)).second)
        throw input_error("benchmark " + reading.name, "is named twice", "a process measures every benchmark once");
    }
    for (const Record& row : ruled) facts[reports::SeriesKey::of(row)].add(row);
  } catch (const Error& error) {
    measured.benchmarks.clear();
    measured.trouble = "its result file is unusable: " + error.subject() + ": " + error.reason();
    // Where the file lies is nobody's business.
    if (const auto at = measured.trouble.find(there.string()); at != std::string::npos)
      measured.trouble.replace(at, there.string().size(), there.filename().string());
  }
  return measured;
}

}  // namespace aneval::gate
