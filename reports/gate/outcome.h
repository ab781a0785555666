// What a comparison found: one finding per metric, and what they mean together. Every mode of `aneval compare` fills an
// Outcome in, every renderer reads one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/error.h"
#include "reports/result_set.h"

namespace aneval::gate {

enum class Verdict {
  regressed,
  improved,
  unchanged,       // a slowdown of the metric's tolerance is excluded
  inconclusive,    // neither: `detectable` says what would have been found
  added,           // only the new side has it
  removed,         // only the base has it
  error,           // measured on one side, failed on the other; or values that no time can have
  not_comparable,  // the benchmark itself was changed
  refused          // the environment changed under it
};
std::string_view verdict_name(Verdict verdict);  // "REGRESSED"; added is "NEW"

/// How a metric is judged.
enum class Kind {
  timing,     // by statistics over processes
  exact,      // integers and hashes, equal or not
  tolerance,  // fp16 errors, against the contract and the base
  contract    // whether the case held at all: a row's status
};
std::string_view kind_name(Kind kind);

struct Finding {
  reports::SeriesKey key;
  std::string benchmark = {};  // the name of the benchmark that times it
  Kind kind = Kind::timing;
  Verdict verdict = Verdict::unchanged;
  bool gating = true;  // else it is shown and fails nothing: advisory, a negative control, acknowledged
  std::string unit = {};
  std::optional<double> base = {}, now = {};
  std::string base_text = {}, now_text = {};               // of hashes
  std::optional<double> change = {}, low = {}, high = {};  // relative (0.05: 5 % slower), and its interval
  std::optional<double> p = {};                            // one-sided, of the verdict's test
  std::optional<double> detectable = {};  // the smallest relative slowdown that this run finds with 90 %
  double tolerance = 0;                   // relative
  std::string note = {};
  std::string expected = {};  // the reason that --changes gives for it; then it does not gate

  /// "Qwen3-0.6B seq 256 woFwd eval time": what tables and test reports call it. What else tells cases apart follows:
  /// "… woFwd y max_abs data=sinks".
  std::string name() const;
};

struct Outcome {
  std::string mode;                                        // "A/B", "two files", "history"
  std::vector<std::pair<std::string, std::string>> facts;  // what was compared, how, with what seed
  std::vector<std::string> warnings;
  std::vector<std::string> refusals;  // why the comparison says nothing: exit code 3
  std::vector<Finding> findings;

  std::size_t count(Verdict verdict) const;
};

/// The first that applies: refused (3), a deterministic metric got worse (5), benchmarks missing or failed, or nothing
/// compared (4), regressed (1), ok. `strict`: inconclusive timings that gate are a refusal as well.
ExitCode exit_code(const Outcome& outcome, bool strict);

/// One sentence: how many of what, the worst first.
std::string headline(const Outcome& outcome, bool strict);

}  // namespace aneval::gate
