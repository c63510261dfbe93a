#pragma once

// Hands finished calls to those who may block: stores that sync, queues on disk.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "access/principal.h"
#include "core/ids.h"
#include "core/metrics.h"
#include "core/mutex.h"
#include "core/time.h"
#include "gateway/generation_sink.h"

namespace gantry::gateway {

struct FinishedCall {
  access::OrgId org;
  StackId stack;
  std::shared_ptr<const Generation> generation;
};

/// `take` never blocks. Thread-safe.
class GenerationQueue final : public GenerationSink {
 public:
  struct Options {
    std::size_t calls_max = 10'000;     ///< That wait.
    std::size_t bytes_max = 128 << 20;  ///< Of their contents.
    std::size_t batch_max = 64;         ///< Given to the consumer at once.
    DurationMs gather_for{5};           ///< How long the first of a batch waits for others.
    std::size_t thread_count = 2;       ///< Who consume; they can share a sync.
  };

  /// May block, and is called by several threads at once.
  using Consumer = std::function<void(std::span<const FinishedCall>)>;

  /// What does not fit is counted in gantry_gateway_generations_lost_total. `registry` outlives it.
  GenerationQueue(Consumer consume, core::MetricRegistry& registry, Options options);

  /// Consumes what waits, then returns.
  ~GenerationQueue() override;

  void take(access::OrgId org, StackId stack,
            const std::shared_ptr<const Generation>& generation) override;

 private:
  void run();
  [[nodiscard]] bool wait_for_call();
  [[nodiscard]] std::vector<FinishedCall> take_batch();

  const Consumer consume_;
  const Options options_;
  core::Counter& lost_;
  core::Mutex mutex_;
  core::ConditionVariable changed_;
  std::deque<FinishedCall> calls_ GANTRY_GUARDED_BY(mutex_);
  std::size_t bytes_ GANTRY_GUARDED_BY(mutex_) = 0;
  bool is_stopping_ GANTRY_GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace gantry::gateway
