#pragma once

// Lets any number of appends run, or one thread that needs none of them to.

#include <cstdint>

#include "core/error.h"
#include "core/mutex.h"

namespace gantry::storage {

/// An append is inside from its first look at the state until its data is stored: what holds the
/// gate closed sees the log and the memory agree. Closing has precedence over entering, so that
/// steady appends cannot starve it. Thread-safe.
class AppendGate {
 public:
  /// False once the gate has been shut for good.
  [[nodiscard]] bool enter() {
    core::Lock lock(mutex_);
    while (is_closed_) changed_.wait(lock);
    if (is_shut_) return false;
    ++inside_;
    return true;
  }

  void leave() {
    const core::Lock lock(mutex_);
    if (--inside_ == 0) changed_.notify_all();
  }

  /// Waits until nobody is inside and keeps everybody out.
  void close() {
    core::Lock lock(mutex_);
    while (is_closed_) changed_.wait(lock);
    is_closed_ = true;
    while (inside_ > 0) changed_.wait(lock);
  }

  void open() {
    const core::Lock lock(mutex_);
    is_closed_ = false;
    changed_.notify_all();
  }

  /// `enter` is refused from now on.
  void shut() {
    const core::Lock lock(mutex_);
    is_shut_ = true;
  }

 private:
  core::Mutex mutex_;
  core::ConditionVariable changed_;
  std::uint64_t inside_ GANTRY_GUARDED_BY(mutex_) = 0;
  bool is_closed_ GANTRY_GUARDED_BY(mutex_) = false;
  bool is_shut_ GANTRY_GUARDED_BY(mutex_) = false;
};

/// Inside the gate for a scope.
class InsideGate {
 public:
  explicit InsideGate(AppendGate& gate) : gate_(gate), is_inside_(gate.enter()) {}

  ~InsideGate() {
    if (is_inside_) gate_.leave();
  }

  InsideGate(const InsideGate&) = delete;
  InsideGate& operator=(const InsideGate&) = delete;

  /// False: the gate has been shut for good.
  [[nodiscard]] bool is_inside() const { return is_inside_; }

 private:
  AppendGate& gate_;
  const bool is_inside_;
};

/// Closes the gate for a scope.
class ClosedGate {
 public:
  explicit ClosedGate(AppendGate& gate) : gate_(gate) { gate_.close(); }

  ~ClosedGate() { gate_.open(); }

  ClosedGate(const ClosedGate&) = delete;
  ClosedGate& operator=(const ClosedGate&) = delete;

 private:
  AppendGate& gate_;
};

}  // namespace gantry::storage
