#include "reports/gate/outcome.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/names.h"

namespace aneval::gate {
namespace {

bool deterministic(const Finding& f) { return f.kind != Kind::timing; }
bool compared(const Finding& f) {
  return f.verdict == Verdict::regressed || f.verdict == Verdict::improved || f.verdict == Verdict::unchanged ||
         f.verdict == Verdict::inconclusive;
}

/// Entries of a case's text that the columns of its rows, or its model's name, do not say, and that are not what most
/// cases have.
bool tells_apart(const std::string& entry, const reports::SeriesKey& key) {
  static constexpr auto kSaid = std::to_array<std::string_view>({"kernel", "model", "seq", "dim", "hidden", "heads",
                                                                 "kv_heads", "head_dim", "layers", "vocab", "rope_base",
                                                                 "rms_eps", "rope_pairing", "residual_scale", "ratio"});
  static constexpr auto kUsual = std::to_array<std::string_view>({"data=random", "amp=1", "seed=1", "run=device"});
  const std::string_view name = std::string_view(entry).substr(0, entry.find('='));
  return std::find(kSaid.begin(), kSaid.end(), name) == kSaid.end() &&
         std::find(kUsual.begin(), kUsual.end(), entry) == kUsual.end() &&
         (";" + key.variant + ";").find(";" + entry + ";") == std::string::npos;
}

struct Counts {
  std::size_t deterministic = 0, missing = 0, slower = 0, open = 0, compared = 0, advisory = 0, expected = 0;
};

Counts counts_of(const Outcome& outcome) {
  Counts counts;
  for (const Finding& f : outcome.findings) {
    counts.compared += compared(f);
    const bool worse = f.verdict == Verdict::regressed;
    counts.expected += !f.expected.empty();
    counts.advisory += worse && !f.gating && f.expected.empty();
    if (!f.gating) continue;
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
  add(key.kernel);
  if (key.variant != "default") add(key.variant);
  for (const std::string* part : {&key.item, &key.phase, &key.metric}) add(*part);
  for (const std::string& entry : split(key.case_text, ';'))
    if (tells_apart(entry, key)) add(entry);
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
  say(counts.advisory, "slower (advisory)", "slower (advisory)");
  say(counts.expected, "expected change", "expected changes");
  say(outcome.count(Verdict::improved), "improved", "improved");
  say(outcome.count(Verdict::inconclusive), "inconclusive", "inconclusive");
  say(outcome.count(Verdict::added), "new", "new");
  say(outcome.count(Verdict::unchanged), "unchanged", "unchanged");
  const ExitCode code = exit_code(outcome, strict);
  const std::string_view word = code == ExitCode::ok ? "PASSED" : code == ExitCode::refused ? "INCONCLUSIVE" : "FAILED";
  return fmt::format("{}: {}", word, said.empty() ? "nothing to say" : said);
}

}  // namespace aneval::gate
