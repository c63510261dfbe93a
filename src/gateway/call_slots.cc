#include "gateway/call_slots.h"

#include <algorithm>

namespace gantry::gateway {

bool WaitingRoom::enter() {
  if (count_.fetch_add(1, std::memory_order_relaxed) < waiting_max_) return true;
  leave();
  return false;
}

CallSlots::Slot::~Slot() {
  if (slots_ != nullptr) slots_->give_back();
}

std::optional<CallSlots::Slot> CallSlots::try_take() {
  const core::Lock lock(mutex_);
  if (taken_ >= slots_max_ || !waiters_.empty()) return std::nullopt;
  ++taken_;
  return Slot(shared_from_this());
}

bool CallSlots::wait(const void* waiter, OnSlot on_slot) {
  if (!room_->enter()) return false;
  {
    const core::Lock lock(mutex_);
    waiters_.push_back({.who = waiter, .on_slot = std::move(on_slot)});
    admit_locked();
  }
  call_back();
  return true;
}

void CallSlots::leave(const void* waiter) {
  Waiter left;  // destroyed after the lock: it may own a slot of this
  const core::Lock lock(mutex_);
  const auto found = std::ranges::find(waiters_, waiter, &Waiter::who);
  if (found == waiters_.end()) return;
  left = std::move(*found);
  waiters_.erase(found);
  room_->leave();
}

void CallSlots::set_slots_max(std::size_t slots_max) {
  {
    const core::Lock lock(mutex_);
    slots_max_ = slots_max;
    admit_locked();
  }
  call_back();
}

void CallSlots::give_back() {
  {
    const core::Lock lock(mutex_);
    --taken_;
    admit_locked();
  }
  call_back();
}

void CallSlots::admit_locked() {
  while (taken_ < slots_max_ && !waiters_.empty()) {
    ++taken_;
    admitted_.push_back(std::move(waiters_.front().on_slot));
    waiters_.pop_front();
    room_->leave();
  }
}

/// One thread at a time, in a loop: who is called may give its place back at once, and the next one
/// is not to be called from inside that.
void CallSlots::call_back() {
  const auto alive = shared_from_this();
  {
    const core::Lock lock(mutex_);
    if (is_calling_back_) return;
    is_calling_back_ = true;
  }
  while (true) {
    OnSlot next;
    {
      const core::Lock lock(mutex_);
      if (admitted_.empty()) {
        is_calling_back_ = false;
        return;
      }
      next = std::move(admitted_.front());
      admitted_.pop_front();
    }
    next(Slot(alive));
  }
}

}  // namespace gantry::gateway
