#include "reports/gate/outcome.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace aneval::gate {
namespace {

bool deterministic(const Finding& f) { return f.kind != Kind::timing; }
bool compared(const Finding& f) {
  return f.verdict == Verdict::regressed || f.verdict == Verdict::improved || f.verdict == Verdict::unchanged ||
         f.verdict == Verdict::inconclusive;
}

struct Counts {
  std::size_t deterministic = 0, missing = 0, slower = 0, open = 0, compared = 0;
};

Counts counts_of(const Outcome& outcome) {
  Counts counts;
  for (const Finding& f : outcome.findings) {
    counts.compared += compared(f);
    if (!f.gating) continue;
    const bool worse = f.verdict == Verdict::regressed;
    counts.deterministic += worse && deterministic(f);
    counts.slower += worse && !deterministic(f);
    counts.missing += f.verdict == Verdict::removed || f.verdict == Verdict::error;
    counts.open += f.verdict == Verdict::inconclusive;
  }
  return counts;
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  static constexpr std::array<std::string_view, 9> kNames = {
      "REGRESSED", "IMPROVED", "UNCHANGED", "INCONCLUSIVE", "NEW", "REMOVED", "ERROR", "NOT_COMPARABLE", "REFUSED"};
  return kNames.at(static_cast<std::size_t>(verdict));
}

std::string_view kind_name(Kind kind) {
  static constexpr std::array<std::string_view, 4> kNames = {"timing", "exact", "tolerance", "contract"};
  return kNames.at(static_cast<std::size_t>(kind));
}

std::string Finding::name() const {
  std::string text;
  const auto add = [&](std::string_view part) {
    if (part.empty()) return;
    if (!text.empty()) text += ' ';
    text += part;
  };
  add(key.model);
  if (key.seq) add("seq " + std::to_string(*key.seq));
  if (key.layer) add("layer " + std::to_string(*key.layer));
  for (const std::string* part : {&key.kernel, &key.variant, &key.item, &key.phase, &key.metric}) add(*part);
  return text;
}

std::size_t Outcome::count(Verdict verdict) const {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(), [&](const Finding& f) { return f.verdict == verdict; }));
}

ExitCode exit_code(const Outcome& outcome, bool strict) {
  const Counts counts = counts_of(outcome);
  if (!outcome.refusals.empty()) return ExitCode::refused;
  if (strict && counts.open > 0) return ExitCode::refused;
  if (counts.deterministic > 0) return ExitCode::deterministic;
  if (counts.missing > 0 || counts.compared == 0) return ExitCode::missing;
  return counts.slower > 0 ? ExitCode::check_failed : ExitCode::ok;
}

std::string headline(const Outcome& outcome, bool strict) {
  if (!outcome.refusals.empty()) return "REFUSED: " + outcome.refusals.front();
  const Counts counts = counts_of(outcome);
  if (counts.compared == 0) return "FAILED: nothing was compared";
  std::string said;
  const auto say = [&](std::size_t n, std::string_view one, std::string_view many) {
    if (n == 0) return;
    if (!said.empty()) said += ", ";
    said += fmt::format("{} {}", n, n == 1 ? one : many);
  };
  say(counts.deterministic, "deterministic metric worse", "deterministic metrics worse");
  say(counts.missing, "benchmark missing or failed", "benchmarks missing or failed");
  say(counts.slower, "timing slower", "timings slower");
  say(outcome.count(Verdict::improved), "improved", "improved");
  say(outcome.count(Verdict::inconclusive), "inconclusive", "inconclusive");
  say(outcome.count(Verdict::added), "new", "new");
  say(outcome.count(Verdict::unchanged), "unchanged", "unchanged");
  const ExitCode code = exit_code(outcome, strict);
  const std::string_view word = code == ExitCode::ok ? "PASSED" : code == ExitCode::refused ? "INCONCLUSIVE" : "FAILED";
  return fmt::format("{}: {}", word, said.empty() ? "nothing to say" : said);
}

}  // namespace aneval::gate
