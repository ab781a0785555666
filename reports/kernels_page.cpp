// One line per kernel with what matters of it: whether it is right, how fast its parts are, how near to the machine's
// roofs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "common/names.h"
#include "reports/cases.h"
#include "reports/format.h"
#include "reports/pages.h"
#include "reports/table_parts.h"

namespace aneval::reports {
namespace {

struct Glance {
  SeriesKey key;  // of the first row
  std::size_t cases = 0;
  Status status = Status::ok;
  const JudgedCase* worst = nullptr;
  double bound_ratio = 0;
  std::optional<double> snr_db = {};
  std::vector<SeriesKey> timed = {};  // its phases
};

using Groups = std::vector<Glance>;

Glance& of(Groups& groups, std::map<std::string, std::size_t>& place, const SeriesKey& key) {
  const auto [at, added] = place.emplace(model_title(key) + "\n" + kernel_title(key), groups.size());
  if (added) groups.push_back({.key = key});
  return groups[at->second];
}

std::string share(double part, double whole) { return part > 0 && whole > 0 ? percent(part / whole) : kNone; }

void add_rows(Table& table, const std::string& name, const Setting& setting, const SeriesMap& series,
              const Groups& groups) {
  const Roofs roofs = roofs_of(series);
  for (const Glance& glance : groups) {
    std::map<std::string, double> ns;
    double staging = 0, tflops = 0;
    for (const SeriesKey& key : glance.timed) {
      if (const Series* time = find(series, key, "time")) ns[key.phase] = time->median();
      if (key.phase == "stage_weights")
        if (const Series* rate = find(series, key, "gb_per_s")) staging = rate->median();
      if (key.phase == "eval")
        if (const Series* rate = find(series, key, "tflops")) tflops = rate->median();
    }
    const auto time = [&](const char* phase) { return ns.contains(phase) ? time_text(ns.at(phase)) : kNone; };
    double run = 0;
    for (const char* phase : {"write_acts", "eval", "read"}) run += ns.contains(phase) ? ns.at(phase) : 0;
    table.rows.push_back({kernel_title(glance.key), model_title(glance.key),
                          glance.cases == 0 ? "not judged" : std::string(status_name(glance.status)),
                          glance.cases == 0 ? kNone : number3(glance.bound_ratio),
                          glance.snr_db ? fmt::format("{:.1f} dB", *glance.snr_db) : kNone, time("stage_weights"),
                          time("write_acts"), time("eval"), time("read"), run > 0 ? time_text(run) : kNone,
                          staging > 0 ? number3(staging) : kNone, share(staging, roofs.bandwidth),
                          tflops > 0 ? number3(tflops) : kNone, share(tflops, roofs.peak), std::to_string(glance.cases),
                          name});
    std::string command;
    if (glance.worst != nullptr) {
      SeriesKey key = glance.worst->key;
      key.phase = "validate";
      command = reproduce_command(setting, series, key);
    } else if (!glance.timed.empty()) {
      command = reproduce_command(setting, series, glance.timed.front());
    }
    table.commands.push_back(std::move(command));
  }
}

}  // namespace

Page kernels_page(const ResultSet& set) {
  Page page{.id = "kernels", .title = "Kernels"};
  page.intro =
      "Verdict and error are of the worst case of each kernel, and the command runs that one again. A run is "
      "writing, evaluation and reading together. Shares are of the memcpy and the fused multiply-adds of the "
      "machine that the rows are from.";
  page.missing = "No kernel was validated or timed: `aneval validate --out FILE`, `aneval bench --out FILE`.";
  Table table{.title = "Kernels at a glance"};
  table.in_markdown = false;
  table.columns = {"kernel",          "model",       "verdict",      "error / bound",
                   "signal to noise", "staging",     "writing",      "eval",
                   "reading",         "run",         "staging GB/s", "of memcpy",
                   "eval TFLOP/s",    "of FMA peak", "cases",        "backend, profile"};
  const std::vector<JudgedCase> cases = judged_cases(set);
  const std::vector<std::string> names = setting_names(set.settings);
  std::size_t at = 0, next = 0;
  for (const auto& [setting, series] : set.settings) {
    Groups groups;
    std::map<std::string, std::size_t> place;
    // What was timed stands first.
    for (const Entry* entry : series.ordered()) {
      const SeriesKey& key = entry->first;
      if (is_kernel_phase(key) && key.metric == "time") of(groups, place, key).timed.push_back(key);
    }
    for (; next < cases.size() && cases[next].setting == at; ++next) {
      const JudgedCase& one = cases[next];
      if (one.key.kernel == "layer") continue;
      Glance& glance = of(groups, place, one.key);
      ++glance.cases;
      const bool worse = is_failure(one.status) && !is_failure(glance.status);
      if (worse || (glance.status == Status::ok && one.status != Status::ok)) glance.status = one.status;
      if (glance.worst == nullptr || worse || (!is_failure(glance.status) && one.bound_ratio > glance.bound_ratio))
        glance.worst = &one;
      glance.bound_ratio = std::max(glance.bound_ratio, one.bound_ratio);
      if (one.snr_db) glance.snr_db = glance.snr_db ? std::min(*glance.snr_db, *one.snr_db) : one.snr_db;
    }
    add_rows(table, names[at], setting, series, groups);
    ++at;
  }
  table.origin = join(names, "; ");
  if (!table.rows.empty()) page.tables.push_back(std::move(table));
  add_setting_tables(page, set, {phase_tables, error_tables});
  return page;
}

}  // namespace aneval::reports
