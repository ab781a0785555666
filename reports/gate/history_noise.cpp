#include "reports/gate/history_noise.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "common/random.h"

namespace aneval::gate {
namespace {

constexpr std::size_t kMetrics = 200, kBefore = 40;

double student3(Random& random) {
  double squares = 0;
  for (int i = 0; i < 3; ++i) {
    const double z = random.normal();
    squares += z * z;
  }
  return random.normal() / std::sqrt(squares / 3);
}

std::vector<double> values(const HistoryNoise& noise, std::size_t n, Random& random) {
  std::vector<double> result;
  double own = random.normal();
  for (std::size_t i = 0; i < n; ++i) {
    double value = noise.t3 > 0 ? noise.t3 * student3(random) : noise.sd * own;
    own = noise.correlation * own + std::sqrt(1 - noise.correlation * noise.correlation) * random.normal();
    if (random.uniform() < noise.mode_probability) value += std::log1p(noise.mode);
    if (random.uniform() < noise.spike_probability)
      value += std::log1p(noise.spike_low + (noise.spike_high - noise.spike_low) * random.uniform());
    result.push_back(value);
  }
  return result;
}

}  // namespace

const std::vector<HistoryNoise>& history_noises() {
  static const std::vector<HistoryNoise> table = {
      {.name = "gauss"},
      {.name = "t3", .t3 = 0.006},
      {.name = "bimodal", .sd = 0.005, .mode_probability = 0.25, .mode = 0.06},
      {.name = "spiky", .spike_probability = 0.02, .spike_low = 0.2, .spike_high = 1},
      {.name = "ar1", .correlation = 0.7},
  };
  return table;
}

const HistoryNoise& find_history_noise(std::string_view name) {
  for (const HistoryNoise& noise : history_noises())
    if (noise.name == name) return noise;
  throw std::logic_error("no such noise");
}

HistoryRates simulate_history(const HistoryNoise& noise, std::size_t runs, std::size_t changed, double slowdown,
                              std::uint64_t seed, const HistoryOptions& options) {
  Random random(seed, noise.name);
  RankSum ranks;
  HistoryRates rates;
  rates.runs = runs;
  const std::vector<double> tolerances(kMetrics, options.least_change);
  for (std::size_t run = 0; run < runs; ++run) {
    std::vector<FreshRuns> metrics;
    for (std::size_t m = 0; m < kMetrics; ++m) {
      std::vector<double> before = values(noise, kBefore + options.fresh, random);
      std::vector<double> fresh(before.begin() + static_cast<std::ptrdiff_t>(kBefore), before.end());
      before.resize(kBefore);
      if (m < changed)
        for (double& value : fresh) value += std::log1p(slowdown);
      metrics.push_back(compare_fresh(before, fresh, ranks, options));
    }
    const std::vector<Verdict> verdicts = fresh_verdicts(metrics, tolerances, options);
    bool alarm = false;
    for (std::size_t m = 0; m < kMetrics; ++m) {
      const bool slower = verdicts[m] == Verdict::regressed;
      if (m < changed)
        rates.found += slower;
      else
        alarm = alarm || slower || verdicts[m] == Verdict::improved;
    }
    rates.runs_with_false_alarm += alarm;
    rates.to_find += changed;
  }
  return rates;
}

}  // namespace aneval::gate
