#include "common/thread_pool.h"

#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

namespace aneval {
namespace {

using namespace std::chrono_literals;
using Chunk = std::pair<std::int64_t, std::int64_t>;

std::set<Chunk> chunks_of(ThreadPool* pool, std::int64_t n, std::int64_t chunk) {
  std::mutex mutex;
  std::multiset<Chunk> seen;
  parallel_for(pool, n, chunk, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    seen.emplace(begin, end);
  });
  const std::set<Chunk> unique(seen.begin(), seen.end());
  EXPECT_EQ(unique.size(), seen.size()) << "a chunk ran twice";
  return unique;
}

TEST(FunctionRef, CallsWhatItRefersToWithItsState) {
  int calls = 0;
  std::array<std::int64_t, 64> large{};  // more than any small-buffer optimisation holds
  large.back() = 7;
  const auto body = [&calls, large](std::int64_t a, std::int64_t b) {
    ++calls;
    return a + b + large.back();
  };
  const FunctionRef<std::int64_t(std::int64_t, std::int64_t)> ref = body;
  EXPECT_EQ(ref(1, 2), 10);
  EXPECT_EQ(calls, 1);
}

TEST(ThreadPool, ChunksAreTheSameForAnyNumberOfThreads) {
  EXPECT_THAT(chunks_of(nullptr, 10, 4), testing::ElementsAre(Chunk(0, 4), Chunk(4, 8), Chunk(8, 10)));
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const std::int64_t n : {0, 1, 7, 64, 1000})
      for (const std::int64_t chunk : {1, 7, 64, 2000})
        EXPECT_EQ(chunks_of(&pool, n, chunk), chunks_of(nullptr, n, chunk));
  }
}

TEST(ThreadPool, ZeroMeansAllProcessors) {
  EXPECT_EQ(ThreadPool(0).threads(), static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  EXPECT_THROW(ThreadPool(-1), std::invalid_argument);
}

TEST(ThreadPool, ThreadsRunAtTheSameTime) {
  ThreadPool pool(3);
  std::mutex mutex;
  std::condition_variable changed;
  int arrived = 0;
  // Each body waits for the two others: one thread after the other would never get there.
  pool.parallel_for(3, 1, [&](std::int64_t, std::int64_t) {
    std::unique_lock lock(mutex);
    ++arrived;
    changed.notify_all();
    EXPECT_TRUE(changed.wait_for(lock, 60s, [&] { return arrived == 3; }));
  });
}

TEST(ThreadPool, FirstExceptionIsRethrownAndTheRestSkipped) {
  for (const int threads : {1, 4}) {
    ThreadPool pool(threads);
    std::atomic<std::int64_t> calls{0};
    const auto body = [&](std::int64_t begin, std::int64_t) {
      ++calls;
      if (begin == 0) throw std::runtime_error("chunk 0");
      std::this_thread::sleep_for(1ms);
    };
    EXPECT_THROW(pool.parallel_for(100'000, 1, body), std::runtime_error);
    EXPECT_LT(calls, 100'000);  // all of them would take more than 20 s
    EXPECT_EQ(chunks_of(&pool, 100, 1).size(), 100u) << "the pool works on after an exception";
  }
}

TEST(ThreadPool, NestedCallsRunOnTheCallingThread) {
  ThreadPool pool(4);
  std::atomic<std::int64_t> calls{0};
  pool.parallel_for(16, 1, [&](std::int64_t, std::int64_t) {
    const auto outer = std::this_thread::get_id();
    pool.parallel_for(8, 1, [&](std::int64_t, std::int64_t) {
      EXPECT_EQ(std::this_thread::get_id(), outer);
      ++calls;
    });
  });
  EXPECT_EQ(calls, 16 * 8);
}

TEST(ThreadPool, SeveralThreadsMayCallIt) {
  ThreadPool pool(3);
  std::atomic<std::int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round)
        pool.parallel_for(100, 3, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 4 * 50 * 100);
}

TEST(ThreadPool, WaitingCostsNoProcessorTime) {
  ThreadPool pool(4);
  chunks_of(&pool, 100, 1);  // all workers have run once
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(300ms);
  pool.parallel_for(2, 1,
                    [](std::int64_t begin, std::int64_t) { std::this_thread::sleep_for(begin == 0 ? 300ms : 1ms); });
  const double busy_s = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(busy_s, 0.15) << "one spinning thread alone would burn 0.3 s";
}

TEST(ThreadPool, RefusesImpossibleArguments) {
  ThreadPool pool(2);
  const auto body = [](std::int64_t, std::int64_t) {};
  EXPECT_THROW(pool.parallel_for(-1, 1, body), std::invalid_argument);
  EXPECT_THROW(pool.parallel_for(1, 0, body), std::invalid_argument);
  EXPECT_THROW(parallel_for(nullptr, 1, 0, body), std::invalid_argument);
}

}  // namespace
}  // namespace aneval
