// What the judgement of a history is worth: `history_simulation [RUNS]` (1500) simulated runs per kind of noise.
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "reports/gate/history_noise.h"

int main(int argc, char** argv) {
  using namespace aneval::gate;
  const auto runs = static_cast<std::size_t>(argc > 1 ? std::atoi(argv[1]) : 1500);
  fmt::print("{} runs of 200 metrics, 4 fresh against 40; 3 metrics slower\n", runs);
  fmt::print("{:8} {:>17} {:>8} {:>8} {:>8}\n", "noise", "false alarms", "+5 %", "+7 %", "+10 %");
  bool kept = true;
  for (const HistoryNoise& noise : history_noises()) {
    const HistoryRates still = simulate_history(noise, runs, 0, 0, 1);
    const auto power = [&](double slowdown) { return simulate_history(noise, runs / 5 + 1, 3, slowdown, 2).power(); };
    fmt::print("{:8} {:>7} of {:>6} {:8.3f} {:8.3f} {:8.3f}\n", noise.name, still.runs_with_false_alarm, still.runs,
               power(0.05), power(0.07), power(0.10));
    // Poisson: what is exceeded once in twenty times, if 1 % of the runs are wrong.
    const double expected = 0.01 * static_cast<double>(runs);
    kept = kept && static_cast<double>(still.runs_with_false_alarm) <= expected + 1.645 * std::sqrt(expected);
  }
  fmt::print("{}\n", kept ? "false alarms: at most 1 % of the runs" : "TOO MANY FALSE ALARMS");
  return kept ? 0 : 1;
}
