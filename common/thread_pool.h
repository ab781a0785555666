// The project's own threads. Eigen stays single-threaded (EIGEN_DONT_PARALLELIZE): Apple clang has no OpenMP, and
// libgomp gives ThreadSanitizer false alarms.
#pragma once

#include <cstdint>
#include <memory>

#include "common/function_ref.h"

namespace aneval {

/// body(begin, end)
using ParallelBody = FunctionRef<void(std::int64_t, std::int64_t)>;

/// `threads - 1` workers and the calling thread. Work is handed out in chunks of fixed size, so that what a chunk
/// computes never depends on how many threads there are.
class ThreadPool {
 public:
  /// 0 means the number of processors.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  /// Calls body(begin, end) for consecutive chunks of [0, n) of `chunk` elements (the last may be shorter), on all
  /// threads, and returns when all are done. The first exception thrown by a body is rethrown here; the remaining
  /// chunks are skipped. Called from within a body it runs on the calling thread.
  void parallel_for(std::int64_t n, std::int64_t chunk, ParallelBody body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// parallel_for on the pool, or on the calling thread when there is none.
void parallel_for(ThreadPool* pool, std::int64_t n, std::int64_t chunk, ParallelBody body);

}  // namespace aneval
