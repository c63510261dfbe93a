#pragma once

// Keeps calls from endpoints that fail, one breaker for each.
//
//   if (auto permit = breaker->try_begin()) {
//     … call the endpoint …
//     permit->end(AttemptOutcome::Success);
//   }
//
// Closed, it lets every call through. It opens at 5 failures in a row, or when at least half of at
// least 20 calls of the last 30 s failed. Open, it lets none through for 30 s; then one, the probe.
// Success of the probe closes it; failure keeps it open for twice as long as before, at most 5 min.
//
// Calls that began before the state last changed change nothing when they end: they tell of a
// state of the endpoint that was dealt with.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/mutex.h"
#include "core/time.h"
#include "gateway/catalogue.h"
#include "gateway/rolling_counts.h"

namespace gantry::gateway {

struct BreakerOptions {
  std::uint32_t consecutive_failures = 5;
  std::uint32_t failure_percent = 50;
  std::uint32_t calls_min = 20;  ///< In 30 s, before the percentage counts.
  DurationMs open_time{30'000};
  DurationMs open_time_max{300'000};
};

/// Neither: says nothing of the endpoint, as when the client left or the provider asked to wait.
enum class AttemptOutcome : std::uint8_t { Success, Failure, Neither };

/// HalfOpen: the open time is over, and the probe has not ended.
enum class BreakerState : std::uint8_t { Closed, HalfOpen, Open };

struct BreakerStatus {
  BreakerState state = BreakerState::Closed;
  bool admits = true;      ///< try_begin() would let a call through.
  TimestampMs open_until;  ///< Of the clock's time; meaningful unless Closed.
};

/// Thread-safe. Always owned by a shared_ptr, which its permits share.
class Breaker : public std::enable_shared_from_this<Breaker> {
 public:
  /// A call that was let through; ends as Neither when it is destroyed without an outcome.
  class Permit {
   public:
    Permit(Permit&& other) noexcept = default;
    Permit& operator=(Permit&& other) = delete;
    ~Permit();

    /// At most once, and as soon as the outcome is known: until its probe ends, a breaker lets no
    /// other call through.
    void end(AttemptOutcome outcome);

   private:
    friend class Breaker;

    enum class Kind : std::uint8_t { Normal, Probe, Forced };

    Permit(std::shared_ptr<Breaker> breaker, Kind kind, std::uint64_t epoch)
        : breaker_(std::move(breaker)), kind_(kind), epoch_(epoch) {}

    std::shared_ptr<Breaker> breaker_;  ///< Null once ended or moved from.
    Kind kind_;
    std::uint64_t epoch_;
  };

  /// `clock` outlives the breaker. Only differences of its times count; best one that never steps.
  explicit Breaker(const Clock& clock, BreakerOptions options = {})
      : clock_(clock), options_(options) {}

  /// Nothing if the breaker is open, or its probe is under way.
  [[nodiscard]] std::optional<Permit> try_begin();

  /// For when there is no other endpoint left: lets the call through in every state. Where
  /// try_begin() would not, success closes the breaker and failure changes nothing.
  [[nodiscard]] Permit begin_anyway();

  [[nodiscard]] BreakerStatus status() const;

 private:
  void end(Permit::Kind kind, std::uint64_t epoch, AttemptOutcome outcome);
  void count(TimestampMs now, bool is_failure) GANTRY_REQUIRES(mutex_);
  void open(TimestampMs now, DurationMs time) GANTRY_REQUIRES(mutex_);
  void close() GANTRY_REQUIRES(mutex_);

  const Clock& clock_;
  const BreakerOptions options_;
  mutable core::Mutex mutex_;
  bool is_open_ GANTRY_GUARDED_BY(mutex_) = false;  ///< Or half open.
  bool has_probe_ GANTRY_GUARDED_BY(mutex_) = false;
  TimestampMs open_until_ GANTRY_GUARDED_BY(mutex_);
  DurationMs open_time_ GANTRY_GUARDED_BY(mutex_);
  std::uint64_t epoch_ GANTRY_GUARDED_BY(mutex_) = 0;  ///< Changes with the state.
  std::uint32_t failures_in_row_ GANTRY_GUARDED_BY(mutex_) = 0;
  RollingCounts counts_ GANTRY_GUARDED_BY(mutex_);
};

/// The breakers of all endpoints. Thread-safe.
class Breakers {
 public:
  /// `clock` outlives this and all breakers.
  explicit Breakers(const Clock& clock, BreakerOptions options = {})
      : clock_(clock), options_(options) {}

  /// Never null; the same one until the endpoint is dropped.
  [[nodiscard]] std::shared_ptr<Breaker> of(EndpointId endpoint);

  /// Closed for an endpoint that was never called.
  [[nodiscard]] BreakerStatus status(EndpointId endpoint) const;

  /// For metrics: of the endpoints that were called.
  [[nodiscard]] std::vector<std::pair<EndpointId, BreakerStatus>> statuses() const;

  /// Forgets all others: for a new catalogue.
  void retain(std::span<const EndpointId> endpoints);

 private:
  const Clock& clock_;
  const BreakerOptions options_;
  mutable core::SharedMutex mutex_;
  std::map<EndpointId, std::shared_ptr<Breaker>> breakers_ GANTRY_GUARDED_BY(mutex_);
};

}  // namespace gantry::gateway
