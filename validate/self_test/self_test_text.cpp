// What a self-test found, for people and as rows.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/vocabulary.h"
#include "validate/self_test/self_test.h"

namespace aneval::validate {
namespace {

std::string number(double value) {
  if (std::isinf(value)) return "∞";
  return value >= 1000 ? fmt::format("{:.0e}", value) : fmt::format("{:.2g}", value);
}

/// The column of a case: its data, and for gradients their scale.
std::string setting(const Case& c) {
  if (c.data == DataKind::exact) return "exact";
  return fmt::format("{:g}{}", c.amplitude, c.gradient == 1.0 ? "" : fmt::format("·{:g}", c.gradient));
}

/// Pads by what is seen, not by bytes: "×", "·", "∞" and "σ" have two or three of them.
std::string padded(std::string text, std::size_t width) {
  const auto seen = static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
  if (seen < width) text.append(width - seen, ' ');
  return text;
}

/// All shapes of one defect, kernel and setting: the one that was found by the least margin, or how far the most
/// visible stays inside the noise.
struct Cell {
  std::int64_t found = 0, missed = 0, unseen = 0;
  const Detection* weakest = nullptr;
  double noise = 0;

  void add(const Detection& d) {
    if (d.missed()) ++missed;
    if (d.flagged) {
      ++found;
      if (weakest == nullptr || d.excess < weakest->excess) weakest = &d;
    } else {
      ++unseen;
      noise = std::max(noise, d.visibility.deviation);
    }
  }

  std::string text() const {
    if (found + unseen == 0) return "";
    if (missed > 0) return fmt::format("MISSED {}", missed);
    if (found == 0) return fmt::format("noise {}σ", number(noise));
    std::string text = weakest->gate;
    if (weakest->excess > 0) text += " ×" + number(weakest->excess);
    if (unseen > 0) text += fmt::format(" {}/{}", found, found + unseen);
    return text;
  }
};

std::string table(const std::vector<Detection>& detections) {
  std::vector<std::string> columns;
  for (const char* known : {"exact", "0.3", "1", "2.5", "0.3·0.001", "1·0.001", "2.5·0.001"})
    columns.emplace_back(known);
  std::vector<std::pair<std::string, std::string>> rows;  // in order of first appearance within the catalogue's order
  std::map<std::pair<std::string, std::string>, std::map<std::string, Cell>> cells;
  for (const Detection& d : detections) {
    const auto row = std::make_pair(d.defect, d.c.kernel);
    if (!cells.contains(row)) rows.push_back(row);
    cells[row][setting(d.c)].add(d);
  }
  const auto place = [](const std::string& defect) {
    const auto& catalogue = defect_catalogue();
    return std::find_if(catalogue.begin(), catalogue.end(), [&](const Defect& d) { return d.name == defect; }) -
           catalogue.begin();
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const auto& a, const auto& b) { return place(a.first) < place(b.first); });
  constexpr std::size_t kName = 25, kKernel = 11, kCell = 19;
  std::string text = padded("defect", kName) + padded("kernel", kKernel);
  for (const std::string& column : columns) text += padded(column == "exact" ? column : "amp " + column, kCell);
  text += "\n";
  std::string last;
  for (const auto& row : rows) {
    text += padded(row.first == last ? "" : row.first, kName) + padded(row.second, kKernel);
    last = row.first;
    for (const std::string& column : columns) {
      const auto found = cells[row].find(column);
      text += padded(found == cells[row].end() ? "–" : found->second.text(), kCell);
    }
    while (text.ends_with(' ')) text.pop_back();
    text += "\n";
  }
  return text;
}

std::string miss_lines(const SelfTestResult& result) {
  std::string text;
  for (const auto* all : {&result.device, &result.program})
    for (const Detection& d : *all)
      if (d.missed())
        text += fmt::format("MISSED {}{}: {} (status {}; Δ/σ {}, rms {}, {} times what must be found, block {})\n",
                            d.defect, all == &result.program ? " in the program that the checker was given" : "",
                            case_text(d.c), status_name(d.status), number(d.visibility.deviation),
                            number(d.visibility.spread), number(d.visibility.ratio), d.visibility.block);
  for (const FalseAlarm& alarm : result.healthy.alarms)
    text += fmt::format("FALSE ALARM profile {} {}: {}\n", alarm.profile, alarm.case_text, alarm.reason);
  return text;
}

std::string gate_counts(const std::vector<Detection>& detections) {
  std::map<std::string, std::int64_t> counts;
  for (const Detection& d : detections)
    if (d.flagged) ++counts[d.gate];
  std::string text;
  for (const auto& [gate, count] : counts) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", gate, count);
  return text;
}

}  // namespace

