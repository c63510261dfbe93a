#pragma once

// Cooperative cancellation. Long work looks at its token once per batch; whoever started the work
// cancels it (client gone, time-out, shutdown).

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/error.h"

namespace gantry {

/// Shared flag and deadline. Copies refer to the same state. Thread-safe. A default token never
/// fires by itself.
class CancelToken {
 public:
  CancelToken() : state_(std::make_shared<State>()) {}

  /// Fires when monotonic_ns() passes `deadline_ns`.
  [[nodiscard]] static CancelToken with_deadline(std::int64_t deadline_ns);

  /// A token that fires when this one does, and also when monotonic_ns() passes `deadline_ns`.
  /// Cancelling it leaves this one alone.
  [[nodiscard]] CancelToken narrowed_to(std::int64_t deadline_ns) const;

  void cancel() const { state_->is_cancelled.store(true, std::memory_order_relaxed); }

  [[nodiscard]] bool is_cancelled() const {
    for (const State* state = state_.get(); state != nullptr; state = state->parent.get()) {
      if (state->is_cancelled.load(std::memory_order_relaxed)) return true;
    }
    return false;
  }

  [[nodiscard]] bool is_expired() const;

  [[nodiscard]] std::int64_t deadline_ns() const { return state_->deadline_ns; }

  /// Cancelled or DeadlineExceeded once it has fired, with a neutral message.
  [[nodiscard]] Result<void> check() const;

 private:
  struct State {
    std::atomic<bool> is_cancelled{false};
    std::int64_t deadline_ns = 0;  // 0: none; already the earlier of its own and the parent's
    std::shared_ptr<const State> parent;
  };

  std::shared_ptr<State> state_;
};

}  // namespace gantry
