// An outcome on a terminal.
#include <fmt/format.h>

#include <array>

#include "reports/gate/render.h"
#include "reports/gate/render_parts.h"

namespace aneval::gate {
namespace {

constexpr std::size_t kMostRows = 40;
constexpr std::size_t kMostWarnings = 12;
constexpr std::size_t kColumns = 118;

bool worth_reading(const Finding& f) { return f.verdict != Verdict::unchanged; }

/// "3.06 ms -> 3.20 ms  +4.6 % (+3.1 % … +6.0 %)  p 1.2e-05".
std::string numbers(const Finding& f) {
  std::string text = base_value(f) + " -> " + new_value(f);
  if (f.change) text += "  " + signed_percent(f.change);
  if (f.low && f.high) text += " (" + interval(f) + ")";
  if (f.p) text += "  p " + p_value(f);
  if (f.verdict == Verdict::inconclusive && f.detectable) text += "  detectable: " + detectable(f);
  return text;
}

void add_finding(std::string& out, const Finding& f) {
  out += fmt::format("{}\n", cut(fmt::format("{:<22} {}", verdict_text(f), plain(f.name())), kColumns));
  out += fmt::format("    {}\n", cut(numbers(f), kColumns));
  if (const std::string said = remark(f); !said.empty()) out += fmt::format("    {}\n", cut(said, kColumns));
}

}  // namespace

std::string to_console(const Outcome& outcome, bool strict) {
  std::string out;
  for (const auto& [name, value] : outcome.facts) out += fmt::format("{:<14} {}\n", plain(name), plain(value));
  for (std::size_t i = 0; i < outcome.warnings.size() && i < kMostWarnings; ++i)
    out += "warning: " + plain(outcome.warnings[i]) + '\n';
  if (outcome.warnings.size() > kMostWarnings)
    out += fmt::format("-- {} more warnings\n", outcome.warnings.size() - kMostWarnings);
  for (const std::string& refusal : outcome.refusals) out += "refused: " + plain(refusal) + '\n';
  std::size_t shown = 0;
  std::array<std::size_t, 9> left{};
  for (const Finding* f : worst_first(outcome)) {
    if (worth_reading(*f) && shown < kMostRows)
      add_finding(out, *f), ++shown;
    else if (worth_reading(*f))
      ++left.at(static_cast<std::size_t>(f->verdict));
  }
  std::string more;
  for (std::size_t v = 0; v < left.size(); ++v)
    if (left[v] > 0)
      more += fmt::format("{}{} {}", more.empty() ? "" : ", ", left[v], verdict_name(static_cast<Verdict>(v)));
  if (!more.empty()) out += fmt::format("-- and {}: gate.csv (--out DIR) has them all\n", more);
  return out + plain(headline(outcome, strict)) + '\n';
}

}  // namespace aneval::gate
