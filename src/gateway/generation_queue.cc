#include "gateway/generation_queue.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <pthread.h>

namespace gantry::gateway {
namespace {

std::size_t bytes_of(const Generation& generation) {
  return generation.prompt.json.size() + generation.completion.json.size();
}

}  // namespace

GenerationQueue::GenerationQueue(Consumer consume, core::MetricRegistry& registry, Options options)
    : consume_(std::move(consume)),
      options_(options),
      lost_(
          registry.counter("gantry_gateway_generations_lost_total",
                           "Finished calls that no trace was made of, because too many waited.")) {
  for (std::size_t i = 0; i < options_.thread_count; ++i) {
    threads_.emplace_back([this] { run(); });
    pthread_setname_np(threads_.back().native_handle(), "call-traces");
  }
}

GenerationQueue::~GenerationQueue() {
  {
    const core::Lock lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
}

void GenerationQueue::take(access::OrgId org, StackId stack,
                           const std::shared_ptr<const Generation>& generation) {
  const std::size_t bytes = bytes_of(*generation);
  {
    const core::Lock lock(mutex_);
    const bool is_full = calls_.size() >= options_.calls_max || bytes_ + bytes > options_.bytes_max;
    if (is_full) return lost_.add();
    bytes_ += bytes;
    calls_.push_back({.org = org, .stack = stack, .generation = generation});
    // Whoever was woken by the first takes those behind it, too.
    if (calls_.size() != 1 && calls_.size() != options_.batch_max) return;
  }
  changed_.notify_one();
}

/// False: it is over.
bool GenerationQueue::wait_for_call() {
  core::Lock lock(mutex_);
  while (calls_.empty() && !is_stopping_) changed_.wait(lock);
  return !calls_.empty();
}

/// Empty: others took them.
std::vector<FinishedCall> GenerationQueue::take_batch() {
  std::vector<FinishedCall> batch;
  const core::Lock lock(mutex_);
  const std::size_t count = std::min(calls_.size(), options_.batch_max);
  for (std::size_t i = 0; i < count; ++i) {
    bytes_ -= bytes_of(*calls_.front().generation);
    batch.push_back(std::move(calls_.front()));
    calls_.pop_front();
  }
  if (!calls_.empty()) changed_.notify_one();
  return batch;
}

void GenerationQueue::run() {
  while (wait_for_call()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(options_.gather_for.count));
    const std::vector<FinishedCall> batch = take_batch();
    if (!batch.empty()) consume_(batch);
  }
}

}  // namespace gantry::gateway
