#include "core/worker_pool.h"

#include <atomic>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <pthread.h>

#include "core/mutex.h"

namespace gantry::core {

struct WorkerPool::Impl {
  explicit Impl(Options given) : options(std::move(given)) {}

  Options options;
  mutable Mutex mutex;
  ConditionVariable has_work;
  std::deque<std::move_only_function<void()>> queue GANTRY_GUARDED_BY(mutex);
  bool is_stopping GANTRY_GUARDED_BY(mutex) = false;
  std::vector<std::thread> threads;

  std::move_only_function<void()> next() GANTRY_EXCLUDES(mutex) {
    Lock lock(mutex);
    while (queue.empty() && !is_stopping) has_work.wait(lock);
    if (queue.empty()) return nullptr;
    auto task = std::move(queue.front());
    queue.pop_front();
    return task;
  }

  void run() {
    while (auto task = next()) task();
  }
};

WorkerPool::WorkerPool(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {
  for (std::size_t i = 0; i < impl_->options.thread_count; ++i) {
    impl_->threads.emplace_back([impl = impl_.get()] { impl->run(); });
    // Linux keeps at most 15 characters.
    const std::string name = impl_->options.name.substr(0, 15);
    pthread_setname_np(impl_->threads.back().native_handle(), name.c_str());
  }
}

WorkerPool::~WorkerPool() {
  {
    const Lock lock(impl_->mutex);
    impl_->is_stopping = true;
  }
  impl_->has_work.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

Result<void> WorkerPool::submit(std::move_only_function<void()> task) {
  {
    const Lock lock(impl_->mutex);
    if (impl_->is_stopping) return fail(Code::Unavailable, "the server is stopping");
    if (impl_->queue.size() >= impl_->options.queue_length_max) {
      return fail(Code::ResourceExhausted,
                  fmt::format("the {} queue is full ({} tasks)", impl_->options.name,
                              impl_->options.queue_length_max));
    }
    impl_->queue.push_back(std::move(task));
  }
  impl_->has_work.notify_one();
  return {};
}

namespace {

/// One parallel_for: workers and the caller draw indices until none is left.
struct Loop {
  std::atomic<std::size_t> next{0};
  std::size_t count = 0;
  const std::function<void(std::size_t)>* body = nullptr;
  Mutex mutex;
  ConditionVariable is_done;
  std::size_t finished GANTRY_GUARDED_BY(mutex) = 0;

  void draw() {
    std::size_t mine = 0;
    for (;;) {
      const std::size_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) break;
      (*body)(index);
      ++mine;
    }
    if (mine == 0) return;
    const Lock lock(mutex);
    finished += mine;
    if (finished == count) is_done.notify_all();
  }

  void wait() {
    Lock lock(mutex);
    while (finished != count) is_done.wait(lock);
  }
};

}  // namespace

void WorkerPool::parallel_for(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (count == 0) return;
  if (count == 1) {
    body(0);
    return;
  }
  // Shared: a queued draw may run after the loop is over, and then finds nothing to do.
  auto loop = std::make_shared<Loop>();
  loop->count = count;
  loop->body = &body;
  const std::size_t helper_count = std::min(count - 1, thread_count());
  for (std::size_t i = 0; i < helper_count; ++i) {
    if (!submit([loop] { loop->draw(); })) break;  // a full queue: the caller does it all
  }
  loop->draw();
  loop->wait();
}

std::size_t WorkerPool::thread_count() const {
  return impl_->options.thread_count;
}

std::size_t WorkerPool::queue_length() const {
  const Lock lock(impl_->mutex);
  return impl_->queue.size();
}

}  // namespace gantry::core
