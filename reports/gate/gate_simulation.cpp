// The long simulation of the gate: every scenario with 1500 runs in which nothing changed, and what it finds of
// slowdowns. Prints a table and ends with 1 when a target is missed. Not part of ctest, which runs a shorter one.
#include <fmt/format.h>

#include <cstdlib>
#include <optional>

#include "common/stopwatch.h"
#include "reports/gate/simulation.h"

namespace {

using namespace aneval::gate;

constexpr std::uint64_t kSeed = 1;
constexpr std::size_t kChanged = 3;  // of 200
constexpr double kFalseAlarms = 0.01;

/// What must be reached, per scenario, for slowdowns of 5, 10 and 20 %.
struct Target {
  std::string_view scenario;
  std::optional<double> five, ten, twenty;
};
constexpr Target kTargets[] = {{"quiet", .95, {}, {}},    {"heavy", .95, {}, {}}, {"bimodal", {}, .95, {}},
                               {"noisy", {}, .6, {}},     {"drift", .95, {}, {}}, {"ane_large", .95, {}, {}},
                               {"ane_small", {}, {}, .55}};

}  // namespace

int main(int argc, char** argv) {
  const std::size_t runs = argc > 1 ? static_cast<std::size_t>(std::strtoull(argv[1], nullptr, 10)) : 1500;
  const std::size_t power_runs = std::max<std::size_t>(runs / 5, 1);
  RankSum ranks;
  bool missed = false;
  fmt::print("{} runs without a change, {} per slowdown of {} of 200 metrics, seed {}\n", runs, power_runs, kChanged,
             kSeed);
  fmt::print("{:10} {:>7} {:>7} {:>8} {:>6} {:>6} {:>6} {:>9} {:>7}\n", "scenario", "alarms", "bound", "suspects",
             "+5 %", "+10 %", "+20 %", "all +5 %", "s");
  for (const Scenario& scenario : scenarios()) {
    const auto began = std::chrono::steady_clock::now();
    const Rates none = simulate(scenario, {}, {}, runs, kSeed, ranks);
    double power[3];
    const double slowdowns[3] = {.05, .10, .20};
    for (int i = 0; i < 3; ++i)
      power[i] = simulate(scenario, {}, {kChanged, slowdowns[i]}, power_runs, kSeed + 1, ranks).power();
    const Rates all = simulate(scenario, {}, {200, .05}, std::max<std::size_t>(runs / 15, 1), kSeed + 2, ranks);
    const double bound = upper_bound(none.runs_with_false_alarm, none.runs);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    fmt::print("{:10} {:>7} {:>7.4f} {:>8.1f} {:>6.3f} {:>6.3f} {:>6.3f} {:>9.2f} {:>7.1f}\n", scenario.name,
               none.runs_with_false_alarm, bound, none.suspects, power[0], power[1], power[2],
               static_cast<double>(all.suite_alarms) / static_cast<double>(all.runs), seconds);
    missed = missed || bound > kFalseAlarms;
    for (const Target& target : kTargets)
      if (target.scenario == scenario.name)
        for (const auto& [reached, wanted] :
             {std::pair(power[0], target.five), {power[1], target.ten}, {power[2], target.twenty}})
          missed = missed || (wanted && reached < *wanted);
  }
  fmt::print("{}\n", missed ? "A TARGET IS MISSED" : "all targets reached");
  return missed ? 1 : 0;
}
