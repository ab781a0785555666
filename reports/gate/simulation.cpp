#include "reports/gate/simulation.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "common/random.h"
#include "common/statistics.h"

namespace aneval::gate {
namespace {

double spike(const Spikes& spikes, Random& random) {
  if (spikes.probability == 0 || random.uniform() >= spikes.probability) return 0;
  return std::log1p(spikes.low + (spikes.high - spikes.low) * random.uniform());
}

double student_t3(Random& random) {
  double chi = 0;
  const double z = random.normal();
  for (int i = 0; i < 3; ++i) {
    const double x = random.normal();
    chi += x * x;
  }
  return z / std::sqrt(chi / 3);
}

/// One machine: what it does to all metrics drifts on from process to process.
class Machine {
 public:
  Machine(const Scenario& scenario, const Protocol& protocol, Random& random)
      : scenario_(scenario),
        protocol_(protocol),
        random_(random),
        sensitivity_(protocol.metrics + protocol.controls, 1) {
    if (scenario.unevenness > 0)
      for (double& s : sensitivity_) s = 1 + scenario.unevenness * (2 * random_.uniform() - 1);
  }

  /// The values of one process, appended as one process, or as many as it has repetitions.
  void run(const std::vector<double>& levels, const std::vector<std::size_t>& measured,
           std::vector<std::vector<double>>& processes) {
    session_ += scenario_.walk_sd * random_.normal();
    const std::size_t rows = protocol_.raw_samples ? protocol_.repetitions : 1;
    const std::size_t first = processes.size();
    processes.resize(first + rows, std::vector<double>(levels.size(), std::nan("")));
    std::vector<double> samples(protocol_.repetitions);
    for (const std::size_t m : measured) {
      const double process = levels[m] + session_ * sensitivity_[m] + process_effect();
      for (double& sample : samples)
        sample = process + scenario_.sample_sd * random_.normal() + spike(scenario_.sample_spikes, random_);
      if (protocol_.raw_samples)
        for (std::size_t i = 0; i < rows; ++i) processes[first + i][m] = samples[i];
      else
        processes[first][m] = median(samples);
    }
  }

 private:
  double process_effect() {
    double effect = scenario_.process_sd * random_.normal() + spike(scenario_.process_spikes, random_);
    if (scenario_.process_t3 > 0) effect += scenario_.process_t3 * student_t3(random_);
    if (scenario_.mode_probability > 0 && random_.uniform() < scenario_.mode_probability)
      effect += std::log1p(scenario_.mode);
    return effect;
  }

