// Conversions on ordinary memory, and the roofs of this machine that everything else is held against.
#include <cstring>

#include "ane/half.h"
#include "bench/host_peak.h"
#include "bench/suites.h"
#include "common/random.h"

namespace aneval::bench {
namespace {

Benchmark host_benchmark(const std::string& item, const std::string& size, std::string_view phase,
                         std::function<Subject()> prepare) {
  Benchmark benchmark;
  benchmark.name = item + "/" + size;
  benchmark.row.item = item;
  benchmark.row.case_text = size;
  benchmark.row.phase = phase;
  benchmark.on_device = false;
  benchmark.prepare = std::move(prepare);
  return benchmark;
}

struct Buffers {
  std::vector<float> floats;
  std::vector<ane::half_t> halves;
};

std::shared_ptr<Buffers> make_buffers(std::int64_t elements) {
  auto buffers = std::make_shared<Buffers>();
  buffers->floats.resize(static_cast<std::size_t>(elements));
  Random(1, "conversion").fill_normal(buffers->floats, 1.0);
  buffers->halves.resize(buffers->floats.size());
  ane::to_half(buffers->floats.data(), buffers->halves.data(), elements);
  return buffers;
}

/// Enough runs between two clock readings (30 ns each) that these do not show.
std::int64_t batch_for(std::int64_t elements) { return std::max<std::int64_t>(1, (1 << 18) / elements); }

Subject conversion(std::int64_t elements, const std::function<void(Buffers&)>& convert) {
  const auto buffers = make_buffers(elements);
  Subject subject;
  subject.run = [buffers, convert] { convert(*buffers); };
  subject.batch = batch_for(elements);
  subject.work.moved_bytes = 6.0 * static_cast<double>(elements);
  return subject;
}

/// memcpy of `bytes` in all, one part per thread.
Subject copy_memory(std::int64_t bytes, ThreadPool* pool) {
  auto source = std::make_shared<std::vector<char>>(static_cast<std::size_t>(bytes), 'a');
  auto target = std::make_shared<std::vector<char>>(source->size(), 'b');
  const std::int64_t threads = pool != nullptr ? pool->threads() : 1;
  Subject subject;
  subject.run = [source, target, pool, bytes, threads] {
    parallel_for(pool, bytes, (bytes + threads - 1) / threads, [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(target->data() + begin, source->data() + begin, static_cast<std::size_t>(end - begin));
    });
  };
  subject.batch = std::max<std::int64_t>(1, (1 << 20) / bytes);
  subject.work.moved_bytes = 2.0 * static_cast<double>(bytes);
  return subject;
}

Subject multiply_add(ThreadPool* pool) {
  constexpr std::int64_t kRounds = 1 << 16;  // about 0.1 ms
  const std::int64_t threads = pool != nullptr ? pool->threads() : 1;
  Subject subject;
  subject.run = [pool, threads] {
    parallel_for(pool, threads, 1, [](std::int64_t, std::int64_t) { multiply_add_chains(kRounds); });
  };
  subject.work.flops = multiply_add_chains(kRounds) * static_cast<double>(threads);
  return subject;
}

}  // namespace

std::vector<Benchmark> conversion_suite(const SuiteOptions& options) {
  // In the second-level cache, in the last level of most machines, and beyond it.
  std::vector<std::int64_t> sizes = {1 << 15, 1 << 20, 1 << 24};
  if (options.extent == validate::Extent::full) sizes = {1 << 12, 1 << 15, 1 << 18, 1 << 20, 1 << 22, 1 << 24};
  std::vector<Benchmark> benchmarks;
  for (const std::int64_t n : sizes) {
    const std::string size = "elements=" + std::to_string(n);
    const auto add = [&](const char* item, std::function<void(Buffers&)> convert) {
      benchmarks.push_back(
          host_benchmark(item, size, "convert", [n, convert = std::move(convert)] { return conversion(n, convert); }));
    };
    add("to_half", [n](Buffers& b) { ane::to_half(b.floats.data(), b.halves.data(), n); });
    add("to_float", [n](Buffers& b) { ane::to_float(b.halves.data(), b.floats.data(), n); });
    // Rows of 1024, as Wq of the larger preset has them.
    const std::int64_t cols = std::min<std::int64_t>(n / 4, 1024), rows = n / cols;
    add("to_half_transposed", [rows, cols](Buffers& b) {
      ane::to_half_transposed({b.floats.data(), rows, cols, cols}, {b.halves.data(), rows});
    });
  }
  return benchmarks;
}

std::vector<Benchmark> host_suite(const SuiteOptions& options) {
  std::vector<Benchmark> benchmarks;
  ThreadPool* pool = options.cases ? options.cases->options().pool : nullptr;
  const int threads = pool != nullptr ? pool->threads() : 1;
  for (const int n : {1, threads}) {
    if (n == 1 && !benchmarks.empty()) break;  // a single thread is all there is
    ThreadPool* used = n == 1 ? nullptr : pool;
    const std::string suffix = ";threads=" + std::to_string(n);
    for (const std::int64_t bytes : {std::int64_t{1} << 17, std::int64_t{1} << 26})
      benchmarks.push_back(host_benchmark("memcpy", "bytes=" + std::to_string(bytes) + suffix, "host",
                                          [bytes, used] { return copy_memory(bytes, used); }));
    benchmarks.push_back(host_benchmark("fma_peak", suffix.substr(1), "host", [used] { return multiply_add(used); }));
    benchmarks.back().version = 2;  // 1 could be compiled away
  }
  return benchmarks;
}

}  // namespace aneval::bench
