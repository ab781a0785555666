// Two builds on one machine, run in turns: the only comparison whose times can fail a change (docs/gate.md).
//
//   doctor of both: is the environment the same?        validate of both: deterministic metrics, and what bench trusts
//   first stage: blocks of one process of A and one of B, every benchmark
//   second stage: fresh blocks of what looked suspicious -> findings
//
// Every finished process is a line of OUT/journal.jsonl, and its rows lie in OUT/processes/: findings follow from these
// alone, so that a comparison which was killed goes on where it stopped and decides the same.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "reports/gate/outcome.h"
#include "reports/gate/thresholds.h"

namespace aneval::gate {

struct AbOptions {
  std::filesystem::path a, b;               // executables: the base, and what is judged
  std::filesystem::path out;                // folder, created when missing
  std::vector<std::string> device = {};     // options of `validate` and `bench`: --model, --backend, --seq …
  std::vector<std::string> benchmark = {};  // --benchmark_ flags, which come after this comparison's own
  std::string filter = {};                  // --benchmark_filter; controls are added
  std::string backend = "auto";
  std::optional<std::int64_t> compile_limit = {};  // of a process, as --compile-limit of the caller
  std::uint64_t seed = 1;                          // of the order of everything
  Thresholds thresholds = {};                      // its numbers of blocks and repetitions
  bool resume = false;
  bool timing = true;             // false: one short process each, deterministic metrics only
  bool negative_controls = true;  // when both executables are the same file, its timings are what the machine does
  std::chrono::milliseconds limit = std::chrono::minutes(30);  // of a process; beyond, it is killed
  std::function<int()> interrupted = {};                       // 0, or the signal that ends the comparison early
  std::function<void(const std::string& text)> progress = {};  // told what runs; empty text at the end
};

/// Errors (exit code 2): an executable that does not answer `doctor --json` or lists no benchmarks; a flag that is the
/// comparison's own; a journal of another comparison, or an existing one without `resume`. What goes wrong later is in
/// the outcome: an environment that differs or throttles as a refusal, processes that crash or hang as ERROR of what
/// they did not deliver. Interrupted: a refusal that says so, and everything measured is kept.
Outcome run_ab(const AbOptions& options);

}  // namespace aneval::gate
