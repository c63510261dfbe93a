#include "gateway/live_calls.h"

#include <vector>

#include "gateway/call.h"

namespace gantry::gateway {

bool LiveCalls::add(const std::shared_ptr<Call>& call) {
  const core::Lock lock(mutex_);
  if (is_stopping_) return false;
  calls_.emplace(call.get(), call);
  return true;
}

void LiveCalls::remove(const Call& call) {
  const core::Lock lock(mutex_);
  calls_.erase(&call);
  // Under the lock: whoever waits may destroy this once it has the lock.
  if (calls_.empty()) changed_.notify_all();
}

void LiveCalls::stop() {
  std::vector<std::shared_ptr<Call>> living;
  {
    const core::Lock lock(mutex_);
    is_stopping_ = true;
    for (const auto& [pointer, weak] : calls_) {
      if (auto call = weak.lock()) living.push_back(std::move(call));
    }
  }
  for (const auto& call : living) call->cancel();
  living.clear();
  core::Lock lock(mutex_);
  while (!calls_.empty()) changed_.wait(lock);
}

std::size_t LiveCalls::count() const {
  const core::Lock lock(mutex_);
  return calls_.size();
}

}  // namespace gantry::gateway
