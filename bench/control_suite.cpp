// Controls of the regression gate: what the machine does to code that no change of this project touches. A process'
// distance from their usual times is taken off everything that it measured (reports/gate/paired.h). Eight loops of
// different character, so that whatever slows a machine slows the median of them as well.
#include <cstdint>
#include <string>

#include "bench/control_loops.h"
#include "bench/suites.h"
#include "common/error.h"
#include "common/random.h"

namespace aneval::bench {
namespace {

using control::u64;

/// A repetition is long enough for a median, and eight controls stay below a second per process.
constexpr std::int64_t kIterations = 100;

/// A run that must give the same every time.
template <typename Run>
Subject steady(const Run& run, double moved_bytes = 0) {
  const auto expected = run();
  auto got = std::make_shared<std::decay_t<decltype(expected)>>(expected);
  Subject subject;
  subject.run = [run, got] { *got = run(); };
  subject.after = [expected, got] {
    if (*got != expected)
      throw Error(ExitCode::check_failed, "control", "a loop gave another result than before",
                  "this machine's memory or processor is not to be trusted");
  };
  subject.work.moved_bytes = moved_bytes;
  return subject;
}

std::shared_ptr<std::vector<u64>> random_words(std::size_t count) {
  auto words = std::make_shared<std::vector<u64>>(count);
  Random random(1, "control");
  for (u64& word : *words) word = random.bits();
  return words;
}

Subject integer_chain() {
  return steady([] { return control::integer_chain(1, 20'000); });
}

Subject fp64_chain() {
  return steady([] { return control::fp64_chain(1, 20'000); });
}

Subject fp32_throughput() {
  // Factors below 1: the sums stay finite, whatever the number of rounds.
  auto factors = std::make_shared<std::vector<float>>(64);
  for (std::size_t i = 0; i < factors->size(); ++i) (*factors)[i] = 0.5F + static_cast<float>(i) / 256;
  return steady([factors] {
    std::vector<float> sums(64, 1.0F);
    control::fp32_throughput(sums.data(), factors->data(), 10'000);
    return sums;
  });
}

Subject stream(std::size_t words, u64 rounds) {
  const auto from = random_words(words);
  const auto to = std::make_shared<std::vector<u64>>(words);
  return steady(
      [from, to, rounds] {
        control::stream(to->data(), from->data(), from->size(), rounds);
        return to->back();
      },
      16.0 * static_cast<double>(words) * static_cast<double>(rounds));
}

Subject l1_stream() { return stream(1 << 10, 500); }  // 8 KiB to 8 KiB
Subject l2_stream() { return stream(1 << 14, 20); }   // 128 KiB to 128 KiB

/// One part of 64 MiB per run, one after the other, so that no cache has it from the run before.
Subject memory_stream() {
  constexpr std::size_t kPart = 1 << 16, kParts = 128;
  const auto part = random_words(kPart);
  auto words = std::make_shared<std::vector<u64>>();
  words->reserve(kPart * kParts);
  for (std::size_t i = 0; i < kParts; ++i) words->insert(words->end(), part->begin(), part->end());
  auto next = std::make_shared<std::size_t>(0);
  return steady(
      [words, next] {
        const u64* from = words->data() + kPart * (*next)++;
        *next %= kParts;
        return control::sum(from, kPart);
      },
      8.0 * kPart);
}

/// All lines of 1 MiB in one random circle; every run goes round half of it, from the same place.
Subject pointer_chase() {
  constexpr std::int64_t kLines = 1 << 14;
  std::vector<u64> order(kLines);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  Random random(1, "chase");
  for (std::size_t i = order.size() - 1; i > 0; --i)
    std::swap(order[i], order[static_cast<std::size_t>(random.below(static_cast<std::int64_t>(i) + 1))]);
  const auto next = std::make_shared<std::vector<u64>>(order.size() * 8);
  for (std::size_t i = 0; i < order.size(); ++i) (*next)[order[i] * 8] = order[(i + 1) % order.size()];
  return steady([next, start = order[0]] { return control::chase(next->data(), start, kLines / 2); });
}

Subject branches() {
  return steady([] { return control::branches(1, 10'000); });
}

}  // namespace

std::vector<Benchmark> control_suite(const SuiteOptions&) {
  struct Control {
    const char* name;
    Subject (*prepare)();
  };
  constexpr Control kControls[] = {
      {"integer_chain", integer_chain}, {"fp64_chain", fp64_chain}, {"fp32_throughput", fp32_throughput},
      {"l1_stream", l1_stream},         {"l2_stream", l2_stream},   {"memory_stream", memory_stream},
      {"pointer_chase", pointer_chase}, {"branches", branches}};
  std::vector<Benchmark> benchmarks;
  for (const Control& control : kControls) {
    Benchmark benchmark;
    benchmark.name = std::string("control/") + control.name;
    benchmark.row.item = control.name;
    benchmark.row.case_text = "frozen";
    benchmark.row.phase = "control";
    benchmark.on_device = false;
    benchmark.iterations = kIterations;
    benchmark.prepare = control.prepare;
    benchmarks.push_back(std::move(benchmark));
  }
  return benchmarks;
}

}  // namespace aneval::bench
