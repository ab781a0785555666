// Workers sleep on a condition variable; a job lives on the caller's stack and its chunks are taken from one counter.
#include "common/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace aneval {
namespace {

/// True on a thread that runs a body, of whatever pool: a nested parallel_for runs inline there.
thread_local bool inside_body = false;

void run_inline(std::int64_t n, std::int64_t chunk, ParallelBody body) {
  for (std::int64_t begin = 0; begin < n; begin += std::min(chunk, n - begin))
    body(begin, begin + std::min(chunk, n - begin));
}

void check_arguments(std::int64_t n, std::int64_t chunk) {
  if (n < 0 || chunk < 1) throw std::invalid_argument("parallel_for: n must be >= 0 and chunk >= 1");
}

struct Job {
  std::int64_t n, chunk, chunks;
  ParallelBody body;
  std::atomic<std::int64_t> next_chunk{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;

  void run_chunks() {
    inside_body = true;
    for (std::int64_t i; (i = next_chunk.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
      try {
        const std::int64_t begin = i * chunk;
        body(begin, begin + std::min(chunk, n - begin));
      } catch (...) {
        const std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
        next_chunk.store(chunks, std::memory_order_relaxed);
      }
    }
    inside_body = false;
  }
};

}  // namespace

struct ThreadPool::State {
  std::mutex call_mutex;  // one job at a time; callers from several threads queue up here
  std::mutex mutex;       // guards what follows
  std::condition_variable work_ready, workers_left;
  Job* job = nullptr;
  std::uint64_t job_number = 0;
  int workers_inside = 0;
  bool stopping = false;
  std::vector<std::thread> workers;

  ~State() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    work_ready.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  void work() {
    std::uint64_t last_job = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      work_ready.wait(lock, [&] { return stopping || (job && job_number != last_job); });
      if (stopping) return;
      last_job = job_number;
      Job* const current = job;
      ++workers_inside;
      lock.unlock();
      current->run_chunks();
      lock.lock();
      if (--workers_inside == 0) workers_left.notify_one();
    }
  }

  void run(Job& new_job) {
    const std::lock_guard call(call_mutex);
    {
      const std::lock_guard lock(mutex);
      job = &new_job;
      ++job_number;
    }
    work_ready.notify_all();
    new_job.run_chunks();
    // The caller found no chunk left: a worker that has not woken up yet is not needed any more, so only those that
    // entered are waited for.
    std::unique_lock lock(mutex);
    job = nullptr;
    workers_left.wait(lock, [&] { return workers_inside == 0; });
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  if (threads < 0) throw std::invalid_argument("ThreadPool: a negative number of threads");
  if (threads == 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  for (int i = 1; i < threads; ++i) state_->workers.emplace_back([state = state_.get()] { state->work(); });
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::parallel_for(std::int64_t n, std::int64_t chunk, ParallelBody body) {
  check_arguments(n, chunk);
  const std::int64_t chunks = n / chunk + (n % chunk != 0 ? 1 : 0);
  if (chunks <= 1 || inside_body || state_->workers.empty()) return run_inline(n, chunk, body);
  Job job{n, chunk, chunks, body, {}, {}, {}};
  state_->run(job);
  if (job.failure) std::rethrow_exception(job.failure);
}

void parallel_for(ThreadPool* pool, std::int64_t n, std::int64_t chunk, ParallelBody body) {
  if (pool) return pool->parallel_for(n, chunk, body);
  check_arguments(n, chunk);
  run_inline(n, chunk, body);
}

}  // namespace aneval