  const Scenario& scenario_;
  const Protocol& protocol_;
  Random& random_;
  std::vector<double> sensitivity_;
  double session_ = 0;
};

/// Metrics first, controls behind them.
Metrics metrics_of(const Scenario& scenario, const Protocol& protocol) {
  Metrics metrics;
  for (std::size_t m = 0; m < protocol.metrics; ++m) metrics.subjects.push_back(m);
  for (std::size_t c = 0; c < protocol.controls; ++c) metrics.controls.push_back(protocol.metrics + c);
  metrics.tolerances.assign(protocol.metrics + protocol.controls, scenario.tolerance);
  if (protocol.keep_common_mode) metrics.controls.clear();
  return metrics;
}

std::vector<double> slowed(const Protocol& protocol, Injected injected) {
  std::vector<double> levels(protocol.metrics + protocol.controls, 0.0);
  std::fill_n(levels.begin(), injected.changed, std::log1p(injected.slowdown));
  return levels;
}

Processes measure(Machine& machine, const Protocol& protocol, Injected injected,
                  const std::vector<std::size_t>& measured, std::size_t blocks, Random& random) {
  const std::vector<double> a = slowed(protocol, {}), b = slowed(protocol, injected);
  Processes processes;
  if (protocol.sequential) {
    for (std::size_t i = 0; i < blocks; ++i) machine.run(a, measured, processes.a);
    for (std::size_t i = 0; i < blocks; ++i) machine.run(b, measured, processes.b);
    return processes;
  }
  for (std::size_t i = 0; i < blocks; ++i) {
    const bool a_first = random.below(2) == 0;
    if (a_first) machine.run(a, measured, processes.a);
    machine.run(b, measured, processes.b);
    if (!a_first) machine.run(a, measured, processes.a);
  }
  return processes;
}

void tally(const Confirmed& confirmed, Injected injected, Rates& rates) {
  bool false_alarm = false;
  for (std::size_t m = 0; m < confirmed.slower.size(); ++m) {
    if (m < injected.changed)
      rates.found += confirmed.slower[m];
    else
      false_alarm = false_alarm || confirmed.slower[m];
  }
  ++rates.runs;
  rates.to_find += injected.changed;
  rates.suite_alarms += confirmed.suite_slower;
  rates.runs_with_false_alarm += false_alarm || (injected.changed == 0 && confirmed.suite_slower);
}

std::vector<std::size_t> everything(const Protocol& protocol) {
  std::vector<std::size_t> all(protocol.metrics + protocol.controls);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

}  // namespace

const std::vector<Scenario>& scenarios() {
  static const std::vector<Scenario> all = {
      // name, process: sd, t3, mode, spikes; samples: sd, spikes; walk; unevenness; tolerance
      {"quiet", .003, 0, 0, 0, {}, .005, {}, 0},
      {"heavy", .003, .006, 0, 0, {.02, .05, .30}, .01, {.03, .20, 1.0}, .01},
      {"bimodal", .004, 0, .25, .06, {}, .007, {.02, .20, .60}, .005},
      {"noisy", .01, .012, .10, .10, {.05, .05, .40}, .02, {.05, .20, 1.0}, .02},
      {"drift", .004, 0, 0, 0, {}, .006, {.01, .20, .50}, .03},
      {"ane_large", .009, .003, .05, .03, {.01, .05, .30}, .008, {.02, .10, .60}, .005},
      {"ane_small", .04, .02, .10, .25, {.03, .50, 2.0}, .05, {.05, .30, 2.0}, .02, 0, .10},
      // Not every kernel feels a warm machine alike, and controls remove only what is common.
      {"uneven", .004, 0, 0, 0, {}, .006, {.01, .20, .50}, .03, .8}};
  return all;
}

const Scenario& find_scenario(std::string_view name) {
  for (const Scenario& scenario : scenarios())
    if (scenario.name == name) return scenario;
  throw std::logic_error("no scenario " + std::string(name));
}

Rates simulate(const Scenario& scenario, const Protocol& protocol, Injected injected, std::size_t runs,
               std::uint64_t seed, RankSum& ranks, const Thresholds& t) {
  const Metrics metrics = metrics_of(scenario, protocol);
  Random random(seed, scenario.name);
  Rates rates;
  for (std::size_t run = 0; run < runs; ++run) {
    Machine machine(scenario, protocol, random);
    const FirstStage first = first_stage(
        measure(machine, protocol, injected, everything(protocol), static_cast<std::size_t>(t.blocks), random), metrics,
        ranks, t);
    std::vector<std::size_t> measured = first.suspects();
    rates.suspects += static_cast<double>(measured.size()) / static_cast<double>(runs);
    Confirmed confirmed;
    if (measured.empty()) {
      confirmed.slower.resize(metrics.tolerances.size());
    } else {
      for (std::size_t c = 0; c < protocol.controls; ++c) measured.push_back(protocol.metrics + c);
      confirmed = second_stage(
          measure(machine, protocol, injected, measured, static_cast<std::size_t>(t.confirm_blocks), random), metrics,
          first, ranks, t);
    }
    tally(confirmed, injected, rates);
  }
  return rates;
}

Rates simulate_single(const Scenario& scenario, const Protocol& protocol, Injected injected, std::size_t blocks,
                      std::size_t runs, std::uint64_t seed, RankSum& ranks, const Thresholds& t) {
  const Metrics metrics = metrics_of(scenario, protocol);
  Random random(seed, scenario.name);
  Rates rates;
  for (std::size_t run = 0; run < runs; ++run) {
    Machine machine(scenario, protocol, random);
    tally(single_stage(measure(machine, protocol, injected, everything(protocol), blocks, random), metrics, ranks, t),
          injected, rates);
  }
  return rates;
}

double upper_bound(std::size_t k, std::size_t n, double confidence) {
  // The p for which P(X <= k) = 1 - confidence, by bisection; terms of the sum by logarithms.
  const auto at_most_k = [&](double p) {
    double sum = 0, log_term = static_cast<double>(n) * std::log1p(-p);
    for (std::size_t i = 0; i <= k; ++i) {
      sum += std::exp(log_term);
      log_term += std::log(static_cast<double>(n - i) / static_cast<double>(i + 1)) + std::log(p) - std::log1p(-p);
    }
    return sum;
  };
  if (k >= n) return 1;
  double low = 0, high = 1;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (at_most_k(middle) > 1 - confidence ? low : high) = middle;
  }
  return high;
}

}  // namespace aneval::gate
