#pragma once

// How many calls run at once, at one provider or in all, and who waits for a place. No thread
// waits: whoever gets a place is called back.
//
//   if (auto slot = slots->try_take()) return run(std::move(*slot));
//   if (!slots->wait(this, [self](CallSlots::Slot slot) { self->run(std::move(slot)); })) …  //
//   full … slots->leave(this);  // does not want one any more

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "core/mutex.h"

namespace gantry::gateway {

/// Bounds those who wait, wherever they do. Thread-safe.
class WaitingRoom {
 public:
  explicit WaitingRoom(std::size_t waiting_max) : waiting_max_(waiting_max) {}

  /// False: it is full.
  [[nodiscard]] bool enter();

  void leave() { count_.fetch_sub(1, std::memory_order_relaxed); }

  [[nodiscard]] std::size_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  const std::size_t waiting_max_;
  std::atomic<std::size_t> count_ = 0;  // a bound, which orders nothing else
};

/// Thread-safe. Always owned by a shared_ptr, which its slots share.
class CallSlots : public std::enable_shared_from_this<CallSlots> {
 public:
  /// A place that is taken; given back when it is destroyed.
  class Slot {
   public:
    Slot(Slot&& other) noexcept = default;
    Slot& operator=(Slot&&) = delete;
    ~Slot();

   private:
    friend class CallSlots;

    explicit Slot(std::shared_ptr<CallSlots> slots) : slots_(std::move(slots)) {}

    std::shared_ptr<CallSlots> slots_;  ///< Null once moved from.
  };

  using OnSlot = std::move_only_function<void(Slot)>;

  CallSlots(std::size_t slots_max, std::shared_ptr<WaitingRoom> room)
      : room_(std::move(room)), slots_max_(slots_max) {}

  /// Nothing: all are taken, or others wait already.
  [[nodiscard]] std::optional<Slot> try_take();

  /// Calls back once there is a place, in the order of arrival, perhaps before this returns: on the
  /// thread that gave one back, or on this one. It must not block. False: the waiting room is full,
  /// and nobody will be called. `waiter` waits here once at a time.
  [[nodiscard]] bool wait(const void* waiter, OnSlot on_slot);

  /// Does nothing for one who does not wait (any more): the callback may be on its way.
  void leave(const void* waiter);

  /// Fewer than are taken: none are given until enough came back.
  void set_slots_max(std::size_t slots_max);

 private:
  struct Waiter {
    const void* who = nullptr;
    OnSlot on_slot;
  };

  void give_back();
  void admit_locked() GANTRY_REQUIRES(mutex_);
  void call_back();

  const std::shared_ptr<WaitingRoom> room_;
  core::Mutex mutex_;
  std::size_t slots_max_ GANTRY_GUARDED_BY(mutex_);
  std::size_t taken_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::deque<Waiter> waiters_ GANTRY_GUARDED_BY(mutex_);
  std::deque<OnSlot> admitted_ GANTRY_GUARDED_BY(mutex_);  ///< Their places are taken.
  bool is_calling_back_ GANTRY_GUARDED_BY(mutex_) = false;
};

}  // namespace gantry::gateway
