#include <algorithm>

#include "broadcast/delivery_gate_internal.h"

namespace gantry::broadcast {

bool DeliveryGate::is_open() const {
  return is_held_ || failures_in_row_ >= options_.breaker_failures;
}

bool DeliveryGate::enter(DurationMs not_before) {
  core::Lock lock(mutex_);
  while (true) {
    const DurationMs until = std::max(not_before, not_before_);
    if (is_stopped_ || until > deadline_) return false;
    if (pace_.elapsed() < until) {
      pace_.wait(changed_, lock, until);
      continue;
    }
    if (!is_open() || attempts_ == 0) {
      ++attempts_;
      return true;
    }
    pace_.wait(changed_, lock, Pace::kForever);
  }
}

DeliveryGate::Change DeliveryGate::leave(Effect effect) {
  core::Lock lock(mutex_);
  const bool was_held = is_held_;
  --attempts_;
  switch (effect) {
    case Effect::Alive:
      failures_in_row_ = 0;
      is_held_ = false;
      break;
    case Effect::Failed:
      ++failures_in_row_;
      break;
    case Effect::Held:
      ++failures_in_row_;
      is_held_ = true;
      not_before_ = std::max(not_before_, {pace_.elapsed().count + options_.hold_interval.count});
      break;
    case Effect::Nothing:
      break;
  }
  changed_.notify_all();
  if (was_held == is_held_) return Change::None;
  return is_held_ ? Change::Held : Change::Resumed;
}

void DeliveryGate::pause(DurationMs until) {
  core::Lock lock(mutex_);
  not_before_ = std::max(not_before_, until);
  changed_.notify_all();
}

bool DeliveryGate::wait_to_read() {
  core::Lock lock(mutex_);
  while (!is_stopped_) {
    if (not_before_ > deadline_) return false;
    if (pace_.elapsed() < not_before_) {
      pace_.wait(changed_, lock, not_before_);
    } else if (is_open() && batches_ > 0) {
      pace_.wait(changed_, lock, Pace::kForever);
    } else {
      return true;
    }
  }
  return false;
}

void DeliveryGate::took(std::size_t events) {
  core::Lock lock(mutex_);
  ++batches_;
  events_ += events;
}

void DeliveryGate::settled(std::size_t events) {
  core::Lock lock(mutex_);
  --batches_;
  events_ -= events;
  changed_.notify_all();
}

std::size_t DeliveryGate::events_held() const {
  core::Lock lock(mutex_);
  return events_;
}

void DeliveryGate::begin_drain(DurationMs deadline) {
  core::Lock lock(mutex_);
  is_draining_ = true;
  deadline_ = deadline;
  changed_.notify_all();
}

bool DeliveryGate::is_draining() const {
  core::Lock lock(mutex_);
  return is_draining_;
}

void DeliveryGate::stop() {
  core::Lock lock(mutex_);
  is_stopped_ = true;
  changed_.notify_all();
}

void DeliveryGate::thread_ended() {
  core::Lock lock(mutex_);
  ++threads_ended_;
  changed_.notify_all();
}

void DeliveryGate::wait_for_threads(std::size_t count) {
  core::Lock lock(mutex_);
  while (threads_ended_ < count && pace_.elapsed() < deadline_)
    pace_.wait(changed_, lock, deadline_);
}

void DeliveryGate::report(DeliveryStatistics& statistics) const {
  core::Lock lock(mutex_);
  statistics.failures_in_row = failures_in_row_;
  statistics.batches_in_flight = batches_;
  statistics.state = is_stopped_             ? DeliveryState::Stopped
                     : is_held_              ? DeliveryState::Held
                     : failures_in_row_ != 0 ? DeliveryState::Failing
                                             : DeliveryState::Active;
}

}  // namespace gantry::broadcast
