#pragma once

// A fixed pool of threads with a bounded queue, for work that blocks or computes: decoding,
// queries, compression, password hashing.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "core/error.h"

namespace gantry::core {

/// Thread-safe. The destructor finishes what is queued and joins.
class WorkerPool {
 public:
  struct Options {
    std::size_t thread_count = 2;
    std::size_t queue_length_max = 1024;  ///< One more is refused with ResourceExhausted.
    std::string name = "worker";          ///< Thread name, at most 15 characters.
  };

  explicit WorkerPool(Options options);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Queues `task`. Errors: ResourceExhausted (queue full), Unavailable (stopping).
  Result<void> submit(std::move_only_function<void()> task);

  /// Runs body(0..count-1) on the pool and on the calling thread, returns when all are done. Safe
  /// to call from a task of the same pool (the caller takes part, so that it cannot starve). Order
  /// of execution is unspecified.
  void parallel_for(std::size_t count, const std::function<void(std::size_t)>& body);

  [[nodiscard]] std::size_t thread_count() const;
  [[nodiscard]] std::size_t queue_length() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gantry::core
