#pragma once

// When a delivery's batches may be sent: back-off, hold, breaker, drain and stop of one
// destination.

#include <cstddef>
#include <cstdint>

#include "broadcast/delivery.h"
#include "core/mutex.h"
#include "core/time.h"

namespace gantry::broadcast {

/// Thread-safe.
class DeliveryGate {
 public:
  DeliveryGate(Pace& pace, const Delivery::Options& options) : pace_(pace), options_(options) {}

  /// What an attempt says about the receiver.
  enum class Effect : std::uint8_t { Alive, Failed, Held, Nothing };

  /// What an effect changed.
  enum class Change : std::uint8_t { None, Held, Resumed };

  /// Waits until a batch that is not to be sent before `not_before` may be: beside others, or as
  /// the only one while the receiver fails. True: `leave` follows. False: the delivery has stopped,
  /// or will have before that time.
  [[nodiscard]] bool enter(DurationMs not_before) GANTRY_EXCLUDES(mutex_);
  [[nodiscard]] Change leave(Effect effect) GANTRY_EXCLUDES(mutex_);

  /// No batch is sent before `until`.
  void pause(DurationMs until) GANTRY_EXCLUDES(mutex_);

  /// Waits until another batch is wanted: none is while the receiver fails and one waits already.
  /// False: the delivery has stopped.
  [[nodiscard]] bool wait_to_read() GANTRY_EXCLUDES(mutex_);

  void took(std::size_t events) GANTRY_EXCLUDES(mutex_);
  /// A batch of which so many events need no more.
  void settled(std::size_t events) GANTRY_EXCLUDES(mutex_);

  /// That were taken and not settled.
  [[nodiscard]] std::size_t events_held() const GANTRY_EXCLUDES(mutex_);

  void begin_drain(DurationMs deadline) GANTRY_EXCLUDES(mutex_);
  [[nodiscard]] bool is_draining() const GANTRY_EXCLUDES(mutex_);
  void stop() GANTRY_EXCLUDES(mutex_);

  void thread_ended() GANTRY_EXCLUDES(mutex_);
  /// Waits until so many threads have ended, or for the deadline of the drain.
  void wait_for_threads(std::size_t count) GANTRY_EXCLUDES(mutex_);

  /// Fills in state, failures_in_row and batches_in_flight.
  void report(DeliveryStatistics& statistics) const GANTRY_EXCLUDES(mutex_);

 private:
  [[nodiscard]] bool is_open() const GANTRY_REQUIRES(mutex_);

  Pace& pace_;
  const Delivery::Options options_;
  mutable core::Mutex mutex_;
  core::ConditionVariable changed_;
  DurationMs not_before_ GANTRY_GUARDED_BY(mutex_);
  DurationMs deadline_ GANTRY_GUARDED_BY(mutex_){Pace::kForever};
  std::uint32_t failures_in_row_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::uint32_t attempts_ GANTRY_GUARDED_BY(mutex_) = 0;  ///< Between enter and leave.
  std::uint32_t batches_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::size_t events_ GANTRY_GUARDED_BY(mutex_) = 0;
  std::size_t threads_ended_ GANTRY_GUARDED_BY(mutex_) = 0;
  bool is_held_ GANTRY_GUARDED_BY(mutex_) = false;
  bool is_draining_ GANTRY_GUARDED_BY(mutex_) = false;
  bool is_stopped_ GANTRY_GUARDED_BY(mutex_) = false;
};

}  // namespace gantry::broadcast
