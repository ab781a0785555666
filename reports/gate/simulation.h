// Made-up benchmark runs, for showing what the gate's decisions are worth: how often it raises an alarm when nothing
// changed, and how often it finds what did.
//
//   ln t = session walk (one value for a process) + process effect + sample effect, spikes are ln(1 + U[low, high])
//
// Part of the tests, not of the library.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "reports/gate/paired.h"

namespace aneval::gate {

struct Spikes {
  double probability = 0, low = 0, high = 0;
};

/// A kind of noise. The first seven are calibrated on public runs of one M4 Max, loosely.
struct Scenario {
  std::string_view name;
  double process_sd, process_t3;  // normal, and a scale of Student's t with three degrees of freedom
  double mode_probability, mode;  // a process runs in another mode: memory layout, cluster
  Spikes process_spikes;
  double sample_sd;
  Spikes sample_spikes;
  double walk_sd;         // of the session, per process
  double unevenness = 0;  // metrics feel the session by 1 ± this much
  double tolerance = 0.03;
};
const std::vector<Scenario>& scenarios();
const Scenario& find_scenario(std::string_view name);

/// What a run does. The members below `blocks` are mistakes that a gate must not make: the tests turn red with them.
struct Protocol {
  std::size_t metrics = 200, controls = 8;
  std::size_t repetitions = 5;
  bool raw_samples = false;  // every repetition counts as a process
  bool sequential = false;   // first all processes of A, then all of B
  bool keep_common_mode = false;
};

/// What was done to B: the first `changed` metrics take that much longer, relatively.
struct Injected {
  std::size_t changed = 0;
  double slowdown = 0;
};

/// Many runs of one kind.
struct Rates {
  std::size_t runs = 0;
  std::size_t runs_with_false_alarm = 0;  // a metric that was not changed was flagged
  std::size_t found = 0, to_find = 0;     // changed metrics
  std::size_t suite_alarms = 0;           // the suite was confirmed slower
  double suspects = 0;                    // per run

  double power() const { return static_cast<double>(found) / static_cast<double>(to_find); }
};
/// Two stages, as `compare --ab` does them.
Rates simulate(const Scenario& scenario, const Protocol& protocol, Injected injected, std::size_t runs,
               std::uint64_t seed, RankSum& ranks, const Thresholds& thresholds = {});
/// One stage of so many blocks.
Rates simulate_single(const Scenario& scenario, const Protocol& protocol, Injected injected, std::size_t blocks,
                      std::size_t runs, std::uint64_t seed, RankSum& ranks, const Thresholds& thresholds = {});

/// The largest probability of an event that, with this confidence, is still compatible with having been seen k times in
/// n (Clopper and Pearson 1934).
double upper_bound(std::size_t k, std::size_t n, double confidence = 0.95);

}  // namespace aneval::gate