std::string self_test_text(const SelfTestResult& result) {
  std::string text = fmt::format(
      "Defects committed by a device of profile {}; the gate that flagged it and how many times its limit was reached, "
      "the least of all shapes;\n\"noise\": not flagged, and Δ/σ is below what must be found\n\n",
      result.profile);
  text += table(result.device) + "\n";
  const auto lost =
      std::count_if(result.device.begin(), result.device.end(), [](const Detection& d) { return d.dropped; });
  const auto lucky = std::count_if(result.device.begin(), result.device.end(),
                                   [](const Detection& d) { return d.flagged && !d.detectable; });
  text += fmt::format("flagged by: {}\n", gate_counts(result.device));
  text += fmt::format(
      "flagged although below what must be found: {}; invisible because the accumulator drops the "
      "products in question: {}\n",
      lucky, lost);
  const auto wrong =
      std::count_if(result.program.begin(), result.program.end(), [](const Detection& d) { return d.detectable; });
  const auto named = std::count_if(result.program.begin(), result.program.end(),
                                   [](const Detection& d) { return d.detectable && d.flagged; });
  text += fmt::format("wrong programs given to the checker: {} change a result, the program check found {}\n", wrong,
                      named);
  const HealthyResult& h = result.healthy;
  text += fmt::format("healthy runs: {}; largest e/E {:.3f} ({})\n", h.runs, h.bound_ratio, h.bound_case);
  text += fmt::format("  largest |z|/k {:.3f} ({})\n", h.deviation_ratio, h.deviation_case);
  text += fmt::format("  largest R/limit {:.3f} ({})\n", h.spread_ratio, h.spread_case);
  text += miss_lines(result);
  for (const SeedFinding& finding : result.seed) text += finding.line + "\n";
  text +=
      fmt::format("SELF-TEST {}: {} detectable of {} found, {} inside the noise; {} healthy runs, {} false alarms\n",
                  result.passed() ? "PASSED" : "FAILED", result.detectable(), result.found(), result.inside_the_noise(),
                  h.runs, h.alarms.size());
  return text;
}

std::vector<Record> self_test_rows(const RunContext& run, const SelfTestResult& result) {
  std::vector<Record> rows;
  const auto add = [&](const Detection& d, bool wrong_text) {
    Record row;
    row.run = run;
    row.model = d.c.shape.name;
    row.seq = d.c.shape.seq;
    row.kernel = d.c.kernel;
    row.variant = ane::variant_text(d.c.variant);
    row.case_text = case_text(d.c);
    row.item = d.defect;
    row.phase = wrong_text ? "self_test_program" : "self_test";
    if (d.missed()) {
      row.status = Status::failed;
      row.reason = fmt::format("the defect can be seen there and was not flagged: Δ/σ {}, {} times what must be found",
                               number(d.visibility.deviation), number(d.visibility.ratio));
    }
    rows.push_back(fact(row, "defect_gate", d.flagged ? d.gate : "none"));
    const auto add_number = [&](const char* metric, double value) {
      if (std::isfinite(value)) rows.push_back(fact(row, metric, value));
    };
    if (d.flagged) add_number("defect_excess", d.excess);
    if (wrong_text) return;
    add_number("defect_deviation", d.visibility.deviation);
    add_number("defect_visibility", d.visibility.ratio);
  };
  for (const Detection& d : result.device) add(d, false);
  for (const Detection& d : result.program) add(d, true);
  Record base;
  base.run = run;
  base.phase = "self_test";
  const auto count = [&](const char* metric, double value) { rows.push_back(fact(base, metric, value)); };
  count("defects_detectable", static_cast<double>(result.detectable()));
  count("defects_found", static_cast<double>(result.found()));
  count("defects_in_noise", static_cast<double>(result.inside_the_noise()));
  count("healthy_runs", static_cast<double>(result.healthy.runs));
  Record alarms = fact(base, "false_alarms", static_cast<double>(result.healthy.alarms.size()));
  if (!result.healthy.alarms.empty()) {
    alarms.status = Status::failed;
    alarms.reason = "a healthy run was flagged: profile " + result.healthy.alarms.front().profile + " " +
                    result.healthy.alarms.front().case_text;
  }
  rows.push_back(alarms);
  count("bound_ratio", result.healthy.bound_ratio);
  count("deviation_ratio", result.healthy.deviation_ratio);
  count("spread_ratio", result.healthy.spread_ratio);
  for (const SeedFinding& finding : result.seed) {
    Record row = fact(base, "seed_defect", finding.line);
    row.item = finding.name;
    if (!finding.found) {
      row.status = Status::failed;
      row.reason = finding.line;
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace aneval::validate
