// One line per thing that was measured, its metrics side by side: for spreadsheets.
#include <fmt/format.h>

#include <map>

#include "common/csv.h"
#include "common/names.h"
#include "reports/exports.h"

namespace aneval::reports {
namespace {

/// A field of text: quoted where it must be, and never a formula to a spreadsheet.
std::string text_field(std::string text) {
  if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos) text.insert(0, "'");
  std::string field;
  append_csv_field(field, text);
  return field;
}

std::string number_field(const std::optional<std::int64_t>& number) {
  return number ? std::to_string(*number) : std::string();
}

/// One thing that was measured, with its metrics.
struct Line {
  const Setting* setting = nullptr;
  SeriesKey key;
  Status status = Status::ok;
  std::string reason;
  std::size_t samples = 0;
  std::map<std::string, std::string> cells;
};

}  // namespace

std::string to_wide_csv(const ResultSet& set) {
  std::map<std::string, std::string> columns;  // metric -> title with its unit
  std::vector<Line> lines;
  for (const auto& [setting, series] : set.settings) {
    std::map<SeriesKey, std::size_t> place;
    for (const auto* entry : series.ordered()) {
      const auto& [key, values] = *entry;
      SeriesKey thing = key;
      thing.metric.clear();
      const auto [at, added] = place.try_emplace(thing, lines.size());
      if (added) lines.push_back({&setting, thing, Status::ok, {}, 0, {}});
      Line& line = lines[at->second];
      line.samples = std::max(line.samples, values.values.size());
      if (values.status != Status::ok && line.status == Status::ok) {
        line.status = values.status;
        line.reason = values.reason;
      }
      if (values.values.empty() && values.text.empty()) continue;
      columns[key.metric] =
          values.unit.empty() || values.unit == "1" ? key.metric : key.metric + " (" + values.unit + ")";
      line.cells[key.metric] = values.values.empty() ? text_field(values.text) : number_text(values.median());
    }
  }
  std::string out =
      "backend,profile,chip,os,build,commit,machine,model,seq,layer,kernel,variant,case,item,phase,status,reason,"
      "samples";
  for (const auto& [metric, title] : columns) out += ',' + text_field(title);
  out += '\n';
  for (const Line& line : lines) {
    const Setting& s = *line.setting;
    const SeriesKey& k = line.key;
    for (const std::string& text : {s.backend, s.profile, s.chip, s.os, s.build, s.commit, s.machine, k.model})
      out += text_field(text) + ',';
    out += number_field(k.seq) + ',' + number_field(k.layer);
    for (const std::string& text :
         {k.kernel, k.variant, k.case_text, k.item, k.phase, std::string(status_name(line.status)), line.reason})
      out += ',' + text_field(text);
    out += ',' + std::to_string(line.samples);
    for (const auto& [metric, title] : columns) {
      const auto cell = line.cells.find(metric);
      out += ',' + (cell == line.cells.end() ? std::string() : cell->second);
    }
    out += '\n';
  }
  return out;
}

}  // namespace aneval::reports
