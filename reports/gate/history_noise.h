// Made-up histories, for showing what the judgement of fresh runs is worth. Part of the tests, not of the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "reports/gate/fresh_runs.h"

namespace aneval::gate {

/// Of a run's value: ln(time). All have a spread of about 1 % beside what makes them special.
struct HistoryNoise {
  std::string_view name;
  double sd = 0.01;  // normal
  double t3 = 0;     // scale of Student's t with three degrees of freedom, in its place
  double mode_probability = 0, mode = 0;
  double spike_probability = 0, spike_low = 0, spike_high = 0;
  double correlation = 0;  // of a run with the one before it
};
const std::vector<HistoryNoise>& history_noises();
const HistoryNoise& find_history_noise(std::string_view name);

struct HistoryRates {
  std::size_t runs = 0, runs_with_false_alarm = 0;  // slower or faster, of a metric that did not change
  std::size_t found = 0, to_find = 0;               // changed metrics
  double power() const { return static_cast<double>(found) / static_cast<double>(to_find); }
};

/// Judges `runs` times 200 metrics with 40 runs before the fresh ones; the first `changed` metrics are slower by
/// `slowdown` in the fresh ones.
HistoryRates simulate_history(const HistoryNoise& noise, std::size_t runs, std::size_t changed, double slowdown,
                              std::uint64_t seed, const HistoryOptions& options = {});

}  // namespace aneval::gate
