#include "bench/ratios.h"

#include <cstring>
#include <iterator>
#include <memory>

namespace aneval::bench {

Benchmark ratio_benchmark(const std::string& name, Yardstick yardstick, std::function<Subject()> prepare) {
  Benchmark benchmark;
  benchmark.name = "ratio/" + name;
  benchmark.row.item = name;
  benchmark.row.case_text = "ratio=" + name;
  benchmark.row.phase = "ratio";
  benchmark.on_device = false;
  benchmark.yardstick = std::move(yardstick);
  benchmark.prepare = std::move(prepare);
  return benchmark;
}

Yardstick at_least(double target, std::string name) { return {std::move(name), Yardstick::Ratio::rate, target}; }

Yardstick at_most(double target, std::string name) { return {std::move(name), Yardstick::Ratio::time, target}; }

Yardstick within(std::string time) { return {std::move(time), Yardstick::Ratio::time, 1.0}; }

Yardstick beside(std::string name, Yardstick::Ratio ratio) { return {std::move(name), ratio, {}}; }

Yardstick in_native_builds(Yardstick yardstick) {
#ifndef ANEVAL_NATIVE_BUILD
  yardstick.target.reset();
#endif
  return yardstick;
}

std::function<void()> rotating_memcpy(std::int64_t bytes, std::int64_t pairs) {
  struct Buffers {
    std::vector<std::vector<char>> from, to;
    std::size_t next = 0;
  };
  auto buffers = std::make_shared<Buffers>();
  for (std::int64_t i = 0; i < pairs; ++i) {
    buffers->from.emplace_back(static_cast<std::size_t>(bytes), 'a');
    buffers->to.emplace_back(static_cast<std::size_t>(bytes), 'b');
  }
  return [buffers] {
    const std::size_t i = buffers->next++ % buffers->from.size();
    std::memcpy(buffers->to[i].data(), buffers->from[i].data(), buffers->from[i].size());
  };
}

std::vector<Benchmark> ratio_suite(const SuiteOptions& options) {
  std::vector<Benchmark> all;
  for (const auto part :
       {staging_ratios, surface_ratios, emulator_ratios, reference_ratios, judge_ratios, overhead_ratios}) {
    std::vector<Benchmark> benchmarks = part(options);
    std::move(benchmarks.begin(), benchmarks.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace aneval::bench
